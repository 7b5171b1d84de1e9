"""Rich Text Format: a stream of control words; what it shows is text, headings, lists and tables.

Written after Microsoft's RTF 1.9.1 specification. Deleted and hidden text, pictures, page headers
and field codes are left out; footnotes come after their paragraph.
"""

import re
from dataclasses import dataclass, replace

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder, names_columns

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n\x00]+|([^\\{}\r\n\x00]+)|\\"
)
_SKIPPED = frozenset(
    b"colortbl info pict object fldinst header headerl headerr headerf footer footerl footerr footerf "
    b"sp revtbl listtable listoverridetable rsidtbl themedata datastore xmlnstbl generator "
    b"annotation atnid atnauthor ftnsep ftnsepc aftnsep aftnsepc nonshppict filetbl".split()
)
# Unknown groups marked as optional are left out, but not these.
_OPTIONAL_READ = frozenset((b"shpinst", b"shptxt", b"fldrslt", b"listtext", b"pntext"))
_SIGNS = {
    b"tab": "\t",
    b"line": "\n",
    b"lquote": "‘",
    b"rquote": "’",
    b"ldblquote": "“",
    b"rdblquote": "”",
    b"bullet": "•",
    b"endash": "–",
    b"emdash": "—",
    b"emspace": " ",
    b"enspace": " ",
    b"qmspace": " ",
}
# Code pages of the character sets that fonts name.
_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251",
    222: "cp874", 238: "cp1250",
}  # fmt: skip
_MAX_DEPTH = 10_000


@dataclass(frozen=True)
class _State:
    """What holds in a group until it ends."""

    skips: bool = False
    target: str = "body"  # or "fonts", "styles", "note", "mark"
    encoding: str = ""
    n_after_unicode: int = 1  # signs behind a \u that only old readers show
    is_deleted: bool = False
    is_hidden: bool = False


def read(data: bytes) -> Reading:
    """The document's text; each table row becomes a `Header: value; Header: value` line."""
    if not data.lstrip()[:5].startswith(b"{\\rtf"):
        raise UnreadableFile("It is broken or no RTF file: it does not begin as one.")
    reader = _Reader()
    reader.parse(data)
    return reader.builder.reading()


