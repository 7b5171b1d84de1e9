"""Questions about the whole collection: every text is read, and what is counted is cited, each time."""

import time
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from homespun.documents.sentences import split_sentences
from homespun.rag.asked_of_all import AskedOfAll, asked_of_all
from homespun.rag.citations import Sources
from homespun.rag.result import Answer, AnswerSentence, Citation, PromptTokens
from homespun.rag.words import Word, find_words, stem
from homespun.retrieval.library import Library, LibraryDocument

_STYLE_REASON = "asked about the whole collection: every text was read, no model was asked"
#: Lines that the answer's own text has at most; its citations are always all of them.
_MAX_LINES = 20
_MAX_FORMS = 6


@dataclass(frozen=True)
class Occurrence:
    """A place of a document's text that has the words, in code points, and how they are written there."""

    document: str
    start: int
    end: int
    text: str


def answer_of_all(question: str, library: Library, window: int) -> Answer | None:
    """The answer to a question about the whole collection; None if it is no such question.

    Counts are exact: all texts are read, words are compared without case, accents and endings, and the
    forms that were counted are named. A question that takes more than finding words is declined.

    Args:
        question: any text.
        library: may be open without its embedder.
        window: of the model, told in the answer.

    Raises:
        LibraryError: the library cannot be read.
    """
    asked = asked_of_all(question)
    if asked is None:
        return None
    made = _Collected(question, library, asked, window)
    if asked.asked == "cannot":
        return made.decline()
    return made.hits() if asked.term else made.documents()


def find_everywhere(library: Library, term: str) -> list[Occurrence]:
    """Every place in a library that has the words of a term, one after another; by document and place.

    Words are compared without case, accents and English endings. A file that is in the library twice
    counts twice.

    Raises:
        LibraryError: the library cannot be read.
    """
    wanted = [_term(word) for word in find_words(term)]
    documents = library.documents_of_contents()
    found = []
    for batch in library.tables.all_texts():
        contents, texts = batch.column("content_id").to_pylist(), batch.column("text").to_pylist()
        for content_id, text in zip(contents, texts, strict=True):
            names = [document.name for document in documents.get(content_id, ())]
            spans = list(_spans(text, wanted)) if names else []
            found += [Occurrence(name, start, end, text[start:end]) for name in names for start, end in spans]
    return sorted(found, key=lambda hit: (hit.document, hit.start))


def _spans(text: str, wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where the terms stand one after another; occurrences do not overlap."""
    if not wanted:
        return
    words = find_words(text)
    # A text's different words are few; most texts are done with here.
    if not set(wanted) <= {_term_of(form) for form in {word.text for word in words}}:
        return
    index = 0
    while index <= len(words) - len(wanted):
        if all(_term(words[index + place]) == term for place, term in enumerate(wanted)):
            yield words[index].start, words[index + len(wanted) - 1].end
            index += len(wanted)
        else:
            index += 1


def _term(word: Word) -> str:
    return _term_of(word.text)


@lru_cache(maxsize=1 << 18)
def _term_of(form: str) -> str:
    """A word without case, accents and ending."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", form) if not unicodedata.combining(char))
    return stem(bare.casefold())


