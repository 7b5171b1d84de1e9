"""Word, PowerPoint, OpenDocument and RTF files: what people see, in order, with notes in their places."""

import pytest

from documents.office_writer import (
    checked_places,
    open_document,
    presentation,
    relations,
    shape,
    slide,
    zipped,
)
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import docx, legacy, odf, pptx, rtf

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def _word(body: str, **parts: str) -> bytes:
    wrapped = {f"word/{name}.xml": f"<w:{name} {_W}>{inner}</w:{name}>" for name, inner in parts.items()}
    return zipped({"word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>", **wrapped})


def _run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def test_word_notes_stand_behind_what_refers_to_them() -> None:
    reference = '<w:r><w:{}Reference w:id="{}"/></w:r>'
    body = (
        f"<w:p>{_run('A visit costs 40')}{reference.format('footnote', 2)}{_run('.')}</w:p>"
        f"<w:p>{_run('See the end')}{reference.format('endnote', 2)}</w:p><w:p>{_run('Last')}</w:p>"
    )
    note = '<w:{0} w:type="separator" w:id="0"><w:p>no</w:p></w:{0}><w:{0} w:id="2"><w:p>{1}</w:p></w:{0}>'
    reading = docx.read(
        _word(
            body,
            footnotes=note.format("footnote", _run("cash only")),
            endnotes=note.format("endnote", _run("really")),
        )
    )
    assert reading.text == ("A visit costs 40[1].\n\n[1] cash only\n\nSee the end[2]\n\n[2] really\n\nLast")


def test_word_leaves_out_what_was_deleted_or_moved_away() -> None:
    raised = '<w:vertAlign w:val="superscript"/>'
    body = (
        f"<w:p>{_run('keep ')}<w:del>{_run('gone')}</w:del><w:moveFrom>{_run('moved')}</w:moveFrom>"
        f"<w:moveTo>{_run('here ')}</w:moveTo>{_run('10')}{_run('6', raised)} {_run('st', raised)}</w:p>"
        f"<w:tbl><w:tr><w:tc><w:p>{_run('row')}</w:p></w:tc></w:tr><w:tr><w:trPr><w:del/></w:trPr>"
        f"<w:tc><w:p>{_run('deleted row')}</w:p></w:tc></w:tr></w:tbl>"
    )
    reading = docx.read(_word(body))
    assert reading.text == "keep here 10⁶st\n\nrow"
    assert checked_places(reading.text, reading.places) == [("table 1, row 1", "row")]


def test_word_lists_formulas_and_macros() -> None:
    item = '<w:p><w:pPr><w:numPr><w:ilvl w:val="{}"/></w:numPr></w:pPr>{}</w:p>'
    math = '<m:oMath xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><m:r><m:t>E=m</m:t></m:r></m:oMath>'
    data = _word(item.format(0, _run("one")) + item.format(1, _run("in it")) + f"<w:p>{math}</w:p>")
    assert docx.read(data).text == "- one\n  - in it\n\nE=m"
    with_macros = zipped(
        {"word/document.xml": f"<w:document {_W}>{_run('x')}</w:document>", "word/vbaProject.bin": "x"}
    )
    with pytest.raises(UnreadableFile, match="is no Word"):
        docx.read(zipped({"word/vbaProject.bin": "x"}))
    assert docx.read(with_macros).missing == "Its macros are left out (they are never run)."


_CHART = (
    '<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"><c:chart><c:plotArea>'
    "<c:ser><c:tx><c:v/><c:pt idx='0'><c:v>Visits</c:v></c:pt></c:tx>"
    "<c:cat><c:pt idx='0'><c:v>May</c:v></c:pt><c:pt idx='1'><c:v>June</c:v></c:pt></c:cat>"
    "<c:val><c:pt idx='0'><c:v>12</c:v></c:pt><c:pt idx='1'><c:v>15</c:v></c:pt></c:val></c:ser>"
    "</c:plotArea></c:chart></c:chartSpace>"
)


def test_slides_their_notes_tables_and_charts_are_places() -> None:
    cell = "<a:tc {}><a:txBody><a:p><a:r><a:t>{}</a:t></a:r></a:p></a:txBody></a:tc>"
    merged = 'vMerge="1"'
    rows = (
        f"<a:tr>{cell.format('', 'Age')}{cell.format('', 'Dose')}</a:tr>"
        f"<a:tr>{cell.format('', '5')}{cell.format('', '10 mg')}</a:tr>"
        f"<a:tr>{cell.format(merged, '')}{cell.format('', '20 mg')}</a:tr>"
    )
    chart = (
        '<p:graphicFrame><c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" r:id="r1"/>'
        "</p:graphicFrame>"
    )
    data = presentation(
        [
            slide(shape("one", "two", kind="") + shape("Fees", kind="title") + shape("12", kind="sldNum")),
            slide(f"<p:graphicFrame><a:tbl>{rows}</a:tbl></p:graphicFrame>" + shape("a box"), 'show="0"'),
            slide(chart),
        ],
        {
            "ppt/slides/_rels/slide1.xml.rels": relations(("notesSlide", "../notesSlides/n1.xml")),
            "ppt/notesSlides/n1.xml": slide(shape("Say it slowly", kind="body"), kind="notes"),
            "ppt/slides/_rels/slide3.xml.rels": relations(("chart", "../charts/c1.xml")),
            "ppt/charts/c1.xml": _CHART,
        },
    )
    reading = pptx.read(data)
    assert reading.text == (
        "Fees\n\n- one\n- two\n\nNotes: Say it slowly\n\nSlide 2 (hidden)\n\nAge: 5; Dose: 10 mg\n"
        "Age: 5; Dose: 20 mg\n\na box\n\nSlide 3\n\nCategory: May; Visits: 12\nCategory: June; Visits: 15"
    )
    assert [heading.text for heading in reading.headings] == ["Fees", "Slide 2 (hidden)", "Slide 3"]
    assert checked_places(reading.text, reading.places) == [
        ("slide 1", "Fees\n\n- one\n- two\n\nNotes: Say it slowly"),
        ("slide 1, notes", "Notes: Say it slowly"),
        ("slide 2 (hidden)", "Slide 2 (hidden)\n\nAge: 5; Dose: 10 mg\nAge: 5; Dose: 20 mg\n\na box"),
        ("slide 2 (hidden), table 1, row 2", "Age: 5; Dose: 10 mg"),
        ("slide 2 (hidden), table 1, row 3", "Age: 5; Dose: 20 mg"),
        ("slide 3", "Slide 3\n\nCategory: May; Visits: 12\nCategory: June; Visits: 15"),
        ("slide 3, table 1, row 2", "Category: May; Visits: 12"),
        ("slide 3, table 1, row 3", "Category: June; Visits: 15"),
    ]


