"""Citations to the place: lines, pages, names of places; pictures of the pages; answers as files."""

import io
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import pytest

from homespun.documents.split import Passage
from homespun.engines.engine import Engine
from homespun.models.home import Home
from homespun.rag.answer import AnswerOptions, answer
from homespun.rag.citations import Sources
from homespun.rag.errors import ExportError
from homespun.rag.export import export_answer
from homespun.rag.lit_pages import LitPage, lit_citations
from homespun.rag.result import Answer, AnswerSentence, Citation
from homespun.rag.sentences import passage_sentences
from homespun.retrieval.embedder import FolderEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import ingest

GUIDE = """# Fees

## Swimming pool

Members use the swimming pool from Monday to Friday, between seven in the morning and nine in the evening.
A towel and a key for the locker are given out at the desk beside the entrance.
The yearly fee is 40 euros.

## Library card

Readers with a library card borrow up to six books for four weeks, and may ask for two weeks more by telephone.
A lost book is paid for at the desk on the ground floor.
The yearly fee is 40 euros.
"""
TWICE = "The yearly fee is 40 euros."
PAGES = [
    ["The museum opens at nine.", "Dogs must stay outside the museum."],
    [
        "The museum shop sells postcards.",
        "A guided tour of the museum takes ninety minutes.",
        "Dogs must stay outside.",
    ],
]


def pdf(pages: list[list[str]]) -> bytes:
    canvas_module = pytest.importorskip("reportlab.pdfgen.canvas", reason="reportlab draws the PDFs here")
    out = io.BytesIO()
    canvas = canvas_module.Canvas(out, pagesize=(595, 842))
    for lines in pages:
        canvas.setFont("Helvetica", 12)
        for number, line in enumerate(lines):
            canvas.drawString(60, 760 - 20 * number, line)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


@pytest.fixture(scope="module")
def places(embedder: FolderEmbedder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, Path]:
    """A library of a guide, a PDF and an archive with a PDF; and the folder of the files."""
    root = tmp_path_factory.mktemp("places")
    folder = root / "documents"
    folder.mkdir()
    (folder / "guide.md").write_text(GUIDE, encoding="utf-8")
    (folder / "museum.pdf").write_bytes(pdf(PAGES))
    with zipfile.ZipFile(folder / "old.zip", "w") as archive:
        archive.writestr("inner/castle.pdf", pdf([["The castle was built in 1502 by a duke."]]))
    library = Library.open(Home.open(root / "home"), "places", embedder, create=True)
    ingest(library, [folder])
    return library, folder


def cite(library: Library, document: str, wanted: str, occurrence: int = 0) -> Citation:
    text = library.text(document)
    start = [match.start() for match in re.finditer(re.escape(wanted), text)][occurrence]
    passages = [passage for passage in library.passages(document) if passage.start <= start < passage.end]
    return Sources(library).cite(passages[0], start, start + len(wanted))


def test_where_says_the_place_in_words() -> None:
    def where(**values: object) -> str:
        given = {"document": "a", "page": None, "heading": "", "start": 0, "end": 1, "text": "x", **values}
        return Citation(**given).where  # type: ignore[arg-type]

    assert where(document="prices.xlsx", place="sheet Prices, row 7", heading="Prices") == (
        "prices.xlsx, sheet Prices, row 7"
    )
    assert where(document="guide.md", heading="Fees", first_line=12, last_line=14) == (
        "guide.md - Fees, lines 12-14"
    )
    assert where(document="guide.md", first_line=3, last_line=3) == "guide.md, line 3"
    assert where(document="leaflet.pdf", page=3) == "leaflet.pdf, page 3"
    assert where(document="deck.pptx", place="slide 3", heading="Costs") == "deck.pptx, slide 3 - Costs"


def test_a_citation_knows_its_lines_and_its_page(places: tuple[Library, Path]) -> None:
    library, _ = places
    lines = GUIDE.splitlines()
    second = cite(library, "guide.md", TWICE, 1)
    assert (second.first_line, second.last_line) == (len(lines), len(lines))
    assert second.heading == "Fees > Library card"
    assert second.page is None
    tour = cite(library, "museum.pdf", "A guided tour")
    assert (tour.page, tour.first_line) == (2, None)


