"""What PDFium tells of one page: its characters with their boxes, and the stretches of text on its lines."""

import ctypes
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

#: left, bottom, right, top in points; y grows upwards.
Box = tuple[float, float, float, float]

#: A gap wider than this many line heights parts the cells of a row and the columns of a page.
_WIDE_GAP = 1.0
#: Characters whose mapping to Unicode is asked for, spread over the page.
_N_ASKED = 200
#: A page on which more than this part of the characters has no known letter cannot be read.
_UNKNOWN_SHARE = 0.3

_LIGATURES = {
    0xFB00: "ff",
    0xFB01: "fi",
    0xFB02: "fl",
    0xFB03: "ffi",
    0xFB04: "ffl",
    0xFB05: "st",
    0xFB06: "st",
}
#: How PDFium marks the hyphen of a word broken at a line end; U+0002 in older versions.
BROKEN = "\ufffe"
_SIGN_OF = {
    **{chr(code): " " for code in range(1, 0x20)},
    **{chr(code): "\ufffd" for code in range(0xD800, 0xE000)},
    **{chr(code): letters for code, letters in _LIGATURES.items()},
    "\x00": "",
    "\ufeff": "",
    "\xa0": " ",
    "\r": "\n",
    "\n": "\n",
    "\x02": BROKEN,
}
_SPECIAL = re.compile(r"[\x00-\x1f\xa0\ud800-\udfff\ufb00-\ufb06\ufeff]")
_BOLD_NAME = re.compile(rb"bold|black|heavy|semibold|demi", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Segment:
    """Text without a wide gap on one line of a page.

    `start` and `end` count the page's characters as PDFium does; the box is in the frame of the text, in
    which it runs from left to right.
    """

    start: int
    end: int
    text: str
    left: float
    bottom: float
    right: float
    top: float
    is_bold: bool = False

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True)
class PageText:
    """The characters of a page in PDFium's order.

    Attributes:
        characters: what each is in a text; a ligature is several letters, and some are nothing.
        boxes: where each stands on the page, in points of the page's own space.
        lines: PDFium's lines, each with its segments.
        is_garbled: its fonts do not say which letters they show.
    """

    characters: list[str]
    boxes: list[Box]
    lines: list[list[Segment]]
    is_garbled: bool = False


def read_page_text(page: Any) -> PageText:
    """All text of an open pypdfium2 page. The caller holds the lock of PDFium.

    Raises:
        PdfiumError: the page has no readable text.
    """
    from pypdfium2 import raw

    text_page = page.get_textpage()
    try:
        handle = text_page.raw
        n = text_page.count_chars()
        characters = _characters(handle, n)
        boxes: list[Box] = []
        rectangle = raw.FS_RECTF()
        ask = raw.FPDFText_GetLooseCharBox
        for index in range(n):
            if ask(handle, index, rectangle):
                boxes.append((rectangle.left, rectangle.bottom, rectangle.right, rectangle.top))
            else:
                boxes.append((0.0, 0.0, 0.0, 0.0))
        quarter = _quarter(handle, n, characters)
        turned = boxes if quarter == 0 else [_turn(box, quarter) for box in boxes]
        lines = find_segments(characters, turned, lambda index: _is_bold(handle, index))
        return PageText(characters, boxes, lines, _is_garbled(handle, characters))
    finally:
        text_page.close()


def _characters(handle: Any, n: int) -> list[str]:
    """What each of a page's characters is in a text."""
    from pypdfium2 import raw

    buffer = (ctypes.c_ushort * (n + 1))()
    if raw.FPDFText_GetText(handle, 0, n, buffer) == n + 1:  # the last one is the end mark
        text = bytes(buffer)[: 2 * n].decode("utf-16-le", "surrogatepass")
        if len(text) == n:
            return [_SIGN_OF.get(sign, sign) for sign in text] if _SPECIAL.search(text) else list(text)
    return _characters_one_by_one(handle, n)