def test_a_broken_slide_is_named_and_the_others_read() -> None:
    reading = pptx.read(presentation([slide(shape("fine")), "<broken"]))
    assert reading.text == "Slide 1\n\nfine"
    assert reading.missing == "Slides that are broken and not read: 2."
    with pytest.raises(UnreadableFile, match="none of its slides"):
        pptx.read(presentation(["<broken"]))


def test_odt_structure() -> None:
    cell = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    body = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>"
        '<text:h text:outline-level="2">Fees</text:h>'
        "<text:p>40<text:note><text:note-body><text:p>cash</text:p></text:note-body></text:note>"
        '<text:s text:c="2"/>euro<office:annotation><text:p>comment</text:p></office:annotation></text:p>'
        "<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>in it</text:p>"
        "</text:list-item></text:list></text:list-item></text:list>"
        f"<table:table><table:table-header-rows><table:table-row>{cell.format('1')}{cell.format('2')}"
        "</table:table-row></table:table-header-rows><table:table-row><table:table-cell "
        'table:number-rows-spanned="2"><text:p>x</text:p></table:table-cell>'
        f"{cell.format('y')}</table:table-row><table:table-row><table:covered-table-cell/>{cell.format('z')}"
        "</table:table-row></table:table>"
        "<text:p>end<draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p>"
    )
    reading = odf.read(open_document("text", body))
    assert reading.text == (
        "Fees\n\n40[1]  euro\n\n[1] cash\n\n- one\n  - in it\n\n1: x; 2: y\n1: x; 2: z\n\nend\n\nboxed"
    )
    assert [(heading.level, heading.text) for heading in reading.headings] == [(2, "Fees")]
    assert [label for label, _ in checked_places(reading.text, reading.places)] == [
        "table 1, row 2",
        "table 1, row 3",
    ]
    with pytest.raises(UnreadableFile, match="password"):
        odf.read(open_document("text", body, manifest="<m><encryption-data/></m>"))


def test_odp_slides() -> None:
    page = (
        '<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Top</text:p></draw:text-box>'
        "</draw:frame><draw:frame><draw:text-box><text:p>body</text:p></draw:text-box></draw:frame>"
        "<presentation:notes><draw:frame><draw:text-box><text:p>say</text:p></draw:text-box></draw:frame>"
        "</presentation:notes></draw:page>"
    )
    reading = odf.read(open_document("presentation", page))
    assert reading.text == "Top\n\nbody\n\nNotes: say"
    assert [label for label, _ in checked_places(reading.text, reading.places)] == [
        "slide 1",
        "slide 1, notes",
    ]


def test_rtf_shows_what_a_word_processor_does() -> None:
    data = rb"""{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}}
{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\s5\outlinelevel1 Mine;}}{\info{\title secret}}{\header top}
\pard\s1 Fees\par\pard\s5 Visits\par\pard A visit {\deleted 30 }costs \'80 40{\footnote\pard cash only},
 \u8364?5 {\f1 \'cf\'f0}{\v hidden}\par
\trowd\cellx1\cellx2\pard\intbl Age\cell Dose\cell\row\trowd\pard\intbl 1\cell 2 mg\cell\row\pard after\par
{\listtext\pard\plain 1.\tab}first\par{\listtext\'b7\tab}second{\*\unknown no}\par
{\field{\*\fldinst HYPERLINK "x"}{\fldrslt a link}}{\pict 00ff}\bin3 }}} {\u-10179?\u-8704?}\{end\}}"""
    reading = rtf.read(data)
    assert reading.text == (
        "Fees\n\nVisits\n\nA visit costs € 40[1], €5 Пр\n\n[1] cash only\n\nAge: 1; Dose: 2 mg\n\nafter\n\n"
        "1. first\n- second\n\na link \U0001f600{end}"
    )
    assert [(heading.level, heading.text) for heading in reading.headings] == [(1, "Fees"), (2, "Visits")]
    assert checked_places(reading.text, reading.places) == [("table 1, row 2", "Age: 1; Dose: 2 mg")]


def test_broken_rtf_ends_in_a_sentence_or_a_text() -> None:
    with pytest.raises(UnreadableFile, match="no RTF"):
        rtf.read(b"plain")
    with pytest.raises(UnreadableFile, match="nested too deep"):
        rtf.read(b"{\\rtf1" + b"{" * 20_000)
    assert rtf.read(b"{\\rtf1 cut \\'8").text == "cut 8"
    assert rtf.read(b"{\\rtf1 a}}}} b \\bin99999999 x").text == "a"


def test_old_formats_say_what_to_do() -> None:
    for data in (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf1", b"other"):
        with pytest.raises(UnreadableFile, match="try again"):
            legacy.read(data)
