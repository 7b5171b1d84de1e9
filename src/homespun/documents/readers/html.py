"""Web pages: their visible text, headings and tables. Nothing that they point to is fetched."""

import re
from html.parser import HTMLParser

from homespun.documents.decode import decode_text
from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder, superscript


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_UNSEEN = frozenset(("script", "style", "template", "noscript", "svg", "math", "iframe", "object", "head"))
_BLOCKS = _names(
    "address article aside blockquote body center dd details dialog div dl dt fieldset figcaption "
    "figure footer form header hr legend main nav option p section select summary caption"
)
_VOID = _names("area base br col embed hr img input link meta source track wbr")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]+)|<\?xml[^>]{0,100}encoding=[\"']([\w.-]+)", re.I
)
# What the web's pages call so is read as the larger Windows sets by every browser.
_WEB_NAMES = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-9": "cp1254",
    "euc-kr": "cp949",
}


def read(data: bytes) -> Reading:
    """The page's text in reading order; its title is a heading where the page has no h1."""
    text = decode_page(data)
    builder = TextBuilder()
    title = add_page(builder, text)
    reading = builder.reading()
    has_top = any(heading.level == 1 for heading in reading.headings)
    if title.strip() and reading.text and not has_top:
        builder = TextBuilder()
        builder.add_heading(1, title)
        add_page(builder, text)
        return builder.reading()
    return reading


def add_page(builder: TextBuilder, markup: str) -> str:
    """Add what a page shows to a text; gives the page's title, which is not added."""
    page = _Page(builder)
    page.feed(markup)
    page.close()
    page.flush()
    return page.title


