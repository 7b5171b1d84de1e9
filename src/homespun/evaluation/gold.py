"""Where a question's answer stands in a library: the places that its set names, found in the stored texts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from homespun.documents.split import Passage
from homespun.evaluation.questions import Question, SourcePlace
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.library import Library, LibraryDocument

_SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class GoldPlace:
    """One place.

    Attributes:
        document: its name in the library; empty where the library has none of that name.
        text: as the document has it; of a place that is not found, as the question set says it.
        start, end: offsets into the stored text, in code points; None: not found in it.
        problem: why not, in a sentence.
    """

    document: str
    text: str
    start: int | None = None
    end: int | None = None
    problem: str = ""

    @property
    def is_found(self) -> bool:
        return self.start is not None

    def meets(self, document: str, start: int, end: int) -> bool:
        """Whether a stretch of a document shares a code point with it."""
        return (
            self.start is not None
            and self.end is not None
            and document == self.document
            and start < self.end
            and self.start < end
        )


class GoldFinder:
    """Finds places in one library; documents are looked up once."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._documents = {document.name: document for document in library.documents()}
        self.text = cache(self._text)
        self.passages = cache(library.passages)

    def places(self, question: Question) -> tuple[GoldPlace, ...]:
        """Each source of a question."""
        return tuple(self._place(source, question.answers) for source in question.sources)

    def document(self, name: str) -> LibraryDocument | None:
        """The document of that name, or the one whose name ends with it (or that it ends with)."""
        if name in self._documents:
            return self._documents[name]
        found = [
            document
            for known, document in self._documents.items()
            if known.endswith(f"/{name}") or name.endswith(f"/{known}")
        ]
        return found[0] if len(found) == 1 else None

    def holding(self, places: Sequence[GoldPlace]) -> list[Passage]:
        """The passages that hold found places, each once, in the places' order."""
        found: dict[tuple[str, int], Passage] = {}
        for place in places:
            if place.is_found:
                for passage in self.passages(place.document):
                    if place.meets(passage.document, passage.start, passage.end):
                        found[passage.document, passage.start] = passage
        return list(found.values())

    def _place(self, source: SourcePlace, answers: Sequence[str]) -> GoldPlace:
        document = self.document(source.document)
        if document is None:
            return GoldPlace("", source.text, problem=f"The library has no document {source.document}.")
        text = self.text(document.name)
        if text is None:
            return GoldPlace(document.name, source.text, problem=f"It could not be read: {document.reason}")
        span = _span(text, source, answers)
        if span is None:
            part = f" {document.reason}" if document.status == "partly read" else ""
            return GoldPlace(
                document.name, source.text, problem=f"Its text is not in what was read of it.{part}"
            )
        return GoldPlace(document.name, text[span[0] : span[1]], *span)

    def _text(self, name: str) -> str | None:
        try:
            return self.library.text(name)
        except LibraryError:
            return None


def _span(text: str, source: SourcePlace, answers: Sequence[str]) -> tuple[int, int] | None:
    if source.text:
        return find_words(text, source.text, source.start)
    if source.start is None or source.end is None:
        return (0, len(text)) if text else None
    near = next((span for answer in answers if (span := find_words(text, answer, source.start))), None)
    if near is not None:
        return near
    return (source.start, min(source.end, len(text))) if source.start < len(text) else None


def find_words(text: str, wanted: str, near: int | None = None) -> tuple[int, int] | None:
    """Where a text holds these words, whatever the spaces between them; the occurrence nearest to `near`."""
    words = wanted.split()
    if not words:
        return None
    spans = [match.span() for match in re.finditer(r"\s+".join(map(re.escape, words)), text)]
    if not spans:  # a quotation whose spaces were lost or added inside of words
        return _without_spaces(text, wanted)
    return min(spans, key=lambda span: abs(span[0] - near)) if near is not None else spans[0]


def _without_spaces(text: str, wanted: str) -> tuple[int, int] | None:
    """The first place that holds the same signs without spaces (cells of tables, broken lines)."""
    places = [place for place, sign in enumerate(text) if not sign.isspace()]
    at = "".join(text[place] for place in places).find(_SPACES.sub("", wanted))
    if at < 0:
        return None
    return places[at], places[at + len(_SPACES.sub("", wanted)) - 1] + 1