def _characters_one_by_one(handle: Any, n: int) -> list[str]:
    """The same where one character is several code units, or none."""
    from pypdfium2 import raw

    characters: list[str] = []
    high = 0
    for index in range(n):
        code = raw.FPDFText_GetUnicode(handle, index)
        if 0xD800 <= code < 0xDC00:  # half of a character beyond U+FFFF; the other half follows
            high = code
            characters.append("")
            continue
        if 0xDC00 <= code < 0xE000:
            code = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00) if high else 0xFFFD
        high = 0
        sign = chr(code) if code <= 0x10FFFF else "\ufffd"
        characters.append(_SIGN_OF.get(sign, sign))
    return characters


def _quarter(handle: Any, n: int, characters: list[str]) -> int:
    """How many quarter turns most of the text is turned by, against the clock."""
    from pypdfium2 import raw

    turns: Counter[int] = Counter()
    for index in range(0, n, max(1, n // 50)):
        if characters[index].strip():
            turns[round(raw.FPDFText_GetCharAngle(handle, index) / (math.pi / 2)) % 4] += 1
    return turns.most_common(1)[0][0] if turns else 0


def _turn(box: Box, quarter: int) -> Box:
    left, bottom, right, top = box
    if quarter == 1:
        return bottom, -right, top, -left
    if quarter == 2:
        return -right, -top, -left, -bottom
    return -top, left, -bottom, right


def _is_bold(handle: Any, index: int) -> bool:
    from pypdfium2 import raw

    if raw.FPDFText_GetFontWeight(handle, index) >= 600:
        return True
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(handle, index, name, 128, flags)
    return _BOLD_NAME.search(name.value) is not None


def _is_garbled(handle: Any, characters: list[str]) -> bool:
    from pypdfium2 import raw

    shown = [index for index, sign in enumerate(characters) if sign.strip()]
    asked = shown[:: max(1, len(shown) // _N_ASKED)]
    n_unknown = sum(
        raw.FPDFText_HasUnicodeMapError(handle, index) == 1
        or any(sign == "\ufffd" or "\ue000" <= sign <= "\uf8ff" for sign in characters[index])
        for index in asked
    )
    return n_unknown > _UNKNOWN_SHARE * len(asked)


def find_segments(characters: list[str], boxes: list[Box], is_bold: Any = None) -> list[list[Segment]]:
    """The characters as lines of segments; boxes are in the frame of the text.

    A line ends where PDFium says so, and where the next character stands on another height, as after the
    hyphen of a broken word.
    """
    lines: list[list[Segment]] = []
    line: list[Segment] = []
    start, last = -1, -1  # of the open segment; the last visible character in it
    left = bottom = right = top = 0.0

    def close() -> None:
        nonlocal start
        if start >= 0:
            text = " ".join("".join(characters[start : last + 1]).split())
            bold = is_bold is not None and is_bold(start) and is_bold(last)
            if text:
                line.append(Segment(start, last + 1, text, left, bottom, right, top, bold))
        start = -1

    def close_line() -> None:
        nonlocal line
        close()
        if line:
            lines.append(line)
        line = []

    for index, sign in enumerate(characters):
        if sign == "\n":
            close_line()
            continue
        box = boxes[index]
        if not sign.strip() or (box[2] <= box[0] and start < 0 and sign == BROKEN):
            continue
        if start >= 0 and box[3] > box[1] and sign != BROKEN:
            before = boxes[last]
            height = max(top - bottom, 1.0)
            if box[3] <= bottom + 0.2 * height or box[1] >= top - 0.2 * height:
                is_below = (
                    abs(box[0] + box[2] - before[0] - before[2]) < 0.5 * height and ord(sign[0]) > 0x2E80
                )
                if not is_below:  # vertical writing goes on below
                    close_line()
            elif box[0] - before[2] > _WIDE_GAP * height or box[0] < before[0] - 4 * height:
                close()
        if start < 0:
            start, (left, bottom, right, top) = index, box
        elif box[3] > box[1] and sign != BROKEN:
            left, right = min(left, box[0]), max(right, box[2])
            bottom, top = min(bottom, box[1]), max(top, box[3])
        last = index
    close_line()
    return lines