def decode_page(data: bytes) -> str:
    """A page's markup, in the encoding that it declares where it cannot be told from the bytes."""
    declared = _CHARSET.search(data[:4096])
    if declared and not data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        name = (declared[1] or declared[2]).decode("ascii", "replace").lower()
        # A declaration that can be read as ASCII cannot be true of UTF-16.
        if not name.startswith(("utf-8", "utf8", "utf-16", "utf-32")) and not _is_utf8(data):
            try:
                return data.decode(_WEB_NAMES.get(name, name))
            except (UnicodeDecodeError, LookupError) as error:
                raise UnreadableFile(
                    f"It says that its encoding is {name}, but cannot be read so."
                ) from error
    return decode_text(data).text


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class _Table:
    """The rows of a table, with cells that span several rows or columns repeated."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self.header_cells: list[int] = []  # how many columns of each row are under its own th
        self.n_cells: list[int] = []
        self.hanging: dict[int, tuple[int, str]] = {}  # column -> rows left, text
        self.cell: list[str] | None = None
        self.spans = (1, 1)
        self.is_in_row = False

    def start_row(self) -> None:
        self.end_row()
        self.is_in_row = True
        self.rows.append([])
        self.header_cells.append(0)
        self.n_cells.append(0)

    def start_cell(self, attributes: dict[str, str | None], *, is_header: bool) -> None:
        self.end_cell()
        if not self.is_in_row:
            self.start_row()
        self.cell = []
        self.spans = (_span(attributes.get("rowspan")), _span(attributes.get("colspan")))
        self.header_cells[-1] += is_header * self.spans[1]
        self.n_cells[-1] += self.spans[1]

    def end_cell(self) -> None:
        if self.cell is None:
            return
        text = " ".join("".join(self.cell).split())
        n_rows, n_columns = self.spans
        row = self.rows[-1]
        self._take_hanging(row)
        for _ in range(n_columns):
            if n_rows > 1:
                self.hanging[len(row)] = (n_rows, text)
            row.append(text)
        self.cell = None

    def end_row(self) -> None:
        self.end_cell()
        if not self.is_in_row:
            return
        self.is_in_row = False
        self._take_hanging(self.rows[-1])
        self.hanging = {column: (left - 1, text) for column, (left, text) in self.hanging.items() if left > 1}

    def _take_hanging(self, row: list[str]) -> None:
        while len(row) in self.hanging:
            row.append(self.hanging[len(row)][1])

    @property
    def has_header(self) -> bool:
        return len(self.rows) > 1 and self._is_header(0)

    def _is_header(self, index: int) -> bool:
        # A corner is often no header cell, and cells that span rows are counted in their first.
        n_cells = len(self.rows[index])
        return n_cells > 0 and self.header_cells[index] > 0 and self.header_cells[index] >= n_cells - 1

    def whole_rows(self) -> list[list[str]]:
        """The rows that hold something; a second row of names is joined with the first."""
        rows = self.rows
        if len(rows) > 2 and self._is_header(0) and self.n_cells[1] == self.header_cells[1] > 1:
            upper, lower = rows[0], rows[1]
            names = [
                lower[index]
                if index >= len(upper) or upper[index] == lower[index]
                else f"{upper[index]} {lower[index]}".strip()
                for index in range(len(lower))
            ]
            rows = [names, *rows[2:]]
        return [row for row in rows if any(row)]


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return "hidden" in attributes or "display:none" in style


def _span(value: str | None) -> int:
    return min(int(value), 100) if value and value.isascii() and value.isdigit() and int(value) else 1


class _Page(HTMLParser):
    def __init__(self, builder: TextBuilder) -> None:
        super().__init__(convert_charrefs=True)
        self.builder = builder
        self.title = ""
        self.words: list[str] = []
        self.unseen = ""  # the element that is skipped, and how deep in others of its name
        self.unseen_depth = 0
        self.in_title = False
        self.heading = 0
        self.in_item = False
        self.n_pre = 0
        self.in_raised = False
        self.lists: list[int | None] = []  # the next number of each open list; None: bullets
        self.tables: list[_Table] = []

    # --- elements

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title" and not self.title:
            self.in_title = True
        if tag == "body":
            self.unseen = ""  # a head left open
        if self.unseen:
            self.unseen_depth += tag == self.unseen
            return
        attributes = dict(attrs)
        if tag in _UNSEEN or (_is_hidden(attributes) and tag not in _VOID):
            self.unseen, self.unseen_depth = tag, 1
        elif self.tables and tag in ("tr", "td", "th"):
            table = self.tables[-1]
            if tag == "tr":
                table.start_row()
            else:
                table.start_cell(attributes, is_header=tag == "th")
        elif tag == "table":
            self._start_table()
        elif tag == "br":
            self._write("\n")
        elif tag == "sup":
            self.in_raised = True
        else:
            self._start_block(tag, attributes)

    def _start_block(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag in _HEADINGS:
            self.flush()
            self.heading = _HEADINGS[tag]
        elif tag in ("ul", "ol", "menu"):
            self.flush()
            self.lists.append(_span(attributes.get("start")) if tag == "ol" else None)
        elif tag == "li":
            self.flush()
            self.in_item = True
        elif tag == "pre":
            self.flush()
            self.n_pre += 1
        elif tag in _BLOCKS:
            self.flush()

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self.in_title = False
        if self.unseen:
            self.unseen_depth -= tag == self.unseen
            if self.unseen_depth <= 0:
                self.unseen = ""
            return
        if tag == "sup":
            self.in_raised = False
        elif tag == "table" and self.tables:
            self._end_table()
        elif self.tables and tag in ("td", "th"):
            self.tables[-1].end_cell()
        elif self.tables and tag == "tr":
            self.tables[-1].end_row()
        elif tag == "pre":
            self.flush()
            self.n_pre = max(0, self.n_pre - 1)
        elif tag in ("ul", "ol", "menu"):
            self.flush()
            if self.lists:
                self.lists.pop()
        elif tag in _HEADINGS or tag in _BLOCKS or tag == "li":
            self.flush()

    def handle_data(self, data: str) -> None:
        if self.in_title:
            self.title += data
        elif not self.unseen:
            if self.in_raised:
                data = superscript(data)
            self._write(data if self.n_pre else re.sub(r"\s+", " ", data))

    # --- text

    def _write(self, text: str) -> None:
        if self.tables:
            cell = self.tables[-1].cell
            if cell is not None:
                cell.append(text)
                return
        self.words.append(text)

    def flush(self) -> None:
        """End the paragraph, heading or item that is open; in a table cell, a space does."""
        if self.tables and self.tables[-1].cell is not None:
            self._write(" ")
            return
        text = "".join(self.words)
        self.words = []
        if not self.n_pre:
            text = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
        if not text.strip():
            return
        if self.heading:
            self.builder.add_heading(self.heading, text)
        elif self.in_item:
            self.builder.add_item(self._mark() + text, len(self.lists) - 1)
        elif self.n_pre:
            self.builder.add_paragraph(text.strip("\n"))
        else:
            self.builder.add_paragraph(text)
        self.heading, self.in_item = 0, False

    def _mark(self) -> str:
        number = self.lists[-1] if self.lists else None
        if number is None:
            return "- "
        self.lists[-1] = number + 1
        return f"{number}. "

    # --- tables

    def _start_table(self) -> None:
        if not self.tables:
            self.flush()
        self.tables.append(_Table())

    def _end_table(self) -> None:
        table = self.tables.pop()
        table.end_row()
        rows = table.whole_rows()
        if self.tables:  # a table in a cell is part of the cell's text
            self._write(" " + "; ".join(" ".join(row) for row in rows) + " ")
        else:
            self.builder.add_table(rows, has_header=table.has_header)

    def close(self) -> None:
        """The rest of the page, with the tables that it left open."""
        super().close()
        while self.tables:
            self._end_table()
