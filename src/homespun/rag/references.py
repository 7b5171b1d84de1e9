"""References in a text (a citation, DOI, address, person or place) that no document contains: invented ones."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from homespun.rag.words import STOP_WORDS
from homespun.retrieval.library import Library

ReferenceKind = Literal["doi", "address", "e-mail", "citation", "name"]

_DOI = re.compile(r"\b10\.\d{4,9}/[^\s\"<>]+")
_EMAIL = re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")
_ADDRESS = re.compile(
    r"\b(?:https?://|www\.)[^\s<>\"]+|\b(?:[a-z0-9-]+\.)+(?:com|org|net|eu|gov|edu|io|info|int|co\.uk|de|fr)\b(?:/[^\s<>\"]*)?",
    re.IGNORECASE,
)
_CITATION = re.compile(
    r"\b([^\W\d_][\w'’-]+)(?:,? et al\.?|,? (?:and|&) [^\W\d_][\w'’-]+)?(?:, | \(|,? \[| )((?:19|20)\d\d)[a-z]?\b"
)
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TRAILING = ".,;:!?)]}'\"’”"
_BEGINS_SENTENCE = '.!?:;|•*#>([“"‘\n-–—'
_TITLES = frozenset(("dr", "mr", "mrs", "ms", "prof", "professor", "sir", "miss"))
#: Written with a capital, and yet no name of a person or place.
_NO_NAMES = frozenset(
    (
        *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
        *("october", "november", "december", "i", "yes", "no", "ok", "am", "pm"),
    )
)
#: Between a name and a year of one citation in a document.
_NEAR_CHARS = 120


@dataclass(frozen=True)
class Reference:
    """Something named, with its place in the text (code points)."""

    kind: ReferenceKind
    text: str
    start: int
    end: int


def find_references(text: str) -> list[Reference]:
    """What a text names that a reader might look up, in order; nothing twice over the same place.

    Names are words with a capital letter inside a sentence, neighbours together; at a sentence's beginning
    only where a second such word follows. Weekdays and months are none.
    """
    found: list[Reference] = []
    taken: list[tuple[int, int]] = []

    def add(kind: ReferenceKind, start: int, end: int) -> None:
        if end > start and all(end <= first or start >= last for first, last in taken):
            taken.append((start, end))
            found.append(Reference(kind, text[start:end], start, end))

    patterns: tuple[tuple[ReferenceKind, re.Pattern[str]], ...] = (
        ("doi", _DOI),
        ("e-mail", _EMAIL),
        ("address", _ADDRESS),
    )
    for kind, pattern in patterns:
        for match in pattern.finditer(text):
            add(kind, match.start(), match.start() + len(match[0].rstrip(_TRAILING)))
    for match in _CITATION.finditer(text):
        name = match[1]
        if name[0].isupper() and name.lower() not in _NO_NAMES | STOP_WORDS:
            add("citation", match.start(), match.end(2))
    for start, end in _names(text):
        add("name", start, end)
    return sorted(found, key=lambda reference: reference.start)


def unknown_references(references: Sequence[Reference], texts: Iterable[str]) -> list[Reference]:
    """Those that none of the texts contains. Texts are read until all are found, and no further.

    An address stands there letter for letter (`https://` and `www.` aside); of a citation, the name with the
    year near it; of a name, all its words, titles aside, somewhere in one text.
    """
    left = list(references)
    for text in texts:
        if not left:
            break
        lower = _folded(text)
        words = _words(lower) if any(reference.kind == "name" for reference in left) else frozenset()
        left = [reference for reference in left if not _is_in(reference, lower, words)]
    return left


def invented_references(text: str, library: Library, first: Iterable[str] = ()) -> list[Reference]:
    """References of a text that no document of a library contains.

    Args:
        text: an answer, or a question.
        library: all its documents are looked through, once, if it must be.
        first: texts that are looked through before them, such as the passages of the answer.

    Raises:
        LibraryError: the library cannot be read.
    """
    left = unknown_references(find_references(text), first)
    return unknown_references(left, _document_texts(library)) if left else []


def _document_texts(library: Library) -> Iterator[str]:
    """Texts and names of all documents."""
    documents = library.documents_of_contents()
    yield "\n".join(document.name for document in library.documents())
    for batch in library.tables.all_texts():
        rows = zip(batch.column("content_id").to_pylist(), batch.column("text").to_pylist(), strict=True)
        yield from (str(text) for content, text in rows if content in documents)


def _names(text: str) -> Iterator[tuple[int, int]]:
    """Runs of words with a capital letter."""
    run: list[re.Match[str]] = []
    for match in _WORD.finditer(text):
        joins = bool(run) and text[run[-1].end() : match.start()] in (" ", ". ") and _may_go_on(run[-1], text)
        if run and not (joins and _is_capital(match[0])):
            yield from _name(run, text)
            run = []
        if _is_capital(match[0]):
            run.append(match)
    if run:
        yield from _name(run, text)


def _may_go_on(match: re.Match[str], text: str) -> bool:
    """A full stop ends a name, unless it stands behind a title or an initial."""
    is_short = match[0].lower() in _TITLES or len(match[0]) == 1
    return text[match.end() : match.end() + 1] != "." or is_short


def _name(run: list[re.Match[str]], text: str) -> Iterator[tuple[int, int]]:
    first = run[0]
    before = text[: first.start()].rstrip(" \t")
    begins = not before or before[-1] in _BEGINS_SENTENCE
    if begins and first[0].lower() not in _TITLES and (len(run) == 1 or first[0].lower() in STOP_WORDS):
        run = run[1:]
    while run and run[0][0].lower() in _NO_NAMES | STOP_WORDS:
        run = run[1:]
    while run and run[-1][0].lower() in _NO_NAMES | STOP_WORDS:
        run = run[:-1]
    if any(len(match[0]) > 1 and match[0].lower() not in _TITLES for match in run):
        yield run[0].start(), run[-1].end()


def _is_capital(word: str) -> bool:
    return word[0].isupper()


def _is_in(reference: Reference, lower: str, words: frozenset[str]) -> bool:
    told = _folded(reference.text)
    if reference.kind == "name":
        wanted = _words(told) - _TITLES
        return all(word in words for word in wanted if len(word) > 1)
    if reference.kind == "citation":
        match = _CITATION.match(reference.text)
        assert match is not None
        name, year = re.escape(_folded(match[1])), match[2]
        near = rf"\b{name}\b[\s\S]{{0,{_NEAR_CHARS}}}\b{year}|\b{year}[\s\S]{{0,{_NEAR_CHARS}}}\b{name}\b"
        return re.search(near, lower) is not None
    bare = re.sub(r"^https?://", "", told).removeprefix("www.").rstrip("/")
    return bare in lower


def _folded(text: str) -> str:
    return text.casefold().replace("’", "'")


def _words(folded: str) -> frozenset[str]:
    """Whole words and the parts of hyphened ones, without a possessive s."""
    found = set()
    for match in _WORD.finditer(folded):
        word = match[0].removesuffix("'s")
        found |= {word, *word.split("-")}
    return frozenset(found)
