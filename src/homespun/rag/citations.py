"""The places that an answer cites, each once, with the document's own text."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache

from homespun.documents.document import Page, Place
from homespun.documents.split import Passage
from homespun.rag.result import Citation
from homespun.rag.sentences import PassageSentence
from homespun.retrieval.library import Library
from homespun.retrieval.locate import locate


class Sources:
    """The documents of a library as citations need them; each is looked up once."""

    def __init__(self, library: Library) -> None:
        # Looking a document up costs a read of the library each time.
        self._content_of = cache(lambda name: library.document(name).content_id)
        self._places_of = cache(lambda name: library.tables.places(self._content_of(name)))
        self._pages_of = cache(lambda name: library.tables.pages(self._content_of(name)))
        self.text = cache(library.text)

    def places(self, document: str) -> tuple[Place, ...]:
        """Its named places, by their start."""
        return self._places_of(document)

    def pages(self, document: str) -> tuple[Page, ...]:
        """Its pages; none where it has none."""
        return self._pages_of(document)

    def cite(self, passage: Passage, start: int, end: int) -> Citation:
        """The citation of a stretch of a passage's document."""
        text = self.text(passage.document)
        location = locate(text, [passage], self.places(passage.document), start, end)
        return Citation(
            passage.document,
            page_at(self.pages(passage.document), start) if passage.page is not None else None,
            location.heading,
            start,
            end,
            text[start:end],
            location.place,
            location.first_line,
            location.last_line,
        )


def page_at(pages: Sequence[Page], offset: int) -> int | None:
    """The number of the page that holds the code point at `offset`; None without pages."""
    index = bisect_right(pages, offset, key=lambda page: page.start) - 1
    return pages[index].number if index >= 0 else None


class CitationList:
    """The places cited so far."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self.all: list[Citation] = []

    def add(self, sentence: PassageSentence, start: int, end: int) -> int:
        """The index of the citation of a document's text from `start` to `end`."""
        document = sentence.passage.document
        for number, known in enumerate(self.all):
            if (known.document, known.start, known.end) == (document, start, end):
                return number
        self.all.append(self._sources.cite(sentence.passage, start, end))
        return len(self.all) - 1
