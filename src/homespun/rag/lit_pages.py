"""Pictures of the pages that an answer cites, with the cited lines lit."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from homespun.documents.bundle import read_member
from homespun.documents.errors import DocumentError, UnreadableFile
from homespun.progress import Progress, no_progress
from homespun.rag.citations import Sources
from homespun.rag.errors import ExportError
from homespun.rag.result import Citation
from homespun.retrieval.library import Library, LibraryDocument
from homespun.retrieval.plan import archive_of


@dataclass(frozen=True)
class LitPage:
    """What became of one page that a citation cites.

    Attributes:
        citation: index into `Answer.citations`.
        path: the PNG file; None where there is no picture, and then `note` says why.
        is_lit: whether the cited lines are lit; a page whose words cannot be placed is shown as it is.
        note: what a person should know, empty when all went well.
    """

    citation: int
    document: str
    page: int
    path: Path | None
    is_lit: bool
    note: str = ""


def lit_citations(
    library: Library,
    citations: Sequence[Citation],
    folder: Path,
    *,
    dpi: int = 150,
    progress: Progress = no_progress,
) -> list[LitPage]:
    """Write a PNG of each PDF page that is cited, the cited lines lit; other documents have no pages.

    The file must still be the one that was ingested, byte for byte: a page of another state of it is never
    shown. A citation that runs over a page break gives two pictures.

    Args:
        library: that the answer came from.
        citations: of the answer.
        folder: made if it is not there; pictures of the same names are replaced.
        dpi: dots per inch of the pictures.
        progress: told after each picture.

    Raises:
        ExportError: the folder cannot be written.
        LibraryError: the library cannot be read.
    """
    sources = Sources(library)
    document_of = lru_cache(maxsize=None)(library.document)
    bytes_of = lru_cache(maxsize=1)(_source_bytes)
    made: list[LitPage] = []
    for number, citation in enumerate(citations):
        progress("drawing pages", number, len(citations))
        if citation.page is None:
            continue
        data, note = bytes_of(document_of(citation.document))
        if sources.text(citation.document)[citation.start : citation.end] != citation.text:
            data, note = None, "the document was ingested anew after this answer; ask again"
        for page in sources.pages(citation.document):
            if page.end <= citation.start or page.start >= citation.end:
                continue
            if data is None:
                made.append(LitPage(number, citation.document, page.number, None, False, note))
                continue
            text = sources.text(citation.document)[page.start : page.end]
            start, end = max(0, citation.start - page.start), citation.end - page.start
            path = folder / f"{number + 1:02d}-{_file_stem(citation.document)}-page-{page.number}.png"
            made.append(_draw(number, citation.document, data, page.number, (text, start, end), path, dpi))
    progress("drawing pages", len(citations), len(citations))
    return made


def _draw(
    number: int, document: str, data: bytes, page: int, cited: tuple[str, int, int], path: Path, dpi: int
) -> LitPage:
    from homespun.documents.page_image import lit_page

    try:
        image = lit_page(data, page, *cited, dpi=dpi)
    except DocumentError as error:
        return LitPage(number, document, page, None, False, error.sentence())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image.png)
    except OSError as error:
        raise ExportError(
            f"The picture of a page could not be written ({error.strerror}).", where=str(path)
        ) from error
    note = "" if image.is_lit else "the page is shown unlit: the places of its words are not known"
    return LitPage(number, document, page, path, image.is_lit, note)


def _source_bytes(document: LibraryDocument) -> tuple[bytes | None, str]:
    """The bytes that the document was made of, or why they are not to be had any more."""
    again = "ingest it again"
    archive = archive_of(document.source)
    path = Path(archive or document.source)
    if Path(document.source).suffix.lower() != ".pdf":
        return None, "it is no PDF file, so there is no picture of its page"
    if "://" in document.source:
        return None, "it came from an address, and no copy of the file was kept"
    try:
        data = read_member(path, document.source[len(archive) + 1 :]) if archive else path.read_bytes()
    except UnreadableFile as error:
        return None, f"the archive {path} cannot be read ({error.what.rstrip('.')}); {again}"
    except OSError as error:
        return None, f"the file {path} cannot be opened ({error.strerror}); {again} from where it is now"
    if hashlib.sha256(data).hexdigest() != document.digest:
        return None, f"the file {path} was changed after it was ingested; {again}"
    return data, ""


def _file_stem(document: str) -> str:
    """A document's name as a part of a file name on any system."""
    return re.sub(r"[^\w.-]+", "-", document.rsplit(".", 1)[0]).strip("-.")[:80] or "document"
