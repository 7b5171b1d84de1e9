"""PDF files, page by page: columns in order, broken words joined, and the pages that hold no text named."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.ocr import OcrError, OcrLine, OcrOptions, check_ocr, read_picture
from homespun.documents.pulse import beat
from homespun.documents.readers.pdf_headings import OutlineEntry
from homespun.documents.readers.pdf_layout import Line, lay_out
from homespun.documents.readers.pdf_page import Segment, read_page_text
from homespun.documents.readers.pdf_text import put_together, without_running_lines

#: PDFium allows one call at a time in a process, whatever the document.
PDFIUM_LOCK = threading.Lock()
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD in fpdfview.h

#: An image that covers this part of a page may be the page itself, scanned.
_SCAN_AREA = 0.25
#: Beside such an image, so few words are a stamp or a page number.
_STAMP_WORDS = 8
#: More lines of one number on a page than this are its content.
_MAX_PAGE_NUMBERS = 3
_MAX_BOOKMARKS = 5000
#: Objects of a page that are looked at for a scan's image.
_MAX_OBJECTS = 5000
#: Points of a drawn page at most: a page may say that it is 5 metres wide.
_MAX_PIXELS = 25_000_000

_PAGE_NUMBER = re.compile(
    r"[\W_]*(?:(?:page|seite|página|pagina|pag|p|s|стр)?\W*\d{1,5}(?:\s*(?:/|of|von|de|di|sur)\s*\d{1,5})?"
    r"|[ivxlc]{1,7})[\W_]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _RawPage:
    """What PDFium tells of a page; `image_share` is the largest image's part of its area."""

    lines: list[Line]
    n_objects: int
    image_share: float
    is_garbled: bool = False


def read(data: bytes, ocr: OcrOptions | None = None) -> Reading:
    """The text of all pages that have one, in order, and a `Page` for every page of the file.

    A page of a scan, with at most a stamp or a page number typed on it, counts as not read; with `ocr` its
    picture is read.

    Raises:
        UnreadableFile: no page gives text.
    """
    with open_pdf(data) as document:
        with PDFIUM_LOCK:
            pages = [_raw_page(document, index) for index in range(len(document))]
            outline = _outline(document)
        if not pages:
            raise UnreadableFile("It is empty: it has no pages.")
        unread = [number for number, page in enumerate(pages, 1) if _is_unread(page)]
        failure = ""
        if ocr is not None and unread:
            unread, failure = _read_scans(document, pages, unread, ocr)
    if len(unread) == len(pages):
        raise UnreadableFile(_nothing_read(pages, failure))
    return put_together(
        without_running_lines([page.lines for page in pages]), outline, _missing(pages, unread, failure)
    )


@contextmanager
def open_pdf(data: bytes) -> Iterator[Any]:
    """A pypdfium2 document. Whoever uses it holds `PDFIUM_LOCK` while PDFium works.

    Raises:
        UnreadableFile: it is broken or needs a password.
    """
    import pypdfium2

    with PDFIUM_LOCK:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) == _PASSWORD_ERROR or "password" in str(error).lower():
                raise UnreadableFile("It needs a password; save it without one and try again.") from error
            raise UnreadableFile("It is broken or no PDF file.") from error
    try:
        yield document
    finally:
        with PDFIUM_LOCK:
            document.close()


def _raw_page(document: Any, index: int) -> _RawPage:
    """One page; a page that PDFium cannot load counts as one without text."""
    import pypdfium2

    beat()
    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return _RawPage([], 1, 0.0)
    try:
        n_objects, share = _images(page)
        text = read_page_text(page)
    except pypdfium2.PdfiumError:
        return _RawPage([], 1, 0.0)
    finally:
        page.close()
    return _RawPage(lay_out(text.lines), n_objects, share, text.is_garbled)


def _images(page: Any) -> tuple[int, float]:
    """The number of a page's objects, and the part of it that its largest image covers."""
    from pypdfium2 import raw

    width, height = page.get_size()
    share, n_objects = 0.0, 0
    if raw.FPDFPage_CountObjects(page.raw) > _MAX_OBJECTS:
        return _MAX_OBJECTS, 0.0  # a drawing
    for found in page.get_objects(max_depth=4):
        n_objects += 1
        if found.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = found.get_bounds()
            share = max(share, abs((right - left) * (top - bottom)) / max(1.0, width * height))
        if n_objects >= _MAX_OBJECTS:
            break
    return n_objects, share


