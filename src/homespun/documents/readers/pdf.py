"""PDF files, page by page: text with broken words joined, and the pages that hold none named."""

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from homespun.documents.document import Page, Reading
from homespun.documents.errors import UnreadableFile

#: PDFium allows one call at a time in a process, whatever the document.
_PDFIUM = threading.Lock()
_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD in fpdfview.h

#: An image that covers this part of a page may be the page itself, scanned.
_SCAN_AREA = 0.25
#: Beside such an image, so few words are a stamp or a page number.
_STAMP_WORDS = 8
#: A line on this part of all pages, at the same edge, is a running header or footer.
_RUNNING_SHARE = 0.7
_MIN_RUNNING_PAGES = 4

_PAGE_NUMBER = re.compile(
    r"[\W_]*(?:(?:page|seite|página|pagina|pag|p|s|стр)?\W*\d{1,5}(?:\s*(?:/|of|von|de|di|sur)\s*\d{1,5})?"
    r"|[ivxlc]{1,7})[\W_]*",
    re.IGNORECASE,
)
# PDFium marks the hyphen of a word broken at a line end with U+FFFE, older versions with U+0002.
_BROKEN_WORD = re.compile(
    r"(\w+)(?:[\ufffe\x02]|[-\u00ad\u2010](?=[ \t]*\n[ \t]*[^\W\d_]))[ \t]*\n?[ \t]*(\w+)"
)


@dataclass(frozen=True)
class _RawPage:
    """What PDFium tells of a page; `image_share` is the largest image's part of its area."""

    text: str
    n_objects: int
    image_share: float


def read(data: bytes) -> Reading:
    """The text of all pages that have one, in order, and a `Page` for every page of the file.

    A page of a scan, with at most a stamp or a page number typed on it, counts as not read.
    """
    pages = _raw_pages(data)
    if not pages:
        raise UnreadableFile("It is empty: it has no pages.")
    pages = _without_running_lines(pages)
    unread = [number for number, page in enumerate(pages, 1) if _is_unread(page)]
    if len(unread) == len(pages):
        raise UnreadableFile(
            "It holds only pictures of text (a scan); make its text selectable (OCR) and try again."
        )
    missing = ""
    if unread:
        missing = (
            f"{_page_list(unread)} of {len(pages)} could not be read: "
            "no text, or a picture with at most a stamp or a page number."
        )
    return _joined(pages, missing)


def _raw_pages(data: bytes) -> list[_RawPage]:
    import pypdfium2

    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if getattr(error, "err_code", None) == _PASSWORD_ERROR or "password" in str(error).lower():
                raise UnreadableFile("It needs a password; save it without one and try again.") from error
            raise UnreadableFile("It is broken or no PDF file.") from error
        try:
            return [_raw_page(document, index) for index in range(len(document))]
        finally:
            document.close()


def _raw_page(document: Any, index: int) -> _RawPage:
    """One page; a page that PDFium cannot load counts as one without text."""
    import pypdfium2
    from pypdfium2 import raw

    try:
        page = document[index]
    except pypdfium2.PdfiumError:
        return _RawPage("", 1, 0.0)
    try:
        width, height = page.get_size()
        share, n_objects = 0.0, 0
        for found in page.get_objects(max_depth=4):
            n_objects += 1
            if found.type == raw.FPDF_PAGEOBJ_IMAGE:
                left, bottom, right, top = found.get_bounds()
                share = max(share, abs((right - left) * (top - bottom)) / max(1.0, width * height))
        text_page = page.get_textpage()
        try:
            text = text_page.get_text_bounded()
        finally:
            text_page.close()
    except pypdfium2.PdfiumError:
        return _RawPage("", 1, 0.0)
    finally:
        page.close()
    return _RawPage(text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", ""), n_objects, share)


def _is_unread(page: _RawPage) -> bool:
    """Whether a page shows something that its text does not hold. A blank page hides nothing."""
    lines = [line for line in page.text.split("\n") if not _PAGE_NUMBER.fullmatch(line)]
    words = re.findall(r"\w+", " ".join(lines))
    if not words:
        return page.n_objects > 0
    nonsense = sum(character == "\ufffd" or "\ue000" <= character <= "\uf8ff" for character in page.text)
    if nonsense > 0.3 * len(page.text):
        return True
    return page.image_share >= _SCAN_AREA and len(words) <= _STAMP_WORDS


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


def _without_running_lines(pages: list[_RawPage]) -> list[_RawPage]:
    """Pages without the first and last lines that nearly all of them share.

    Lines are the same when they are equal, or equal but for one number that counts with the pages.
    """
    if len(pages) < _MIN_RUNNING_PAGES:
        return pages
    texts = [page.text for page in pages]
    for edge in (0, -1):
        for _ in range(3):  # headers of at most three lines
            shared = _shared_edges(texts, edge)
            if not shared:
                break
            texts = [
                _drop_edge(text, edge) if _edge_keys(text, edge, number) & shared else text
                for number, text in enumerate(texts, 1)
            ]
    return [replace(page, text=text) for page, text in zip(pages, texts, strict=True)]


def _shared_edges(texts: list[str], edge: int) -> set[str]:
    counts: Counter[str] = Counter()
    for number, text in enumerate(texts, 1):
        counts.update(_edge_keys(text, edge, number))
    return {key for key, count in counts.items() if count >= _RUNNING_SHARE * len(texts)}


def _edge_keys(text: str, edge: int, number: int) -> set[str]:
    """The edge line itself, and with each of its numbers written as what it is above the page's."""
    lines = text.strip().split("\n")
    line = " ".join(lines[edge].split())
    if not line:
        return set()
    keys = {line}
    for found in re.finditer(r"\d{1,6}", line):
        keys.add(f"{line[: found.start()]}\x00{int(found[0]) - number}\x00{line[found.end() :]}")
    return keys


def _drop_edge(text: str, edge: int) -> str:
    lines = text.strip().split("\n")
    del lines[edge]
    return "\n".join(lines)


def _joined(pages: list[_RawPage], missing: str) -> Reading:
    """All pages as one text; a sentence that runs on to the next page is not torn apart."""
    whole_words = Counter(re.findall(r"\w+(?:-\w+)*", " ".join(page.text for page in pages).lower()))
    parts: list[str] = []
    places: list[Page] = []
    length = 0
    for number, page in enumerate(pages, 1):
        text = _tidy(_join_broken_words(page.text, whole_words))
        if text and parts:
            runs_on = text[0].islower() and not re.search(r"[.!?:。]\W*\Z", parts[-1])
            separator = "\n" if runs_on else "\n\n"
            parts.append(separator)
            length += len(separator)
        places.append(Page(number, length, length + len(text)))
        if text:
            parts.append(text)
            length += len(text)
    return Reading("".join(parts), pages=tuple(places), missing=missing)


def _join_broken_words(text: str, whole_words: Counter[str]) -> str:
    """Join words that a line end broke; the hyphen stays where the file writes it elsewhere too."""

    def join(match: re.Match[str]) -> str:
        hyphenated = f"{match[1]}-{match[2]}"
        if not (match[1][-1].isalpha() and match[2][0].islower()):
            return hyphenated  # "10-day", "Anti-D"
        keep = whole_words[hyphenated.lower()] > 0 and not whole_words[(match[1] + match[2]).lower()]
        return hyphenated if keep else match[1] + match[2]

    return _BROKEN_WORD.sub(join, text)


def _tidy(text: str) -> str:
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
