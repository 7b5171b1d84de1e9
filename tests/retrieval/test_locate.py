"""Places of stretches of text: page, heading, named place and line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.documents.document import Place
from homespun.documents.split import Passage
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.locate import Location, locate
from homespun.retrieval.sync import ingest

TEXT = "# Fees\r\n\r\nThe fee is 40.\r\rFree for children.\nEnd"


def passage(start, end, page=None, headings=()):
    return Passage("a", start, end, TEXT[start:end], page, headings)


def test_lines_and_headings_of_a_text():
    passages = [passage(0, 24, headings=("Fees",)), passage(26, len(TEXT), headings=("Fees", "Children"))]
    start = TEXT.index("The fee")
    assert locate(TEXT, passages, (), start, start + 14) == Location(None, "Fees", "", 3, 3)
    # The line ends around it are no part of the place; the lone "\r" are two lines.
    assert locate(TEXT, passages, (), start - 4, start + 16) == Location(None, "Fees", "", 3, 3)
    start = TEXT.index("Free")
    assert locate(TEXT, passages, (), start, len(TEXT)) == Location(None, "Fees > Children", "", 5, 6)


def test_a_paged_document_has_pages_and_no_lines():
    passages = [passage(0, 10, 1), passage(10, len(TEXT), 2)]
    assert locate(TEXT, passages, (), 12, 20) == Location(2, "", "", None, None)


def test_the_innermost_place_is_named():
    places = (Place(0, 40, "sheet Fees"), Place(10, 24, "sheet Fees, row 3"))
    for offset, label in ((9, "sheet Fees"), (10, "sheet Fees, row 3"), (24, "sheet Fees"), (41, "")):
        assert locate("x" * 50, (), places, offset, offset + 1).place == label


def test_bounds_beyond_the_text_are_drawn_in():
    assert locate("one\ntwo", (), (), -5, 99) == Location(None, "", "", 1, 2)
    assert locate("", (), (), 3, 9) == Location(None, "", "", 1, 1)


@given(st.lists(st.text("ab \u2028é"), min_size=1), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_the_line_is_the_one_that_the_letter_is_in(lines, line_end, data):
    text = line_end.join(lines)
    offset = data.draw(st.integers(0, max(0, len(text) - 1)))
    if not text or not text[offset].strip():
        return
    number = len(text[:offset].split(line_end))
    found = locate(text, (), (), offset, offset + 1)
    assert (found.first_line, found.last_line) == (number, number)


def test_a_library_locates(library, folder):
    (folder / "a.md").write_bytes(b"# Fees\r\n\r\nThe fee is 40.\r\n\r\n## Children\r\n\r\nFree.\r\n")
    (folder / "empty.txt").write_bytes(b"")
    ingest(library, [folder])
    start = library.text("a.md").index("Free")
    assert library.locate("a.md", start, start + 5) == Location(None, "Fees > Children", "", 7, 7)
    with pytest.raises(LibraryError, match=r"no document 'b\.md'"):
        library.locate("b.md", 0, 1)
    with pytest.raises(LibraryError, match="no text"):
        library.locate("empty.txt", 0, 1)
