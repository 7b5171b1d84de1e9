"""Spreadsheets to rows that name their columns, each row and cell a place with its spreadsheet name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.office_writer import checked_places, open_document, relations, sheet_row, workbook, worksheet
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import csv, odf, xlsx
from homespun.documents.readers.builder import row_line
from homespun.documents.readers.xlsx_numbers import kind_of_format, shown_number
from homespun.documents.readers.xlsx_table import cell_name, column_number

_STYLES = (
    '<numFmts><numFmt numFmtId="164" formatCode="dd\\.mm\\.yyyy"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="10"/><xf numFmtId="0" fontId="1"/></cellXfs>'
)


def test_rows_and_cells_are_places() -> None:
    rows = (
        sheet_row(1, A="Price list")
        + sheet_row(3, A="Drug", B="From", C="Share", D="Paid")
        + sheet_row(
            4,
            A='<c t="s"><v>0</v></c>',
            B='<c s="1"><v>45292</v></c>',
            C='<c s="2"><v>0.125</v></c>',
            D='<c t="b"><v>1</v></c>',
        )
        + sheet_row(7, B=0.30000000000000004, A="Z")
    )
    strings = '<si><r><t>Ibu</t></r><r><t>profen</t></r><rPh sb="0" eb="1"><t>reading</t></rPh></si>'
    reading = xlsx.read(workbook({"Prices": worksheet(rows)}, strings=strings, styles=_STYLES))
    assert reading.text == (
        "Prices\n\nPrice list\n\nDrug: Ibuprofen; From: 2024-01-01; Share: 12.5%; Paid: TRUE\n\n"
        "Drug: Z; From: 0.3"
    )
    assert reading.missing == ""
    assert [(heading.level, heading.text) for heading in reading.headings] == [(1, "Prices")]
    assert checked_places(reading.text, reading.places) == [
        ("sheet Prices", reading.text),
        ("sheet Prices, row 1", "Price list"),
        ("sheet Prices, cell A1", "Price list"),
        ("sheet Prices, row 4", "Drug: Ibuprofen; From: 2024-01-01; Share: 12.5%; Paid: TRUE"),
        ("sheet Prices, cell A4", "Ibuprofen"),
        ("sheet Prices, cell B4", "2024-01-01"),
        ("sheet Prices, cell C4", "12.5%"),
        ("sheet Prices, cell D4", "TRUE"),
        ("sheet Prices, row 7", "Drug: Z; From: 0.3"),
        ("sheet Prices, cell A7", "Z"),
        ("sheet Prices, cell B7", "0.3"),
    ]


def test_hidden_sheets_comments_and_text_boxes_are_read_and_named() -> None:
    drawing = (
        '<xdr:wsDr xmlns:xdr="http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><xdr:txBody><a:p><a:r>'
        "<a:t>Only for staff</a:t></a:r></a:p></xdr:txBody></xdr:wsDr>"
    )
    comments = (
        '<comments xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><commentList>'
        '<comment ref="A1"><text><t>ask first</t></text></comment></commentList></comments>'
    )
    data = workbook(
        {"Open": worksheet(sheet_row(1, A="x")), "Secret": worksheet(sheet_row(1, A="y"))},
        states={"Secret": "veryHidden"},
        extra={
            "xl/worksheets/_rels/sheet2.xml.rels": relations(
                ("comments", "../comments1.xml"), ("drawing", "../drawings/drawing1.xml")
            ),
            "xl/comments1.xml": comments,
            "xl/drawings/drawing1.xml": drawing,
        },
    )
    reading = xlsx.read(data)
    assert reading.text == ("Open\n\nx\n\nSecret (hidden)\n\ny\n\nComment on A1: ask first\n\nOnly for staff")
    labels = [label for label, _ in checked_places(reading.text, reading.places)]
    assert "sheet Secret (hidden), comment on A1" in labels


def test_formulas_give_their_saved_result_or_are_told() -> None:
    rows = sheet_row(1, A="<c><f>1+1</f><v>2</v></c>", B="<c><f>SUM(A1:A9)</f></c>", C="#REF!")
    reading = xlsx.read(workbook({"S": worksheet(rows)}))
    assert reading.text == "S\n\n2 | #REF!"
    assert reading.missing == (
        "1 formula has no saved result (S!B1); open it in a spreadsheet program and save it."
    )


def test_merged_cells_name_what_they_cover() -> None:
    rows = (
        sheet_row(1, A="Age", B="Dose")
        + sheet_row(2, B="min", C="max")
        + sheet_row(3, A="child", B=1.0, C=2.0)
        + sheet_row(4, B=3.0, C=4.0)
    )
    merges = '<mergeCells><mergeCell ref="B1:C1"/><mergeCell ref="A3:A4"/></mergeCells>'
    reading = xlsx.read(workbook({"S": worksheet(rows, merges)}))
    assert reading.text == ("S\n\nAge: child; Dose min: 1; Dose max: 2\nAge: child; Dose min: 3; Dose max: 4")


def test_a_form_of_two_columns_has_no_names_of_columns() -> None:
    rows = sheet_row(1, A="Name", B="Ada") + sheet_row(2, A="Town", B="London")
    assert xlsx.read(workbook({"S": worksheet(rows)})).text == "S\n\nName | Ada\nTown | London"
    bold = sheet_row(
        1,
        A='<c s="3" t="inlineStr"><is><t>Key</t></is></c>',
        B='<c s="3" t="inlineStr"><is><t>Of</t></is></c>',
    )
    reading = xlsx.read(workbook({"S": worksheet(bold + sheet_row(2, A="T", B="L"))}, styles=_STYLES))
    assert reading.text == "S\n\nKey: T; Of: L"


def test_an_absurd_sheet_costs_nothing() -> None:
    far = '<row r="1048576"><c r="XFD1048576"><v>7</v></c></row>'
    merge = '<mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    reading = xlsx.read(workbook({"S": worksheet(sheet_row(1, A="x") + far, merge)}))
    assert reading.text.endswith("7")
    assert ("sheet S, cell XFD1048576", "7") in checked_places(reading.text, reading.places)


def test_too_many_cells_are_told(monkeypatch) -> None:
    monkeypatch.setattr(xlsx, "MAX_CELLS", 3)
    rows = "".join(sheet_row(number, A=f"w{number}", B=number) for number in range(1, 9))
    reading = xlsx.read(workbook({"S": worksheet(rows), "T": worksheet(sheet_row(1, A="late"))}))
    assert "w2" in reading.text
    assert "w8" not in reading.text
    assert reading.missing == "Only its first 3 cells are read; divide the workbook."


def test_macros_are_told_and_binary_workbooks_refused() -> None:
    reading = xlsx.read(workbook({"S": worksheet(sheet_row(1, A="x"))}, extra={"xl/vbaProject.bin": b"x"}))
    assert reading.missing == "Its macros are left out (they are never run)."
    with pytest.raises(UnreadableFile, match="holds no sheet"):
        xlsx.read(workbook({}))


@pytest.mark.parametrize(
    ("number", "code", "value", "shown"),
    [
        (0, "", "45292", "45292"),
        (14, "", "1", "1900-01-01"),
        (14, "", "60", "1900-02-28"),
        (14, "", "61", "1900-03-01"),
        (22, "", "45292.75", "2024-01-01 18:00"),
        (20, "", "0.5", "12:00"),
        (46, "", "1.5", "36:00:00"),
        (164, "[$-407]d. mmmm yyyy;@", "45292", "2024-01-01"),
        (164, '0.0" days"', "2.5", "2.5"),
        (164, "[h]:mm", "2", "48:00:00"),
        (9, "", "0.07", "7%"),
        (164, "General", "1e3", "1000"),
        (14, "", "1e300", "1e+300"),
        (0, "", "no number", "no number"),
    ],
)
def test_numbers_are_shown_as_people_see_them(number: int, code: str, value: str, shown: str) -> None:
    assert shown_number(value, kind_of_format(number, code), is_1904=False) == shown


def test_days_since_1904() -> None:
    assert shown_number("0", "date", is_1904=True) == "1904-01-01"
    rows = sheet_row(1, A='<c s="1"><v>1</v></c>')
    data = workbook({"S": worksheet(rows)}, styles=_STYLES, properties='<workbookPr date1904="1"/>')
    assert xlsx.read(data).text == "S\n\n1904-01-02"


@given(st.integers(1, 16_384), st.integers(1, 1_048_576))
def test_cell_names_and_columns_agree(column: int, row: int) -> None:
    assert column_number(cell_name(column, row)) == column


def test_known_cell_names() -> None:
    assert [cell_name(column, 7) for column in (1, 2, 26, 27, 702, 703, 16_384)] == [
        "A7", "B7", "Z7", "AA7", "ZZ7", "AAA7", "XFD7",
    ]  # fmt: skip


_WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)


@given(st.lists(st.tuples(_WORDS.map(lambda name: " ".join(name.split())), _WORDS), max_size=6))
def test_values_lie_where_a_line_says(cells: list[tuple[str, str]]) -> None:
    line, spans = row_line(cells)
    assert len(spans) == len(cells)
    for (_, cell), span in zip(cells, spans, strict=True):
        value = " ".join(cell.split())
        assert (span is None) == (not value)
        if span:
            assert line[span[0] : span[1]] == value


def test_ods_sheets_with_repeated_rows_and_cells() -> None:
    def cell(text: str, attributes: str = "") -> str:
        return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"

    twice = 'table:number-columns-repeated="2"'
    number = 'office:value-type="float" office:value="1"'
    sheet = (
        '<table:table table:name="Stock" table:style-name="off">'
        f"<table:table-row>{cell('Part')}{cell('Count')}</table:table-row>"
        f"<table:table-row>{cell('bolt')}{cell('7', number)}</table:table-row>"
        '<table:table-row table:number-rows-repeated="3"><table:table-cell/></table:table-row>'
        f"<table:table-row>{cell('x', twice)}</table:table-row>"
        '<table:table-row table:number-rows-repeated="1048570">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row></table:table>'
    )
    style = '<style:style style:name="off"><style:table-properties table:display="false"/></style:style>'
    reading = odf.read(open_document("spreadsheet", sheet, style))
    assert reading.text == "Stock (hidden)\n\nPart: bolt; Count: 7\n\nPart: x; Count: x"
    places = checked_places(reading.text, reading.places)
    assert ("sheet Stock (hidden), row 2", "Part: bolt; Count: 7") in places
    assert ("sheet Stock (hidden), cell B2", "7") in places
    assert ("sheet Stock (hidden), cell B6", "x") in places


def test_csv_rows_are_numbered_as_in_a_spreadsheet() -> None:
    reading = csv.read(b'sep=;\nName;Fee\n"two\nlines";1\n\nlast;2\n')
    assert checked_places(reading.text, reading.places) == [
        ("row 2", "Name: two lines; Fee: 1"),
        ("row 4", "Name: last; Fee: 2"),
    ]