def _outline(document: Any) -> list[OutlineEntry]:
    import pypdfium2

    entries: list[OutlineEntry] = []
    try:
        for bookmark in document.get_toc():
            target = bookmark.get_dest()
            page = target.get_index() if target is not None else None
            if page is not None:
                entries.append(OutlineEntry(bookmark.get_title(), page, bookmark.level + 1))
            if len(entries) >= _MAX_BOOKMARKS:
                break
    except (pypdfium2.PdfiumError, UnicodeDecodeError):
        return []
    return entries


def _is_unread(page: _RawPage) -> bool:
    """Whether a page shows something that its text does not hold. A blank page hides nothing."""
    texts = [line.text for line in page.lines if not _PAGE_NUMBER.fullmatch(line.text)]
    if len(page.lines) - len(texts) > _MAX_PAGE_NUMBERS:
        texts = [line.text for line in page.lines]  # a list of numbers
    words = re.findall(r"\w+", " ".join(texts))
    if not words:
        return page.n_objects > 0
    return page.is_garbled or (page.image_share >= _SCAN_AREA and len(words) <= _STAMP_WORDS)


def _missing(pages: Sequence[_RawPage], unread: Sequence[int], failure: str) -> str:
    """One sentence about what was not read, and how to read it."""
    garbled = [number for number in unread if pages[number - 1].is_garbled]
    scanned = [number for number in unread if number not in garbled]
    parts = []
    if scanned:
        parts.append(
            f"{_page_list(scanned)} of {len(pages)} could not be read: "
            "no text, or a picture with at most a stamp or a page number"
        )
    if garbled:
        parts.append(
            f"{_page_list(garbled)} of {len(pages)} could not be read: "
            "the fonts do not say which letters they show"
        )
    if parts:
        parts.append(failure or "`homespun ingest --ocr` reads such pages where tesseract is installed")
    return "; ".join(parts) + "." if parts else ""


def _nothing_read(pages: Sequence[_RawPage], failure: str) -> str:
    if all(page.is_garbled for page in pages):
        what = "Its fonts do not say which letters they show, so it gives no text"
    else:
        what = "It holds only pictures of text (a scan)"
    how = (
        failure or "read them with `homespun ingest --ocr` (it needs tesseract), or make its text selectable"
    )
    return f"{what}; {how}."


def _page_list(numbers: Sequence[int]) -> str:
    """`Page 3` or `Pages 2-4, 7`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in ranges)
    return f"Page {shown}" if len(numbers) == 1 else f"Pages {shown}"


# --- scans -------------------------------------------------------------------------------------


def _read_scans(
    document: Any, pages: list[_RawPage], unread: list[int], ocr: OcrOptions
) -> tuple[list[int], str]:
    """Put what tesseract reads in the place of pages without text; the pages left, and why."""
    try:
        check_ocr(ocr)
    except OcrError as error:  # the pages that have text are read all the same
        return unread, error.sentence().rstrip(".")
    left: list[int] = []
    failure = ""
    for number in unread:
        try:
            lines = read_picture(page_picture(document, number - 1, ocr.dpi), ocr)
        except OcrError as error:
            failure = error.what.rstrip(".")
            left.append(number)
            continue
        if lines:
            pages[number - 1] = replace(pages[number - 1], lines=_ocr_lines(lines), is_garbled=False)
        else:
            failure = failure or "tesseract found no text on them"
            left.append(number)
    return left, failure


def page_picture(document: Any, index: int, dpi: int) -> bytes:
    """A page as a grey PNG file.

    Raises:
        OcrError: PDFium cannot draw it.
    """
    import io

    import pypdfium2

    with PDFIUM_LOCK:
        try:
            page = document[index]
            try:
                picture = page.render(scale=drawing_scale(page, dpi), grayscale=True).to_pil()
            finally:
                page.close()
        except (pypdfium2.PdfiumError, MemoryError, ValueError) as error:
            raise OcrError("a page cannot be drawn") from error
    out = io.BytesIO()
    picture.save(out, "png", compress_level=1)
    return out.getvalue()


def drawing_scale(page: Any, dpi: int) -> float:
    """The scale that draws a page at so many dots per inch, or coarser where it is very large."""
    width, height = page.get_size()
    return float(min(dpi / 72, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5))


def _ocr_lines(lines: Sequence[OcrLine]) -> list[Line]:
    """Recognised lines as lines of a page; their sizes are too rough to tell headings from."""
    made = []
    for line in lines:
        text = line.text
        made.append(Line((Segment(0, 0, text, 0.0, 0.0, 1.0, 1.0),), text, opens=line.opens))
    return made
