"""Every format to text, headings, pages and rows; and files that give none."""

from pathlib import Path

import pytest

from homespun.documents.document import Document
from homespun.documents.read import read_document
from homespun.documents.readers.builder import TextBuilder


@pytest.fixture
def read_bytes(tmp_path):
    """Reads bytes as a file of the given name."""

    def read(name, data):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_document(path)

    return read


def headings_of(document):
    """(level, text) of each heading, each checked to stand where it says."""
    for heading in document.headings:
        assert heading.text.split()[0] in document.text[heading.start :].split("\n")[0]
    return [(heading.level, heading.text) for heading in document.headings]


def rows_of(document):
    return [document.text[start:end] for start, end in document.rows]


def test_text_is_the_file_itself(read_bytes):
    document = read_bytes("a.txt", "Fee 40\r\n\r\n  Größe\n")
    assert document.text == "Fee 40\r\n\r\n  Größe\n"
    assert (document.status, document.reason, document.pages) == ("read", "", ())
    assert document.name == "a.txt"
    assert len(document.digest) == 64


def test_markdown_keeps_the_file_and_finds_its_headings(read_bytes):
    source = (
        "---\ntitle: x\n# no heading\n---\r\n# The **clinic** #\r\ntext\n\nFees\n----\n"
        "```\n# code\n```\n### `Deep` [link](http://x)\n- item\n---\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    )
    document = read_bytes("a.md", source)
    assert document.text == source
    assert headings_of(document) == [(1, "The clinic"), (2, "Fees"), (3, "Deep link")]
    assert rows_of(document) == ["| a | b |", "|---|---|", "| 1 | 2 |"]
    assert document.headings_at(source.index("item")) == ("The clinic", "Fees", "Deep link")
    assert document.headings_at(0) == ()


def test_html_gives_what_a_reader_sees(read_bytes):
    document = read_bytes(
        "a.html",
        """<html><head><title>Fees &amp; more</title><style>p{}</style>
        <script>var x = "<p>no";</script></head>
        <body><h2>Visits</h2><p>A visit costs&nbsp;40&euro;<br>in <b>cash</b>.</p>
        <ol start=3><li>Come<li>Pay</ol><p hidden>secret</p>
        <table><tr><th>Age</th><th>Dose</th><th></th></tr>
        <tr><td rowspan=2>5</td><td>10 mg</td><td>a</td></tr><tr><td><p>20</p><p>mg</p></td></tr></table>
        <table><tr><td>Left</td><td>Right</td></tr></table><pre>  x\n    y</pre></body></html>""",
    )
    assert document.text == (
        "Fees & more\n\nVisits\n\nA visit costs 40€\nin cash.\n\n3. Come\n4. Pay\n\n"
        "Age: 5; Dose: 10 mg; Column 3: a\nAge: 5; Dose: 20 mg\n\nLeft | Right\n\nx\n    y"
    )
    assert headings_of(document) == [(1, "Fees & more"), (2, "Visits")]
    assert rows_of(document) == ["Age: 5; Dose: 10 mg; Column 3: a", "Age: 5; Dose: 20 mg", "Left | Right"]


def test_html_of_a_declared_encoding(read_bytes):
    page = '<meta charset="Shift_JIS"><h1>診療</h1>'
    assert read_bytes("a.html", page.encode("cp932")).text == "診療"
    page = '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251"><p>Приём врача</p>'
    assert read_bytes("b.html", page.encode("cp1251")).text == "Приём врача"
    assert read_bytes("c.html", '<meta charset="latin1"><p>naïve'.encode()).text == "naïve"


def test_csv_rows_name_their_columns(read_bytes):
    document = read_bytes(
        "a.csv", 'Drug;Dose;Note\nA;1,5 mg;"two\nlines; one ""cell"""\nnull;NA;\nB;2;x;extra\n'
    )
    assert rows_of(document) == [
        'Drug: A; Dose: 1,5 mg; Note: two lines; one "cell"',
        "Drug: null; Dose: NA",
        "Drug: B; Dose: 2; Note: x; Column 4: extra",
    ]
    assert document.text == "\n".join(rows_of(document))


def test_csv_with_a_lone_quote_keeps_its_rows(read_bytes):
    document = read_bytes("a.csv", 'Size,Price\n5" pipe,3\n"8 pipe,4\n9,5\n')
    assert rows_of(document) == ['Size: 5" pipe; Price: 3', 'Size: "8 pipe; Price: 4', "Size: 9; Price: 5"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters(read_bytes, delimiter):
    text = "Name|Fee\r\nVisit|40\r\nCall|10\r\n".replace("|", delimiter)
    assert read_bytes("a.csv", text).text == "Name: Visit; Fee: 40\nName: Call; Fee: 10"


def test_docx_headings_lists_and_tables(read_bytes, build_docx):
    def paragraph(text, properties=""):
        return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"

    def row(*cells):
        return "<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in cells) + "</w:tr>"

    merged = '<w:tcPr><w:vMerge w:val="{}"/></w:tcPr>'
    body = (
        paragraph("Dosierung", '<w:pStyle w:val="berschrift2"/>')
        + "<w:p><w:r><w:t>Take </w:t></w:r><w:del><w:r><w:delText>3</w:delText></w:r></w:del>"
        + "<w:ins><w:r><w:t>4</w:t></w:r></w:ins><w:r><w:noBreakHyphen/><w:t>5</w:t></w:r></w:p>"
        + paragraph("first", "<w:numPr/>")
        + paragraph("second", "<w:numPr/>")
        + "<w:sdt><w:sdtContent>"
        + paragraph("in a control")
        + "</w:sdtContent></w:sdt><w:tbl>"
        + row(paragraph("Age"), paragraph("Dose"))
        + row(merged.format("restart") + paragraph("5"), paragraph("10") + paragraph("mg"))
        + row(merged.format("continue") + "<w:p/>", paragraph("20 mg"))
        + "</w:tbl>"
        + paragraph("End", '<w:pStyle w:val="Mine"/>')
    )
    styles = (
        '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
        '<w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="berschrift2"/></w:style>'
    )
    document = read_bytes("a.docx", build_docx(body, styles))
    assert document.text == (
        "Dosierung\n\nTake 4-5\n\n- first\n- second\n\nin a control\n\n"
        "Age: 5; Dose: 10 mg\nAge: 5; Dose: 20 mg\n\nEnd"
    )
    assert headings_of(document) == [(2, "Dosierung"), (2, "End")]
    assert len(document.rows) == 2


def test_docx_with_entities_is_refused(read_bytes):
    import io
    import zipfile

    out = io.BytesIO()
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", bomb)
    document = read_bytes("a.docx", out.getvalue())
    assert document.status == "not read"
    assert document.text == ""


def test_pdf_pages_carry_their_text(read_bytes, build_pdf, pdf_page):
    document = read_bytes(
        "a.pdf", build_pdf([pdf_page(["Fee is 40."]), pdf_page(), pdf_page(["Open at 9."])])
    )
    assert document.status == "read"
    assert [(page.number, document.text[page.start : page.end]) for page in document.pages] == [
        (1, "Fee is 40."),
        (2, ""),
        (3, "Open at 9."),
    ]
    assert document.page_at(document.text.index("Open")) == 3


def test_d1_scanned_pages_are_named(read_bytes, build_pdf, pdf_page):
    typed = [pdf_page(["The visit fee is forty units for all adults who come.", f"Page {n}"]) for n in (1, 2)]
    scans = [pdf_page([f"Page {n}"], image=True) for n in range(3, 11)]
    document = read_bytes("a.pdf", build_pdf(typed + scans))
    assert document.status == "partly read"
    assert "Pages 3-10 of 10" in document.reason
    assert "forty units" in document.text
    stamped = [pdf_page(["RECEIVED 4 May 2021", "Page 1"], image=True), *typed]
    assert "Page 1 of 3" in read_bytes("b.pdf", build_pdf(stamped)).reason
    only_scans = read_bytes("c.pdf", build_pdf(scans))
    assert only_scans.status == "not read"
    assert "scan" in only_scans.reason


def test_d2_locked_pdf_is_named_and_owner_lock_is_read(read_bytes, build_pdf, pdf_page):
    pages = [pdf_page(["The fee is 40."])]
    locked = read_bytes("a.pdf", build_pdf(pages, user_password="secret"))
    assert locked.status == "not read"
    assert "needs a password" in locked.reason
    restricted = read_bytes("b.pdf", build_pdf(pages, owner_password="owner"))
    assert (restricted.status, restricted.text) == ("read", "The fee is 40.")


def test_d3_word_broken_at_a_line_end_is_whole(read_bytes, build_pdf, pdf_page):
    lines = [
        "We see that cli-",
        "mate change and a long-",
        "term plan for a 10-",
        "day stay, a long-term one.",
    ]
    text = read_bytes("a.pdf", build_pdf([pdf_page(lines)])).text
    assert "climate change" in " ".join(text.split())
    assert "a long-term plan" in " ".join(text.split())
    assert "10-day" in text


def test_pdf_running_lines_go_and_others_stay(read_bytes, build_pdf, pdf_page):
    pages = [
        pdf_page(["Clinic handbook", f"Rule {n} says {n * n}.", "Take 5 mg.", f"- {n + 2} -"])
        for n in range(1, 7)
    ]
    document = read_bytes("a.pdf", build_pdf(pages))
    assert "handbook" not in document.text
    assert "- 5 -" not in document.text
    assert "Rule 3 says 9." in document.text
    few = read_bytes("b.pdf", build_pdf(pages[:3]))
    assert few.text.count("Clinic handbook") == 3


def test_broken_files_are_named_not_raised(read_bytes, build_pdf, pdf_page):
    whole = build_pdf([pdf_page(["The fee is 40."])])
    for name, data in {
        "cut.pdf": whole[:60],
        "noise.pdf": b"\x00\x01\x02" * 100,
        "page.docx": b"<html>",
        "old.docx": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "noise.txt": bytes(range(256)) * 4,
    }.items():
        document = read_bytes(name, data)
        assert document.status == "not read", name
        assert document.reason.endswith("."), name
        assert "\n" not in document.reason
    assert (
        "needs a password"
        in read_bytes(
            "locked.docx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + bytes(64)
            + "EncryptedPackage".encode("utf-16-le")
            + bytes(64),
        ).reason
    )


def test_d10_empty_files_are_named(read_bytes, build_pdf):
    for name, data in {
        "a.txt": b"",
        "blank.md": b" \n\n\t\n",
        "mark.txt": b"\xef\xbb\xbf",
        "header.csv": b"Name,Fee\n",
        "lines.csv": b"\n\n",
        "a.html": b"<html><body></body></html>",
        "none.pdf": build_pdf([]),
    }.items():
        document = read_bytes(name, data)
        assert (document.status, document.text) == ("not read", ""), name
        assert "empty" in document.reason or name == "none.pdf", name


def test_what_cannot_be_opened_is_named(tmp_path, monkeypatch):
    assert "could not be opened" in read_document(tmp_path / "gone.txt").reason
    (tmp_path / "d.txt").mkdir()
    assert read_document(tmp_path / "d.txt").status == "not read"
    (tmp_path / "x.exe").write_bytes(b"x")
    assert ".exe files are not supported" in read_document(tmp_path / "x.exe").reason
    monkeypatch.setattr("homespun.documents.read.MAX_FILE_BYTES", 10)
    (tmp_path / "large.txt").write_text("x" * 11)
    assert "at most" in read_document(tmp_path / "large.txt").reason


def test_pdfs_read_from_many_threads(read_bytes, tmp_path, build_pdf, pdf_page):
    from concurrent.futures import ThreadPoolExecutor

    paths = []
    for number in range(12):
        path = tmp_path / f"{number}.pdf"
        path.write_bytes(build_pdf([pdf_page([f"Fee {number}."])] * 3))
        paths.append(path)
    with ThreadPoolExecutor(6) as pool:
        texts = [document.text for document in pool.map(read_document, paths)]
    assert texts == ["\n\n".join([f"Fee {number}."] * 3) for number in range(12)]


def test_places_hold_what_was_added_inside_them_and_the_innermost_is_named() -> None:
    builder = TextBuilder()
    builder.add_paragraph("Before.")
    with builder.place("sheet Prices"):
        builder.add_table(
            [["Item", "Fee"], ["Visit", "40"], ["Call", "15"]],
            has_header=True,
            labels=["row 1", "row 2", "row 3"],
        )
    builder.add_paragraph("After.")
    reading = builder.reading()
    parts = {place.label: reading.text[place.start : place.end] for place in reading.places}
    assert parts == {
        "sheet Prices": "Item: Visit; Fee: 40\nItem: Call; Fee: 15",
        "row 2": "Item: Visit; Fee: 40",
        "row 3": "Item: Call; Fee: 15",
    }
    document = Document(Path("x"), "x", reading.text, (), (), "read", "", "", reading.rows, reading.places)
    assert document.place_at(reading.text.index("15")) == "row 3"
    assert document.place_at(reading.text.index("\nItem: Call")) == "sheet Prices"
    assert document.place_at(0) == document.place_at(len(reading.text) - 1) == ""


def test_a_nul_that_a_format_allows_is_replaced_one_for_one(read_bytes) -> None:
    document = read_bytes("a.json", '{"a": "x\\u0000y"}')
    assert document.status == "read"
    assert document.text == "a: x\ufffdy"