class _Collected:
    """One question about all, on its way to an answer."""

    def __init__(self, question: str, library: Library, asked: AskedOfAll, window: int) -> None:
        self.question = question
        self.library = library
        self.asked = asked
        self.window = window
        self.started = time.perf_counter()
        self.sources = Sources(library)
        self.all = library.documents()
        self.read = [document for document in self.all if document.content_id]

    def decline(self) -> Answer:
        """Say what retrieval cannot do, and what can be asked instead."""
        text = (
            "This asks about all documents at once, and only the few passages that fit a question best are "
            "ever read for an answer, so it would be a guess. What can be answered exactly: “Which documents "
            "mention …?”, “How many documents mention …?”, “How often is … mentioned?”, “List all "
            "documents”. Or ask about one thing that a document states."
        )
        return self._answer(text, abstained=True)

    def documents(self) -> Answer:
        """The collection's own list."""
        lines = [f"There {_are(len(self.all), 'document')} in the library “{self.library.name}”."]
        lines += [f"- {_described(document)}" for document in self.all[:_MAX_LINES]]
        if len(self.all) > _MAX_LINES:
            lines.append(f"… and {len(self.all) - _MAX_LINES} more: `homespun libraries show` lists all.")
        return self._answer("\n".join(lines))

    def hits(self) -> Answer:
        """Every place with the words, and how many."""
        hits = find_everywhere(self.library, self.asked.term)
        names = sorted({hit.document for hit in hits})
        if not hits:
            text = (
                f"“{self.asked.term}” is in none of the {_counted(len(self.read), 'document')}; every text was "
                f"read.{self._caution()} It may be there in other words: ask a question about it."
            )
            return self._answer(text, abstained=True)
        citations = self._citations(hits)
        summary = (
            f"“{self.asked.term}” occurs {_times(len(hits))} in {len(names)} of "
            f"{_counted(len(self.read), 'document')} ({_forms(hits)}).{self._caution()}"
        )
        parts = [(summary, 0)]
        if self.asked.asked == "list" and len(hits) <= _MAX_LINES:
            parts += [(f"- {_line(hit, self.sources.text(hit.document))}", n) for n, hit in enumerate(hits)]
        else:
            parts += self._by_document(hits, names)
        text, sentences = "", []
        for part, citation in parts:
            begin = len(text) + (1 if text else 0)
            text = f"{text}\n{part}" if text else part
            sentences.append(AnswerSentence(part, begin, len(text), citation, True))
        if len(names) > _MAX_LINES:
            text += f"\n… and {len(names) - _MAX_LINES} more documents: the citations have every place."
        return self._answer(text, sentences=tuple(sentences), citations=tuple(citations))

    def _by_document(self, hits: Sequence[Occurrence], names: Sequence[str]) -> list[tuple[str, int]]:
        counts = Counter(hit.document for hit in hits)
        firsts = {hit.document: n for n, hit in reversed(list(enumerate(hits)))}
        return [(f"- {name}: {_times(counts[name])}", firsts[name]) for name in names[:_MAX_LINES]]

    def _citations(self, hits: Sequence[Occurrence]) -> list[Citation]:
        passages = {name: self.library.passages(name) for name in {hit.document for hit in hits}}
        cited = []
        for hit in hits:
            of_document = passages[hit.document]
            index = bisect_right(of_document, hit.start, key=lambda passage: passage.start) - 1
            cited.append(self.sources.cite(of_document[max(0, index)], hit.start, hit.end))
        return cited

    def _caution(self) -> str:
        """What the count leaves out."""
        unread = len(self.all) - len(self.read)
        partly = sum(document.status == "partly read" for document in self.read)
        notes = []
        if unread:
            notes.append(f"{_counted(unread, 'document')} could not be read")
        if partly:
            notes.append(f"of {_counted(partly, 'document')} a part could not be read")
        return f" Not counted: {'; '.join(notes)}." if notes else ""

    def _answer(
        self,
        text: str,
        *,
        abstained: bool = False,
        sentences: tuple[AnswerSentence, ...] = (),
        citations: tuple[Citation, ...] = (),
    ) -> Answer:
        return Answer(
            question=self.question,
            answer=text,
            abstained=abstained,
            style="quote",
            style_reason=_STYLE_REASON,
            searched=self.asked.term,
            sentences=sentences,
            citations=citations,
            tokens=PromptTokens(window=self.window),
            timings={"scan_s": time.perf_counter() - self.started},
        )


def _line(hit: Occurrence, text: str) -> str:
    """The sentence that an occurrence stands in, after its document."""
    start = text.rfind("\n", 0, hit.start) + 1
    end = text.find("\n", hit.end)
    paragraph = text[start : end if end >= 0 else len(text)]
    spans = split_sentences(paragraph) or [(0, len(paragraph))]
    place = max(0, bisect_right([first for first, _ in spans], hit.start - start) - 1)
    first, last = spans[place]
    return f"{hit.document}: {paragraph[first : max(last, hit.end - start)].strip()}"


def _forms(hits: Sequence[Occurrence]) -> str:
    counts = Counter(" ".join(hit.text.split()) for hit in hits)
    shown = [f"“{form}” {n}" for form, n in counts.most_common(_MAX_FORMS)]
    return "; ".join([*shown, "…"] if len(counts) > _MAX_FORMS else shown)


def _described(document: LibraryDocument) -> str:
    return f"{document.name} ({document.status})" if document.status != "read" else document.name


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _are(n: int, noun: str) -> str:
    return f"{'is' if n == 1 else 'are'} {_counted(n, noun)}"
