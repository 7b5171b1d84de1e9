"""The places that an answer cites, each once, with the document's own text."""

from collections.abc import Callable

from homespun.rag.result import Citation
from homespun.rag.sentences import PassageSentence


class CitationList:
    """The places cited so far.

    Args:
        text_of: a document's stored text by its name.
    """

    def __init__(self, text_of: Callable[[str], str]) -> None:
        self._text_of = text_of
        self.all: list[Citation] = []

    def add(self, sentence: PassageSentence, start: int, end: int) -> int:
        """The index of the citation of a document's text from `start` to `end`."""
        passage = sentence.passage
        for number, known in enumerate(self.all):
            if (known.document, known.start, known.end) == (passage.document, start, end):
                return number
        self.all.append(
            Citation(
                passage.document,
                passage.page,
                " > ".join(passage.headings),
                start,
                end,
                self._text_of(passage.document)[start:end],
            )
        )
        return len(self.all) - 1