class _Reader:
    def __init__(self) -> None:
        self.builder = TextBuilder()
        self.state = _State()
        self.stack: list[_State] = []
        self.encoding = "cp1252"
        self.fonts: dict[int, str] = {}
        self.font = 0  # in the font table, the font that is described
        self.levels: dict[int, int] = {}  # heading level by style
        self.style, self.style_name = 0, ""
        self.parts: list[str] = []
        self.raw = bytearray()
        self.n_to_skip = 0
        self.level: int | None = None
        self.in_table = False
        self.mark = ""
        self.note: list[str] = []
        self.notes: list[str] = []
        self.n_notes = 0
        self.cells: list[str] = []
        self.rows: list[list[str]] = []

    def parse(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            match = _TOKEN.match(data, position)
            assert match is not None
            position = match.end()
            word, number, code, sign, brace, text = match.groups()
            if brace:
                self._brace(brace)
            elif word == b"bin":
                position += max(0, int(number or 0))
            elif word:
                self._word(word, None if number is None else int(number))
            elif code:
                self._bytes(bytes([int(code, 16)]))
            elif sign:
                self._sign(sign)
            elif text:
                self._bytes(text)
        self._end_paragraph()
        self._end_table()

    def _brace(self, brace: bytes) -> None:
        self._decode()
        self.n_to_skip = 0
        if brace == b"{":
            if len(self.stack) >= _MAX_DEPTH:
                raise UnreadableFile("It is broken: its groups are nested too deep.")
            self.stack.append(self.state)
            return
        ended = self.state
        self.state = self.stack.pop() if self.stack else _State(skips=True)
        if ended.target == "styles" and self.style_name:
            found = re.match(r"heading (\d)", self.style_name.strip().lower())
            if found:
                self.levels[self.style] = int(found[1])
            self.style_name = ""
        if ended.target == "note" and self.state.target != "note":
            self.n_notes += 1
            self.notes.append(f"[{self.n_notes}] {' '.join(''.join(self.note).split())}")
            self.note = []
            self.parts.append(f"[{self.n_notes}]")

    def _word(self, word: bytes, number: int | None) -> None:
        self._decode()
        if word == b"u" and number is not None:
            self._put(chr(number % 65536))
            self.n_to_skip = self.state.n_after_unicode
            return
        self.n_to_skip = 0
        if word in _OPTIONAL_READ and self.stack:
            self.state = replace(self.state, skips=self.stack[-1].skips)
        if word in _SKIPPED:
            self.state = replace(self.state, skips=True)
        elif word in _SIGNS:
            self._put(_SIGNS[word])
        elif word in (b"fonttbl", b"stylesheet", b"footnote", b"listtext", b"pntext"):
            target = {b"fonttbl": "fonts", b"stylesheet": "styles", b"footnote": "note"}.get(word, "mark")
            self.state = replace(self.state, target=target)
        elif word == b"uc":
            self.state = replace(self.state, n_after_unicode=max(0, min(number or 0, 100)))
        elif word in (b"deleted", b"v"):
            is_on = number is None or number > 0
            if word == b"deleted":
                self.state = replace(self.state, is_deleted=is_on)
            else:
                self.state = replace(self.state, is_hidden=is_on)
        elif word == b"plain":
            self.state = replace(self.state, is_deleted=False, is_hidden=False, encoding="")
        else:
            self._font_or_style(word, number)
            if self.state.target == "body" and not self.state.skips:
                self._layout(word, number)
            elif word == b"par":
                self._put("\n")

    def _font_or_style(self, word: bytes, number: int | None) -> None:
        if word == b"ansicpg" and number:
            self.encoding = f"cp{number}" if number != 65001 else "utf-8"
        elif word in (b"mac", b"pc", b"pca"):
            self.encoding = {b"mac": "mac_roman", b"pc": "cp437", b"pca": "cp850"}[word]
        elif word == b"f" and number is not None:
            if self.state.target == "fonts":
                self.font = number
            else:
                self.state = replace(self.state, encoding=self.fonts.get(number, ""))
        elif word == b"fcharset" and number in _CHARSETS:
            self.fonts[self.font] = _CHARSETS[number]
        elif self.state.target == "styles":
            if word == b"s" and number is not None:
                self.style = number
            elif word == b"outlinelevel" and number is not None and 0 <= number < 9:
                self.levels[self.style] = number + 1

    def _layout(self, word: bytes, number: int | None) -> None:
        if word == b"pard":
            self.level, self.in_table = None, False
        elif word == b"s" and number is not None:
            self.level = self.levels.get(number)
        elif word == b"outlinelevel" and number is not None:
            self.level = number + 1 if 0 <= number < 9 else None
        elif word in (b"intbl", b"trowd"):
            self.in_table = True
        elif word in (b"cell", b"nestcell"):
            self.cells.append("".join(self.parts))
            self.parts, self.in_table = [], True
        elif word == b"row":
            self.rows.append(self.cells)
            self.cells = []
        elif word in (b"par", b"sect", b"page"):
            if self.in_table:
                self.parts.append("\n")
            else:
                self._end_paragraph()

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._decode()
            self.state = replace(self.state, skips=True)
        elif sign in b"\r\n":
            self._word(b"par", None)
        elif sign in b"\\{}":
            self._bytes(sign)
        elif sign in b"~_":
            self._bytes({b"~": b" ", b"_": b"-"}[sign])

    def _bytes(self, raw: bytes) -> None:
        n_skipped = min(self.n_to_skip, len(raw))
        self.n_to_skip -= n_skipped
        self.raw += raw[n_skipped:]

    def _decode(self) -> None:
        """What was collected as bytes becomes text; a sign may be of several bytes."""
        if not self.raw:
            return
        raw, self.raw = bytes(self.raw), bytearray()
        try:
            text = raw.decode(self.state.encoding or self.encoding, "replace")
        except LookupError:
            text = raw.decode("cp1252", "replace")
        self._put(text)

    def _put(self, text: str) -> None:
        state = self.state
        if state.target == "styles":
            self.style_name += text
        elif state.skips or state.is_deleted or state.is_hidden:
            return
        elif state.target == "mark":
            self.mark += text
        elif state.target == "note":
            self.note.append(text)
        elif state.target == "body":
            if not self.in_table and (self.rows or self.cells) and text.strip():
                self._end_table()
            self.parts.append(text)

    def _end_paragraph(self) -> None:
        self._decode()
        text, self.parts = _whole("".join(self.parts)).strip(), []
        mark, self.mark = self.mark.strip(), ""
        if text and self.rows:
            self._end_table()
        if self.level is not None:
            self.builder.add_heading(self.level, f"{mark} {text}" if mark and text else text)
        elif mark and text:
            self.builder.add_item(f"{mark if mark[0].isalnum() or mark[0] == '(' else '-'} {text}")
        else:
            self.builder.add_paragraph(text)
        self._add_notes()

    def _end_table(self) -> None:
        if self.cells:
            self.rows.append(self.cells)
        rows = [[_whole(cell) for cell in row] for row in self.rows]
        rows = [row for row in rows if any(cell.strip() for cell in row)]
        self.rows, self.cells = [], []
        has_header = len(rows) > 1 and len(rows[0]) > 1 and names_columns(rows[0])
        self.builder.add_table(rows, has_header=has_header)
        self._add_notes()

    def _add_notes(self) -> None:
        for note in self.notes:
            self.builder.add_paragraph(_whole(note))
        self.notes = []


def _whole(text: str) -> str:
    """Signs that were written as two halves (surrogates) put together."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