def test_the_page_is_the_citations_own_not_its_passages(places: tuple[Library, Path]) -> None:
    library, _ = places
    text = library.text("museum.pdf")
    whole = Passage("museum.pdf", 0, len(text), text, 1, ())
    start = text.index("postcards")
    assert Sources(library).cite(whole, start, start + 9).page == 2


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("How much is the yearly fee for the swimming pool, in euros?", "Fees > Swimming pool"),
        ("How much is the yearly fee for the library card, in euros?", "Fees > Library card"),
    ],
)
def test_the_cited_occurrence_is_the_retrieved_one(
    places: tuple[Library, Path], engine: Engine, question: str, heading: str
) -> None:
    library, _ = places
    best = search(library, question, SearchOptions(n_hits=1))[0].passage
    made = answer(question, library, engine, AnswerOptions(style="quote", n_passages=1))
    cited = [citation for citation in made.citations if citation.text == TWICE]
    assert cited, made.answer
    assert all(best.start <= citation.start < best.end for citation in cited)
    own_heading = GUIDE.rindex("## ", 0, cited[0].start)
    assert heading.rsplit("> ", 1)[1] in GUIDE[own_heading : own_heading + 40]
    assert made.to_json()["citations"][0]["where"].startswith("guide.md")


def test_each_cited_page_is_lit(places: tuple[Library, Path], tmp_path: Path) -> None:
    library, _ = places
    cited = [
        cite(library, "museum.pdf", "Dogs must stay outside", 1),
        cite(library, "guide.md", TWICE),
        cite(library, "old.zip/inner/castle.pdf", "built in 1502"),
    ]
    made = lit_citations(library, cited, tmp_path / "pages")
    assert [(page.citation, page.page, page.is_lit, page.note) for page in made] == [
        (0, 2, True, ""),
        (2, 1, True, ""),
    ]
    assert [page.path.name for page in made if page.path] == [
        "01-museum-page-2.png",
        "03-old.zip-inner-castle-page-1.png",
    ]
    assert all(page.path and page.path.read_bytes().startswith(b"\x89PNG") for page in made)


def test_a_citation_over_a_page_break_gives_both_pages(places: tuple[Library, Path], tmp_path: Path) -> None:
    library, _ = places
    text = library.text("museum.pdf")
    start, end = text.index("Dogs must"), text.index("A guided")
    both = Sources(library).cite(Passage("museum.pdf", 0, len(text), text, 1, ()), start, end)
    assert [(page.page, page.is_lit) for page in lit_citations(library, [both], tmp_path)] == [
        (1, True),
        (2, True),
    ]


def test_a_changed_or_lost_file_is_told_and_not_shown(places: tuple[Library, Path], tmp_path: Path) -> None:
    library, folder = places
    cited = cite(library, "museum.pdf", "The museum opens at nine")
    ingested = (folder / "museum.pdf").read_bytes()
    (folder / "museum.pdf").write_bytes(pdf([["Quite another page."]]))
    (changed,) = lit_citations(library, [cited], tmp_path / "pages")
    assert changed.path is None
    assert "was changed" in changed.note
    (folder / "museum.pdf").unlink()
    (lost,) = lit_citations(library, [cited], tmp_path / "pages")
    assert lost.path is None
    assert "cannot be opened" in lost.note
    (folder / "museum.pdf").write_bytes(ingested)
    assert not (tmp_path / "pages").exists()


def test_a_row_of_a_pdf_table_goes_with_its_header() -> None:
    text = "Before.\n\nPlace\tAdults\tChildren\nface\t5 days\t4 days\nscalp\t8 days\t7 days\n\n\tAfter."
    passage = Passage("a.pdf", 0, len(text), text, 1, ())
    headers = {
        sentence.text: text[slice(*sentence.header)] if sentence.header else None
        for sentence in passage_sentences([passage], lambda _: text)
    }
    assert headers == {
        "Before.": None,
        "Place\tAdults\tChildren": None,
        "face\t5 days\t4 days": "Place\tAdults\tChildren",
        "scalp\t8 days\t7 days": "Place\tAdults\tChildren",
        "After.": None,
    }


