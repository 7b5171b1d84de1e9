"""A page of a PDF as a picture on which the cited lines are lit.

The cited stretch of the page's stored text is found again among PDFium's characters by laying one over the
other as a whole, so that the occurrence that was cited is lit where a sentence stands twice.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.documents.errors import DocumentError, UnreadableFile
from homespun.documents.ocr import OcrError, OcrOptions, find_tesseract, read_picture
from homespun.documents.readers.pdf import PDFIUM_LOCK, drawing_scale, open_pdf
from homespun.documents.readers.pdf_layout import lay_out
from homespun.documents.readers.pdf_page import PageText, read_page_text

if TYPE_CHECKING:
    from PIL import Image

#: What paper is multiplied by where it is lit: black stays black.
_YELLOW = (255, 236, 100)
#: Darker grounds than this (mean of grey, 0 to 255) would hide a multiplied colour.
_DARK = 90
#: Of the cited characters, at least this part must be found again, or nothing is lit.
_FOUND_SHARE = 0.6
#: Characters compared one by one where words differ, on both sides together.
_MAX_COMPARED = 4000


class PageImageError(DocumentError):
    """A page that cannot be drawn."""


@dataclass(frozen=True)
class PageImage:
    """A PNG file; `boxes` are what is lit, in pixels: left, top, right, bottom. None: nothing was found."""

    png: bytes
    width: int
    height: int
    boxes: tuple[tuple[int, int, int, int], ...]

    @property
    def is_lit(self) -> bool:
        return bool(self.boxes)


_NOWHERE = (0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Sign:
    """A character with its place on the picture and the line that it belongs to; a space is nowhere."""

    text: str
    box: tuple[float, float, float, float]
    group: int


def lit_page(
    source: Path | bytes,
    page_number: int,
    page_text: str,
    start: int,
    end: int,
    *,
    dpi: int = 150,
    ocr: OcrOptions | None = OcrOptions(),
) -> PageImage:
    """Draw a page and light what a citation cites.

    Args:
        source: the PDF file or its bytes.
        page_number: from 1.
        page_text: the text that was read from this page.
        start, end: the cited stretch of it, in code points.
        dpi: dots per inch; very large pages are drawn coarser.
        ocr: how a page without text is read again for the places of its words, where tesseract is
            installed; None: such a page is shown unlit.

    Raises:
        PageImageError: the file cannot be read or has no such page, or PDFium cannot draw it.
    """
    import pypdfium2

    try:
        data = source if isinstance(source, bytes) else source.read_bytes()
        with open_pdf(data) as document:
            picture, signs = _drawn(document, page_number, dpi)
    except UnreadableFile as error:
        raise PageImageError(error.what) from error
    except OSError as error:
        raise PageImageError(f"The file cannot be opened ({error.strerror}).", where=str(source)) from error
    except (pypdfium2.PdfiumError, MemoryError, ValueError) as error:
        raise PageImageError(f"Page {page_number} cannot be drawn.") from error
    boxes = find_boxes(signs, page_text, start, end)
    if not boxes and ocr is not None and find_tesseract():
        boxes = find_boxes(_recognised(picture, dpi, ocr), page_text, start, end)
    return _lit(picture, boxes)


def _drawn(document: Any, page_number: int, dpi: int) -> tuple["Image.Image", list[Sign]]:
    """The picture of a page and its characters, in reading order, with their places in pixels."""
    with PDFIUM_LOCK:
        if not 1 <= page_number <= len(document):
            raise PageImageError(f"It has no page {page_number}; it has {len(document)}.")
        page = document[page_number - 1]
        try:
            text = read_page_text(page)
            bitmap = page.render(scale=drawing_scale(page, dpi))
            signs = _signs(text, bitmap.get_posconv(page))
            return bitmap.to_pil().convert("RGB"), signs
        finally:
            page.close()


def _signs(text: PageText, converter: Any) -> list[Sign]:
    signs: list[Sign] = []
    for group, line in enumerate(lay_out(text.lines)):
        for segment in line.segments:
            for index in range(segment.start, segment.end):
                if not text.characters[index].strip():
                    signs.append(Sign(" ", _NOWHERE, group))
                    continue
                left, bottom, right, top = text.boxes[index]
                x1, y1 = converter.to_bitmap(left, bottom)
                x2, y2 = converter.to_bitmap(right, top)
                box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
                signs += [Sign(letter, box, group) for letter in text.characters[index]]
            signs.append(Sign(" ", _NOWHERE, group))
    return signs


def _recognised(picture: "Image.Image", dpi: int, ocr: OcrOptions) -> list[Sign]:
    out = io.BytesIO()
    picture.convert("L").save(out, "png", compress_level=1)
    try:
        lines = read_picture(out.getvalue(), OcrOptions(ocr.languages, dpi, ocr.page_timeout_s))
    except OcrError:
        return []
    signs: list[Sign] = []
    for group, line in enumerate(lines):
        for word in line.words:
            box = (word.left, word.top, word.right, word.bottom)
            signs += [Sign(letter, box, group) for letter in word.text]
            signs.append(Sign(" ", _NOWHERE, group))
    return signs


# --- finding the cited characters again --------------------------------------------------------


def find_boxes(
    signs: Sequence[Sign], page_text: str, start: int, end: int
) -> tuple[tuple[int, int, int, int], ...]:
    """The places of page_text[start:end] among the characters of the page, one box a line."""
    partner = _align(page_text, "".join(sign.text for sign in signs))
    cited = [index for index in range(start, min(end, len(page_text))) if not page_text[index].isspace()]
    found = [partner[index] for index in cited if index in partner]
    if not cited or len(found) < _FOUND_SHARE * len(cited):
        return ()
    lines: dict[int, list[Sign]] = {}
    for number in found:
        lines.setdefault(signs[number].group, []).append(signs[number])
    return tuple(
        (
            round(min(sign.box[0] for sign in line)),
            round(min(sign.box[1] for sign in line)),
            round(max(sign.box[2] for sign in line)),
            round(max(sign.box[3] for sign in line)),
        )
        for line in lines.values()
    )


def _align(ours: str, theirs: str) -> dict[int, int]:
    """Which character of theirs each of ours came from; both are one page in one order.

    What was left out (running lines, hyphens) and put in has no partner. Equal words are laid over first,
    and what is between them one character at a time.
    """
    one, other = _words(ours), _words(theirs)
    matcher = SequenceMatcher(None, [text for text, _ in one], [text for text, _ in other], autojunk=False)
    partner: dict[int, int] = {}
    i = j = 0
    for first, second, n in matcher.get_matching_blocks():
        gap, there = one[i:first], other[j:second]
        if gap and there:
            _align_characters(gap, there, partner)
        for step in range(n):
            text, start = one[first + step]
            shift = other[second + step][1] - start
            partner.update((index, index + shift) for index in range(start, start + len(text)))
        i, j = first + n, second + n
    return partner


def _align_characters(
    ours: Sequence[tuple[str, int]], theirs: Sequence[tuple[str, int]], partner: dict[int, int]
) -> None:
    one = [(sign, start + k) for text, start in ours for k, sign in enumerate(text)]
    other = [(sign, start + k) for text, start in theirs for k, sign in enumerate(text)]
    if len(one) + len(other) > _MAX_COMPARED:
        return
    matcher = SequenceMatcher(None, [sign for sign, _ in one], [sign for sign, _ in other], autojunk=False)
    for first, second, n in matcher.get_matching_blocks():
        for step in range(n):
            partner[one[first + step][1]] = other[second + step][1]


def _words(text: str) -> list[tuple[str, int]]:
    return [(match[0], match.start()) for match in re.finditer(r"\S+", text)]


# --- light -------------------------------------------------------------------------------------


def _lit(picture: "Image.Image", boxes: Sequence[tuple[int, int, int, int]]) -> PageImage:
    """The picture with the boxes lit: paper turns yellow and what is printed on it stays."""
    from PIL import Image, ImageChops, ImageStat

    drawn = []
    for left, top, right, bottom in boxes:
        around = 2
        box = (
            max(0, left - around),
            max(0, top - around),
            min(picture.width, right + around),
            min(picture.height, bottom + around),
        )
        if box[0] >= box[2] or box[1] >= box[3]:
            continue
        part = picture.crop(box)
        colour = Image.new("RGB", part.size, _YELLOW)
        is_dark = ImageStat.Stat(part.convert("L")).mean[0] < _DARK
        lit = Image.blend(part, colour, 0.4) if is_dark else ImageChops.multiply(part, colour)
        picture.paste(lit, box)
        drawn.append(box)
    out = io.BytesIO()
    picture.save(out, "png", optimize=False)
    return PageImage(out.getvalue(), picture.width, picture.height, tuple(drawn))
