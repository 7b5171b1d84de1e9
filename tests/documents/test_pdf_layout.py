"""PDFs drawn with known places: what is read from them, in which order, and what is lit on their pages."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.documents.errors import UnreadableFile
from homespun.documents.ocr import OcrError, OcrOptions, check_ocr, find_tesseract, installed_languages
from homespun.documents.page_image import PageImage, PageImageError, Sign, find_boxes, lit_page
from homespun.documents.read import ReadOptions, read_document
from homespun.documents.readers.pdf import read
from homespun.documents.readers.pdf_layout import lay_out
from homespun.documents.readers.pdf_page import Segment

pytest.importorskip("reportlab", reason="reportlab draws the PDFs of these tests")

Canvas = pytest.importorskip("reportlab.pdfgen.canvas").Canvas

LEFT = [
    "The clinic opens its doors every day at eight and the first",
    "visitors are seen at once. Those who come later wait in the",
    "yellow room, where a nurse asks each of them about the cli-",
    "mate at home, the food that they ate and the pain they feel.",
    "Nobody waits longer than an hour without being asked again.",
    "The fee is paid before leaving.",
]
RIGHT = [
    "A second nurse takes care of children who came by themselves",
    "and calls a parent before anything else is done to the child.",
    "The doctor on duty may be called from any room by the button",
    "beside the door, and comes within five minutes or calls back.",
    "At six in the evening the doors close and the lists are kept.",
    "The fee is paid before leaving.",
]


def draw(make: Callable[..., None]) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842))
    make(canvas)
    canvas.save()
    return out.getvalue()


def lines(canvas: Canvas, x: float, y: float, texts: list[str], size: float = 9, step: float = 12) -> None:
    canvas.setFont("Helvetica", size)
    for number, text in enumerate(texts):
        canvas.drawString(x, y - number * step, text)


def two_columns(canvas: Canvas) -> None:
    """Drawn row by row across both columns, as some programs do."""
    canvas.setFont("Helvetica-Bold", 16)
    canvas.drawString(120, 780, "How the clinic receives those who come to it")
    canvas.setFont("Helvetica", 9)
    for number, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        canvas.drawString(50, 740 - 12 * number, left)
        canvas.drawString(315, 740 - 12 * number, right)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_two_columns_are_read_one_after_the_other() -> None:
    text = flat(read(draw(two_columns)).text)
    assert text.startswith("How the clinic receives those who come to it The clinic opens its doors")
    assert "the first visitors are seen at once" in text
    assert "about the climate at home" in text
    assert "before leaving. A second nurse takes care" in text
    assert "by themselves and calls a parent" in text


def test_three_columns_under_a_line_across_and_above_another() -> None:
    texts = [
        [f"column {name} line {n} goes on and on" for n in range(1, 7)] for name in ("one", "two", "three")
    ]

    def make(canvas: Canvas) -> None:
        across = "This line goes across the whole page and belongs to none of the columns below it at all."
        lines(canvas, 50, 780, [across], 11)
        for number in range(6):
            for column in range(3):
                lines(canvas, 50 + 170 * column, 750 - 12 * number, [texts[column][number]])
        lines(
            canvas,
            50,
            650,
            ["Another one stands below them, again from the left edge to the right edge here."],
            11,
        )

    text = flat(read(draw(make)).text)
    order = [text.index("This line"), *(text.index(column[k]) for column in texts for k in (0, 5))]
    assert [*order, text.index("Another one")] == sorted([*order, text.index("Another one")])


def test_tables_are_rows_and_no_columns() -> None:
    rows = [("Place", "Adults", "Children"), ("face", "5 days", "4 days"), ("scalp", "8 days", "7 days")]
    rows += [("back of the hand", "10 days", "9 days"), ("foot", "14 days", "12 days")]

    def make(canvas: Canvas) -> None:
        lines(
            canvas,
            50,
            780,
            ["Stitches are taken out after the time that the table below gives for the place."],
        )
        for number, row in enumerate(rows):
            for x, cell in zip((60, 260, 400), row, strict=True):
                lines(canvas, x, 750 - 15 * number, [cell])
        lines(canvas, 50, 660, ["The doctor may decide otherwise."])

    reading = read(draw(make))
    assert [reading.text[a:b] for a, b in reading.rows] == ["\t".join(row) for row in rows]
    assert "The doctor may" in reading.text[reading.rows[-1][1] :]


def test_items_with_marks_are_no_table() -> None:
    def make(canvas: Canvas) -> None:
        for number, mark in enumerate(("1.", "2.", "•", "•")):
            lines(canvas, 50, 700 - 14 * number, [mark])
            lines(canvas, 80, 700 - 14 * number, [f"Wash the hands for the {number}th time today."])

    reading = read(draw(make))
    assert reading.rows == ()
    assert "1. Wash the hands for the 0th" in reading.text


def test_headings_by_size_weight_and_bookmark() -> None:
    def make(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 22)
        canvas.drawString(50, 780, "Handbook")
        canvas.setFont("Helvetica", 15)
        canvas.drawString(50, 740, "Opening hours")
        lines(
            canvas, 50, 715, ["The clinic is open from eight to six on all days of the working week."] * 3, 10
        )
        canvas.setFont("Helvetica-Bold", 10)
        canvas.drawString(50, 655, "On holidays")
        lines(
            canvas,
            50,
            640,
            ["The clinic is closed, and the hospital takes all calls until the morning."] * 3,
            10,
        )

        lines(
            canvas,
            50,
            590,
            ["This summary is set a little larger than all the rest of the text,"] * 3,
            12,
            15,
        )

    def outlined(canvas: Canvas) -> None:
        lines(
            canvas,
            50,
            780,
            ["3.1 Fees for adults", "They pay forty euros for each of their visits to us."] * 2,
            10,
        )
        canvas.bookmarkPage("fees")
        canvas.addOutlineEntry("Fees for adults", "fees", level=0)

    reading = read(draw(make))
    found = [(heading.level, heading.text) for heading in reading.headings]
    assert found == [(1, "Handbook"), (2, "Opening hours"), (3, "On holidays")]
    assert all(reading.text[heading.start :].startswith(heading.text) for heading in reading.headings)
    assert [(h.level, h.text) for h in read(draw(outlined)).headings] == [(1, "3.1 Fees for adults")]


def test_paragraphs_stand_apart() -> None:
    def make(canvas: Canvas) -> None:
        lines(canvas, 50, 780, ["One line of the first paragraph of it,", "and its second line ends here."])
        lines(canvas, 50, 740, ["The second paragraph begins here", "and ends on its second line."])

    assert read(draw(make)).text == (
        "One line of the first paragraph of it,\nand its second line ends here.\n\n"
        "The second paragraph begins here\nand ends on its second line."
    )


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_turned_pages_are_read_and_lit(turn: int) -> None:
    """The text runs along a side of the sheet, as where a wide table was printed on a page."""

    def make(canvas: Canvas) -> None:
        canvas.translate(*((421, 297) if turn in (90, 270) else (297, 421)))  # turning swaps the sides
        canvas.rotate(turn)
        canvas.translate(-250, 0)
        lines(canvas, 0, 100, ["The first line of a turned page.", "The second line of it, below."], 12, 20)
        canvas.setPageRotation(turn)

    data = draw(make)
    reading = read(data)
    assert reading.text == "The first line of a turned page.\nThe second line of it, below."
    start = reading.text.index("second")
    check_light(lit_page(data, 1, reading.text, start, start + 6, ocr=None), n_boxes=1)


def ligature_pdf() -> bytes:
    """A page whose font has the ligatures fi and fl as glyphs of their own; PDFium repairs the missing table."""
    content = r"BT /F 12 Tf 50 700 Td (The of\256ce con\256rms the \257ow.) Tj ET"
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Count 1/Kids[3 0 R]>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Times-Roman"
        "/Encoding<</Type/Encoding/Differences[174/fi 175/fl]>>>>",
    )
    body = "".join(f"{number} 0 obj{entry} endobj\n" for number, entry in enumerate(objects, 1))
    return f"%PDF-1.4\n{body}trailer<</Root 1 0 R/Size 6>>\n%%EOF".encode()


def test_ligatures_are_letters_and_are_lit_whole() -> None:
    reading = read(ligature_pdf())
    assert reading.text == "The office confirms the flow."
    image = lit_page(ligature_pdf(), 1, reading.text, 4, 10)
    check_light(image, n_boxes=1)


# --- lit pages ---------------------------------------------------------------------------------


def yellow_rows(image: PageImage) -> tuple[int, int, int, int]:
    """The box around all yellow pixels."""
    from PIL import Image, ImageChops

    picture = Image.open(io.BytesIO(image.png)).convert("RGB")
    blue = picture.getchannel("B").point(lambda value: 255 if value < 180 else 0)
    red = picture.getchannel("R").point(lambda value: 255 if value > 200 else 0)
    box = ImageChops.multiply(blue, red).getbbox()
    assert box is not None
    return box


def check_light(image: PageImage, *, n_boxes: int) -> None:
    """What is lit is yellow with dark text in it, and nothing else on the page is."""
    from PIL import Image

    assert len(image.boxes) == n_boxes
    picture = Image.open(io.BytesIO(image.png)).convert("RGB")
    for box in image.boxes:
        part = picture.crop(box)
        darkest, lightest = part.convert("L").getextrema()
        assert darkest < 110
        assert lightest > 180
        corner = picture.getpixel((box[0], box[1]))
        assert all(abs(one - other) < 6 for one, other in zip(corner, (255, 236, 100), strict=True))
    left, top, right, bottom = yellow_rows(image)
    assert left >= min(box[0] for box in image.boxes)
    assert top >= min(box[1] for box in image.boxes)
    assert right <= max(box[2] for box in image.boxes)
    assert bottom <= max(box[3] for box in image.boxes)


def pixels(x: float, y: float, dpi: int = 150) -> tuple[float, float]:
    return x * dpi / 72, (842 - y) * dpi / 72


@pytest.mark.parametrize(("occurrence", "x"), [(0, 50), (1, 315)])
def test_the_cited_occurrence_is_lit_in_its_column(occurrence: int, x: float) -> None:
    data = draw(two_columns)
    text = read(data).text
    start = -1
    for _ in range(occurrence + 1):
        start = text.index("The fee is paid before leaving.", start + 1)
    image = lit_page(data, 1, text, start, start + 31)
    check_light(image, n_boxes=1)
    left, bottom = pixels(x, 740 - 60)
    assert abs(image.boxes[0][0] - left) < 8
    assert image.boxes[0][1] < bottom < image.boxes[0][3]
    assert image.boxes[0][2] - image.boxes[0][0] < 320


def test_a_word_broken_at_a_line_end_is_lit_on_both_lines() -> None:
    data = draw(two_columns)
    text = read(data).text
    start = text.index("climate")
    image = lit_page(data, 1, text, start, start + len("climate"))
    check_light(image, n_boxes=2)
    (upper, lower) = sorted(image.boxes, key=lambda box: box[1])
    assert upper[0] > lower[2]  # the end of one line, the beginning of the next
    assert abs(lower[0] - pixels(50, 0)[0]) < 8


def test_a_running_line_that_was_left_out_moves_nothing() -> None:
    def make(canvas: Canvas) -> None:
        for number in range(1, 6):
            lines(canvas, 50, 810, [f"Clinic handbook, page {number}"])
            lines(canvas, 50, 700, [f"Rule {number} is about hands.", f"Rule {number} is about feet."])
            lines(canvas, 50, 600, [f"{'x' * number} is what the examiner wrote below."])
            canvas.showPage()

    data = draw(make)
    reading = read(data)
    assert "handbook" not in reading.text
    page = reading.pages[2]
    text = reading.text[page.start : page.end]
    image = lit_page(data, 3, text, text.index("Rule 3 is about feet"), text.index("xxx"))
    check_light(image, n_boxes=1)
    assert image.boxes[0][1] < pixels(0, 688)[1] < image.boxes[0][3]


def test_text_of_another_page_lights_nothing() -> None:
    data = draw(two_columns)
    other = "Quite another document tells of whales, ships and harpoons off Nantucket."
    image = lit_page(data, 1, other, 6, 40, ocr=None)
    assert not image.is_lit
    assert image.png.startswith(b"\x89PNG")


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(PageImageError, match="no page 2"):
        lit_page(draw(two_columns), 2, "", 0, 0)
    with pytest.raises(PageImageError, match="broken"):
        lit_page(b"%PDF-1.4 nothing", 1, "", 0, 0)


# --- scans -------------------------------------------------------------------------------------


def scan(texts: list[str]) -> bytes:
    """A page that is only a picture of text."""
    import pypdfium2

    typed = pypdfium2.PdfDocument(draw(lambda canvas: lines(canvas, 60, 760, texts, 14, 30)))
    picture = typed[0].render(scale=200 / 72, grayscale=True).to_pil()
    typed.close()
    out = io.BytesIO()
    picture.convert("RGB").save(out, "pdf", resolution=200)
    return out.getvalue()


SCANNED = ["The stitches on the scalp are taken out after eight days.", "The fee for this is forty euros."]


def test_a_scan_says_how_it_can_be_read() -> None:
    with pytest.raises(UnreadableFile, match="--ocr"):
        read(scan(SCANNED))


@pytest.mark.skipif(find_tesseract() is None, reason="tesseract is not installed here")
def test_a_scan_is_read_and_lit() -> None:
    data = scan(SCANNED)
    reading = read(data, OcrOptions())
    assert "scalp are taken out after eight days" in reading.text
    assert reading.missing == ""
    start = reading.text.index("forty euros")
    image = lit_page(data, 1, reading.text, start, start + 11)
    check_light(image, n_boxes=1)
    assert image.boxes[0][1] - 10 < pixels(0, 730)[1] < image.boxes[0][3] + 10


@pytest.mark.skipif(find_tesseract() is None, reason="tesseract is not installed here")
def test_a_language_that_is_not_there_is_named() -> None:
    assert "eng" in installed_languages()
    with pytest.raises(OcrError, match="no language xyz"):
        check_ocr(OcrOptions(languages="xyz"))
    with pytest.raises(UnreadableFile, match="no language xyz"):
        read(scan(SCANNED), OcrOptions(languages="xyz"))


def test_typed_pages_are_read_where_scans_cannot_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import pypdfium2

    monkeypatch.setattr("homespun.documents.ocr.find_tesseract", lambda: None)
    installed_languages.cache_clear()
    both, other = pypdfium2.PdfDocument(draw(two_columns)), pypdfium2.PdfDocument(scan(SCANNED))
    both.import_pages(other)
    both.save(tmp_path / "both.pdf")
    other.close()
    both.close()
    document = read_document(tmp_path / "both.pdf", options=ReadOptions(ocr=True))
    assert document.status == "partly read"
    assert "The fee is paid" in document.text
    assert "Page 2 of 2" in document.reason
    assert "not installed" in document.reason
    assert "--ocr" in read_document(tmp_path / "both.pdf").reason


def test_ocr_options_check_themselves() -> None:
    wrong: list[dict[str, object]] = [{"languages": "en; rm"}, {"dpi": 5000}, {"page_timeout_s": 0}]
    for options in wrong:
        with pytest.raises(OcrError):
            OcrOptions(**options)  # type: ignore[arg-type]


# --- properties --------------------------------------------------------------------------------

SEGMENTS = st.lists(
    st.tuples(
        st.integers(0, 500) | st.integers(-(10**12), 10**12),  # broken files put text anywhere
        st.integers(0, 800),
        st.integers(1, 300),
        st.integers(4, 30),
        st.text("ab c.", max_size=30),
    ),
    max_size=40,
)


@given(SEGMENTS)
def test_laying_out_loses_and_doubles_nothing(drawn: list[tuple[int, int, int, int, str]]) -> None:
    page = [
        [
            Segment(
                number, number + 1, f"x{number} {text}".strip(), left, bottom, left + width, bottom + height
            )
        ]
        for number, (left, bottom, width, height, text) in enumerate(drawn)
    ]
    made = lay_out(page)
    words = sorted(word for line in made for word in line.text.split())
    assert words == sorted(word for (segment,) in page for word in segment.text.split())


@given(
    st.lists(st.text("abcdefgh", min_size=1, max_size=7), min_size=12, max_size=60),
    st.integers(0, 11),
    st.sets(st.integers(0, 59), max_size=4),
)
def test_cited_words_are_found_where_they_stand(words: list[str], cited: int, left_out: set[int]) -> None:
    """Our text lacks some of the page's words (running lines); a kept word is lit where it stands."""
    signs: list[Sign] = []
    for number, word in enumerate(words):
        signs += [Sign(letter, (number * 10.0, 0.0, number * 10.0 + 9, 9.0), number) for letter in word]
        signs.append(Sign(" ", (0.0, 0.0, 0.0, 0.0), number))
    kept = [number for number in range(len(words)) if number not in left_out]
    ours = " ".join(words[number] for number in kept)
    number = kept[cited % len(kept)]
    start = sum(len(words[other]) + 1 for other in kept if other < number)
    boxes = find_boxes(signs, ours, start, start + len(words[number]))
    if left_out or len(set(words)) < len(words):
        assert len(boxes) <= 2  # an equal neighbour may stand for one that was left out
    else:
        assert boxes == ((number * 10, 0, number * 10 + 9, 9),)
    whole = find_boxes(signs, " ".join(words), 0, len(" ".join(words)))
    assert [box[0] for box in whole] == [number * 10 for number in range(len(words))]