# --- answers as files --------------------------------------------------------------------------

HOSTILE = '<script>alert(1)</script> & "fee" \x0b# [x](javascript:alert(1))'


@pytest.fixture
def hostile(tmp_path: Path) -> tuple[Answer, LitPage]:
    """An answer whose every text tries to be markup, and a picture of a page."""
    from PIL import Image

    Image.new("RGB", (8, 8), "white").save(tmp_path / "page.png")
    citation = Citation("a<b>.pdf", 2, HOSTILE, 0, 5, f"- {HOSTILE}\n1. two")
    made = Answer(
        question=HOSTILE,
        answer=f"{HOSTILE} And more.",
        abstained=False,
        style="write",
        style_reason="asked for",
        searched="x <y>",
        sentences=(
            AnswerSentence(HOSTILE, 0, len(HOSTILE), 0, True),
            AnswerSentence("And more.", 0, 9, None, False, "no passage says this"),
        ),
        citations=(citation,),
    )
    return made, LitPage(0, "a<b>.pdf", 2, tmp_path / "page.png", True)


class Elements(HTMLParser):
    """All elements and their attributes, and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_holds_everything_and_runs_nothing(hostile: tuple[Answer, LitPage], tmp_path: Path) -> None:
    made, page = hostile
    text = export_answer(made, tmp_path / "a.html", [page]).read_text("utf-8")
    elements = Elements()
    elements.feed(text)
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"script", "link", "iframe", "a", "object", "b>"}
    targets = [
        value or ""
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    assert len(targets) == 1
    assert targets[0].startswith("data:image/png;base64,")
    for needed in ("<script>alert(1)</script>", "[1]", "no passage says this", "a<b>.pdf, page 2", "x <y>"):
        assert needed in elements.text


def test_markdown_shows_the_text_as_it_is(hostile: tuple[Answer, LitPage], tmp_path: Path) -> None:
    made, page = hostile
    text = export_answer(made, tmp_path / "a.md", [page]).read_text("utf-8")
    assert "](<page.png>)" in text
    assert "\\<script\\>" in text
    assert "> \\- " in text
    assert "> 1\\. two" in text
    unescaped = re.sub(r"\\.", "", text)
    assert "[x]" not in unescaped
    assert "<script" not in unescaped


def test_word_holds_the_answer_its_sources_and_the_page(
    hostile: tuple[Answer, LitPage], tmp_path: Path
) -> None:
    docx = pytest.importorskip("docx")
    made, page = hostile
    document = docx.Document(str(export_answer(made, tmp_path / "a.docx", [page])))
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert "<script>alert(1)</script>" in text
    assert "[not supported: no passage says this]" in text
    assert "a<b>.pdf, page 2" in text
    assert len(document.inline_shapes) == 1


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.docx"])
def test_an_answer_that_found_nothing_is_written_too(tmp_path: Path, name: str) -> None:
    made = Answer("Why?", "Nothing that answers this was found.", True, "quote", "asked for", "Why?")
    path = export_answer(made, tmp_path / name)
    data = path.read_bytes()
    if name.endswith(".docx"):
        data = zipfile.ZipFile(path).read("word/document.xml")
    assert b"Nothing that answers this was found." in data
    assert b"Sources" not in data


def test_what_cannot_be_written_is_told(hostile: tuple[Answer, LitPage], tmp_path: Path) -> None:
    made, _ = hostile
    for name, said in {"a.odt": ".docx", "none/a.md": "no folder", "": "cannot be written"}.items():
        with pytest.raises(ExportError, match=said):
            export_answer(made, tmp_path / name)
    (tmp_path / "b.md").mkdir()
    with pytest.raises(ExportError, match="folder"):
        export_answer(made, tmp_path / "b.md")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="no folder"):
        export_answer(made, tmp_path / "file" / "a.md")
