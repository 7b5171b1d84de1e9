"""JSON, notebooks, e-books, programs, rst, and what web pages and Markdown show beside plain paragraphs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.office_writer import checked_places, zipped
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import SUPPORTED_SUFFIXES, code, epub, html, ipynb, json_lines, markdown, rst
from homespun.documents.readers import json as json_reader


def test_json_records_are_rows_and_numbers_stay_as_written() -> None:
    reading = json_reader.read(
        b'{"name": "x", "price": 1.10, "address": {"city": "Y"}, "orders": [{"id": 1, "tags": ["a", "b"],'
        b' "of": {"by": null}}, {"id": 2}], "more": {"a": 1, "b": true, "c": 3, "d": [[1], []]}}'
    )
    assert reading.text == (
        "name: x\nprice: 1.10\naddress.city: Y\n\norders\n\nid: 1; tags: a, b; of.by: null\nid: 2\n\n"
        "more\n\nmore.a: 1\nmore.b: true\nmore.c: 3\nmore.d[0]: 1"
    )
    assert [heading.text for heading in reading.headings] == ["orders", "more"]
    assert checked_places(reading.text, reading.places) == [
        ("orders, item 1", "id: 1; tags: a, b; of.by: null"),
        ("orders, item 2", "id: 2"),
    ]


@given(
    st.lists(
        st.dictionaries(st.text("abc", min_size=1), st.integers() | st.text("xyz "), min_size=1), min_size=1
    )
)
def test_items_lie_where_they_say(records: list[dict[str, int | str]]) -> None:
    reading = json_reader.read(json.dumps(records).encode())
    shown = checked_places(reading.text, reading.places)
    for label, text in shown:
        record = records[int(label.removeprefix("item ")) - 1]
        for name, value in record.items():
            assert not str(value).strip() or f"{name}: {' '.join(str(value).split())}" in text
    assert "\n".join(text for _, text in shown) == reading.text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"a": 1,}', "no valid JSON: .* line 1, column"),
        (b"[" * 200_000, "no usable JSON: it is nested too deep"),
    ],
)
def test_bad_json_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        json_reader.read(data)


def test_json_lines_are_numbered_and_bad_ones_told() -> None:
    reading = json_lines.read(b'{"a": 1}\n\nbad\n{"a": {"b": [1, 2]}}\n')
    assert checked_places(reading.text, reading.places) == [("line 1", "a: 1"), ("line 4", "a.b: 1, 2")]
    assert reading.missing == "Lines that are no valid JSON and not read: 3."
    with pytest.raises(UnreadableFile, match="none of its lines"):
        json_lines.read(b"one\ntwo\n")


def test_notebook_cells_are_places() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Top\n", "text"]},
        {"cell_type": "code", "source": ""},
        {
            "cell_type": "code",
            "source": "print(1)",
            "outputs": [
                {"output_type": "stream", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": "AAAA"}},
                {"output_type": "error", "ename": "ValueError", "evalue": "bad"},
            ],
        },
    ]
    reading = ipynb.read(json.dumps({"cells": cells}).encode())
    assert checked_places(reading.text, reading.places) == [
        ("cell 1", "# Top\ntext"),
        ("cell 3", "print(1)\n\n1\nValueError: bad"),
    ]
    assert [(heading.start, heading.text) for heading in reading.headings] == [(0, "Top")]
    old = {
        "worksheets": [{"cells": [{"cell_type": "heading", "level": 2, "source": "H"}, {"input": "x = 1"}]}]
    }
    assert ipynb.read(json.dumps(old).encode()).text == "H\n\nx = 1"
    with pytest.raises(UnreadableFile, match="no notebook"):
        ipynb.read(b"[]")


def test_a_long_output_is_cut_and_told() -> None:
    cell = {"cell_type": "code", "source": "x", "outputs": [{"text": "y" * 30_000}]}
    reading = ipynb.read(json.dumps({"cells": [cell]}).encode())
    assert len(reading.text) == 3 + 20_000
    assert reading.missing == "Only the first 20,000 characters of what these cells wrote are read: 1."


def _book(chapters: dict[str, str], spine: str, extra: dict[str, str] | None = None) -> bytes:
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml" properties="{name}"/>'
        for name in chapters
    )
    references = "".join(f'<itemref idref="{name}"/>' for name in spine.split())
    return zipped(
        {
            "META-INF/container.xml": (
                '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
                '<rootfile full-path="O/book.opf"/></rootfiles></container>'
            ),
            "O/book.opf": (
                f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}'
                '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
                f'<spine toc="ncx">{references}</spine></package>'
            ),
            **{f"O/{name}.xhtml": page for name, page in chapters.items()},
            **(extra or {}),
        }
    )


def test_a_book_is_read_in_the_order_of_its_spine() -> None:
    nav = (
        '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:e="http://www.idpf.org/2007/ops"><nav e:type="toc">'
        '<a href="two.xhtml#x">The <b>second</b></a></nav></html>'
    )
    chapters = {"two": "<p>plain&nbsp;text</p>", "one": "<h1>First</h1><p>words</p>", "nav": nav}
    reading = epub.read(_book(chapters, "nav one two gone"))
    assert reading.text == "First\n\nwords\n\nThe second\n\nplain text"
    assert [heading.text for heading in reading.headings] == ["First", "The second"]


def test_older_books_broken_chapters_and_locked_books() -> None:
    ncx = (
        '<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "x.dtd"><ncx xmlns="http://www.daisy.org/z3986/2005/ncx/">'
        '<navMap><navPoint><navLabel><text>Start</text></navLabel><content src="one.xhtml"/></navPoint></navMap></ncx>'
    )
    chapters = {"one": "<p>words</p>"}
    assert epub.read(_book(chapters, "one", {"O/toc.ncx": ncx})).text == "Start\n\nwords"
    broken = _book(chapters, "one two").replace(b"O/one.xhtml", b"O/off.xhtml")
    with pytest.raises(UnreadableFile, match="none of its chapters"):
        epub.read(broken)
    locked = _book(chapters, "one", {"META-INF/encryption.xml": '<x><EncryptionMethod Algorithm="aes"/></x>'})
    with pytest.raises(UnreadableFile, match="digital rights"):
        epub.read(locked)
    veiled = '<x><EncryptionMethod Algorithm="http://www.idpf.org/2008/embedding"/></x>'
    assert epub.read(_book(chapters, "one", {"META-INF/encryption.xml": veiled})).text == "words"


def test_code_keeps_the_file_and_finds_definitions() -> None:
    source = (
        "import os\n\nclass A(B):\n    def f(self, x):\n        return g(x)\n\ndef main() -> None:\n"
        "    if (x) {\n    for (a in b) {\nexport default async function foo(a) {\n"
        "int main(int argc, char **argv) {\n  return f(x) {\nfunc (s *Server) Run() error {\n"
        "CREATE TABLE IF NOT EXISTS users (\n[tool.ruff]\nserver:\n  port: 3\n"
    )
    reading = code.read(source.encode())
    assert reading.text == source
    for heading in reading.headings:
        assert source[heading.start :].startswith(heading.text)
    assert [(heading.level, heading.text) for heading in reading.headings] == [
        (1, "class A(B)"),
        (2, "def f(self, x)"),
        (1, "def main() -> None"),
        (1, "export default async function foo(a)"),
        (1, "int main(int argc, char **argv)"),
        (1, "func (s *Server) Run() error"),
        (1, "CREATE TABLE IF NOT EXISTS users ("),
        (1, "[tool.ruff]"),
        (1, "server"),
    ]


def test_packed_code_is_refused_and_long_lines_cost_nothing() -> None:
    with pytest.raises(UnreadableFile, match="packed for machines"):
        code.read(b"a(b);" * 20_000)
    hostile = ("static " * 60 + "a " * 40 + "\n") * 200 + ("a(" * 240 + "\n") * 200
    assert code.read(hostile.encode()).text == hostile


def test_rst_headings_by_their_lines() -> None:
    source = (
        "=====\nTitle\n=====\n\nText\n\nSub ``x``\n---------\n\n+---+---+\n| a | b |\n+---+---+\n\n"
        "=== ===\na   b\n=== ===\n1   2\n=== ===\n\nparagraph\nover\n----\n\nNext\r\n====\r\n"
    )
    reading = rst.read(source.encode())
    assert reading.text == source
    assert [(heading.level, heading.text) for heading in reading.headings] == [
        (1, "Title"),
        (2, "Sub x"),
        (3, "Next"),
    ]
    assert [source[start:end] for start, end in reading.rows] == ["| a | b |"]


def test_markdown_tables_need_no_bar_at_the_start() -> None:
    source = "a | b\n---|---\n1 | 2\n\ntext | x\n```\n| no |\n```\n| c |\n|---|\n| d |\n"
    reading = markdown.read(source.encode())
    assert [source[start:end] for start, end in reading.rows] == [
        "a | b", "---|---", "1 | 2", "| c |", "|---|", "| d |",
    ]  # fmt: skip


def test_web_pages_keep_lists_in_lists_captions_and_raised_digits() -> None:
    page = (
        "<ul><li>a<ul><li>b<li>c</ul><li>d</ul><p>10<sup>6</sup> m<sup>2</sup><sup>[1]</sup> 1<sup>st</sup></p>"
        "<p style='display: none'>no</p><table><caption>Doses</caption><tr><th rowspan=2>Age<th colspan=2>Dose"
        "</tr><tr><th>min<th>max</tr><tr><td>1<td>2<td>3</table>"
    )
    reading = html.read(page.encode())
    assert reading.text == (
        "- a\n  - b\n  - c\n- d\n\n10⁶ m²[1] 1st\n\nDoses\n\nAge: 1; Dose min: 2; Dose max: 3"
    )
    assert [label for label, _ in checked_places(reading.text, reading.places)] == ["table 1, row 2"]


def test_every_ending_has_a_reader() -> None:
    from homespun.documents.readers import reader_for

    for suffix in SUPPORTED_SUFFIXES:
        assert callable(reader_for(suffix))
