"""Questions with the places of their answers in a library, read from a file and joined to its passages."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from homespun.documents.split import Passage
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.keywords import keyword_query
from homespun.retrieval.library import Library
from homespun.tuning.errors import DataError

#: Passages that keywords find first and that hold no part of the answer: the hardest to tell from it.
N_HARD = 10

#: A passage of the library: its document's name and its number there.
Place = tuple[str, int]


@dataclass(frozen=True)
class Span:
    """Where an answer stands: offsets in code points into a document of the library."""

    document: str
    start: int
    end: int


@dataclass(frozen=True)
class PlacedQuestion:
    """A question whose answer's places are known; `line` is where it was read."""

    question: str
    spans: tuple[Span, ...]
    line: int = 0


@dataclass(frozen=True)
class PlacedQuestions:
    """What a file gave.

    Attributes:
        n_unanswerable: rows that say that the library has no answer; they teach nothing here.
        n_not_found: rows whose document or text the library does not have.
    """

    questions: tuple[PlacedQuestion, ...]
    n_unanswerable: int
    n_not_found: int


@dataclass(frozen=True)
class EncoderPair:
    """A question, the passage that answers it, and passages that look like it but do not."""

    question: str
    passage: str
    hard: tuple[str, ...]


def read_placed_questions(path: Path, library: Library) -> PlacedQuestions:
    """The questions of a JSON-lines file whose answers' places the library has.

    A row has `question`, and either `source` (a list of `document` and `text`, as question sets have it) or
    `document`, `start` and `end` (offsets in code points into the library's text of it).

    Raises:
        DataError: no such file, a line that is no JSON object with a question, or no place at all was found.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the questions cannot be read ({error})", where=str(path)) from None
    find = _Finder(library)
    questions: list[PlacedQuestion] = []
    n_unanswerable = n_not_found = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _row(line, f"{path}:{number}")
        if row.get("unanswerable"):
            n_unanswerable += 1
            continue
        spans = find.spans(row)
        n_not_found += not spans
        if spans:
            questions.append(PlacedQuestion(str(row["question"]), spans, number))
    if not questions:
        raise DataError(
            f"none of {n_not_found} questions has its place in the library {library.name!r}",
            where=str(path),
            remedy="Rows need `source` (document and text), or `document`, `start` and `end`.",
        )
    return PlacedQuestions(tuple(questions), n_unanswerable, n_not_found)


def hold_out(
    questions: Sequence[PlacedQuestion], share: float, seed: int
) -> tuple[list[PlacedQuestion], list[PlacedQuestion]]:
    """Questions to learn from and to measure by: all of a document stay together, where there are several.

    Raises:
        DataError: too few questions for both.
    """
    groups: dict[str, list[PlacedQuestion]] = defaultdict(list)
    names = {one.spans[0].document for one in questions}
    for place, one in enumerate(questions):
        groups[one.spans[0].document if len(names) > 3 else str(place)].append(one)
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    learnt: list[PlacedQuestion] = []
    held: list[PlacedQuestion] = []
    for name in order:
        (held if len(held) < share * len(questions) else learnt).extend(groups[name])
    if len(learnt) < 8 or len(held) < 4:
        raise DataError(
            f"{len(questions)} questions are too few to learn from and to measure by",
            remedy="Give at least 20, about several documents.",
        )
    return learnt, held


def encoder_pairs(library: Library, questions: Sequence[PlacedQuestion], seed: int) -> list[EncoderPair]:
    """Each question with its best passage and up to `N_HARD` that keywords find but that hold no part of it.

    Neighbours of the right passage are no hard ones either: an answer often goes on there.
    """
    passages = cache(library.passages)
    names = {content: documents[0].name for content, documents in library.documents_of_contents().items()}
    everywhere = [(name, number) for name in names.values() for number in range(len(passages(name)))]
    draw = random.Random(seed)
    pairs = []
    for one in questions:
        right = _best(one, passages)
        if right is None:
            continue
        excluded = {(right[0], right[1] + step) for step in (-1, 0, 1)}
        words = keyword_query(one.question, library.latin_languages())
        found = [
            (names[key[0]], key[1])
            for key in library.tables.keyword_hits(words, 3 * N_HARD)
            if key[0] in names
        ]
        found = found or draw.sample(everywhere, min(N_HARD, len(everywhere)))
        hard = [
            passages(name)[number].text
            for name, number in found
            if (name, number) not in excluded and not holds(one, passages(name)[number])
        ]
        if hard:
            pairs.append(EncoderPair(one.question, passages(right[0])[right[1]].text, tuple(hard[:N_HARD])))
    return pairs


def holds(question: PlacedQuestion, passage: Passage) -> bool:
    """Whether a passage has a good part of an answer: half of it, or of the passage where that is shorter."""
    for span in question.spans:
        common = min(passage.end, span.end) - max(passage.start, span.start)
        least = min(span.end - span.start, passage.end - passage.start) / 2
        if passage.document == span.document and common >= least > 0:
            return True
    return False


def _best(question: PlacedQuestion, passages: Any) -> Place | None:
    """The passage with the most of the first answer."""
    span = question.spans[0]
    common = [
        (min(one.end, span.end) - max(one.start, span.start), -number)
        for number, one in enumerate(passages(span.document))
    ]
    best = max(common, default=(0, 0))
    return (span.document, -best[1]) if best[0] > 0 else None


class _Finder:
    """Places in a library's texts."""

    def __init__(self, library: Library) -> None:
        self._names = [document.name for document in library.documents() if document.content_id]
        self._text = cache(library.text)
        self._spaceless = cache(lambda name: _spaceless(self._text(name)))

    def spans(self, row: Mapping[str, Any]) -> tuple[Span, ...]:
        """All places of a row that there are."""
        if "start" in row and "end" in row and "document" in row:
            name = self._name(str(row["document"]))
            try:
                start, end = int(row["start"]), int(row["end"])
                fits = name is not None and 0 <= start < end <= len(self._text(name))
            except (TypeError, ValueError, LibraryError):
                return ()
            return (Span(str(name), start, end),) if fits else ()
        given = row.get("source")
        sources = [given] if isinstance(given, dict) else given if isinstance(given, list) else []
        found = [self._find(one) for one in sources if isinstance(one, dict)]
        return tuple(span for span in found if span is not None)

    def _find(self, source: Mapping[str, Any]) -> Span | None:
        name = self._name(str(source.get("document", "")))
        wanted, _ = _spaceless(str(source.get("text", "")))
        if name is None or not wanted:
            return None
        text, places = self._spaceless(name)
        start = text.find(wanted)
        return None if start < 0 else Span(name, places[start], places[start + len(wanted) - 1] + 1)

    def _name(self, given: str) -> str | None:
        """The library's document of this name, or the only one that a path ends with."""
        if given in self._names:
            return given
        last = PurePosixPath(given).name
        fitting = [name for name in self._names if last and PurePosixPath(name).name == last]
        return fitting[0] if len(fitting) == 1 else None


def _spaceless(text: str) -> tuple[str, list[int]]:
    """A text in small letters without spaces and marks of tables and emphasis, and where each sign stood."""
    places = [match.start() for match in re.finditer(r"[^\s|*_`#]", text)]
    return "".join(text[place].lower()[0] for place in places), places


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict) or not str(row.get("question") or "").strip():
        raise DataError("this line is no JSON object with a question", where=where)
    return row