def test_a_page_of_scattered_numbers_is_read_in_time() -> None:
    """Nothing is quadratic: 4,000 numbers at places of no order."""

    def make(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 3)
        for number in range(4000):
            canvas.drawString(20 + (number * 37) % 550, 20 + (number * 91) % 800, str(number))

    reading = read(draw(make))
    assert {"0", "1999", "3999"} <= set(reading.text.split())


def test_fonts_without_letters_are_named() -> None:
    """Glyphs called g1, g2 with no map to Unicode, as a careless PDF writer leaves them."""
    data = ligature_pdf().replace(b"[174/fi 175/fl]", b"[84/g001 104/g002 101/g003 32/g004 111/g005 174/g006 99/g007 "
        b"110/g008 114/g009 109/g010 115/g011 116/g012 175/g013 119/g014 102/g015]")  # fmt: skip
    with pytest.raises(UnreadableFile, match="fonts do not say"):
        read(data)


@st.composite
def column_pages(draw: st.DrawFn) -> tuple[list[Segment], list[str]]:
    """Segments of two or three columns of prose under a line across, in any order; and the order of reading."""
    n_columns = draw(st.integers(2, 3))
    width = 480 / n_columns
    segments = [Segment(0, 1, "across " * 12, 50, 780, 545, 792)]
    for column in range(n_columns):
        shift = draw(st.integers(0, 9))  # lines need not stand at one height in all columns
        for row in range(draw(st.integers(8, 20))):
            part = draw(st.floats(0.8, 1.0))
            left, top = 50 + column * (width + 15), 760 - shift - 12 * row
            number = len(segments)
            text = f"c{column} r{row} some words of a line"
            segments.append(Segment(number, number + 1, text, left, top - 11, left + part * width, top))
    order = [segment.text.strip() for segment in segments]
    return draw(st.permutations(segments)), order


@given(column_pages())
def test_columns_are_read_in_order_however_they_were_drawn(page: tuple[list[Segment], list[str]]) -> None:
    drawn, order = page
    assert [line.text.strip() for line in lay_out([[segment] for segment in drawn])] == order
