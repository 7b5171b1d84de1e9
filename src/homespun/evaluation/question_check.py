"""A question set looked over before anything is measured with it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from homespun.evaluation.gold import GoldFinder, find_words
from homespun.evaluation.metrics import normalize_answer
from homespun.evaluation.power import F1_SPREAD, n_needed, spread_right_or_wrong
from homespun.evaluation.question_split import documents_of, shared_documents
from homespun.evaluation.questions import Question, QuestionSet, read_questions
from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder
from homespun.retrieval.open import open_library
from homespun.tuning.data.finding import Finding
from homespun.tuning.data.likeness import near_pairs, plain

#: Questions whose vectors are so near mean the same.
SAME_MEANING = 0.93
#: So small a share of unanswerable questions does not show who makes answers up.
LEAST_UNANSWERABLE = 0.05
#: Differences that the power is told for.
DIFFERENCES = (0.05, 0.1)


@dataclass(frozen=True)
class NeededQuestions:
    """How many questions show a difference of `points` of 100 with 80% power, for two kinds of scores."""

    points: int
    right_or_wrong: int
    token_f1: int


@dataclass(frozen=True)
class QuestionCheck:
    """What was seen.

    Attributes:
        splits: questions by split; "" where the file does not tell.
        n_documents: that the questions are about; the units that intervals are drawn over.
    """

    path: Path | None
    digest: str
    n_questions: int
    n_unanswerable: int
    n_near_miss: int
    n_documents: int
    splits: Mapping[str, int]
    needed: tuple[NeededQuestions, ...]
    findings: tuple[Finding, ...]

    @property
    def has_errors(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)


def check_question_file(
    home: Home,
    path: Path,
    *,
    train: Path | None = None,
    library: str | None = None,
    progress: Progress = no_progress,
) -> QuestionCheck:
    """Read a question set and look it over.

    Args:
        train: the set that ways are tuned and chosen on: what both ask is found.
        library: whose documents answer it: places and answers that are not in them are found, and questions
            that ask the same in other words.

    Raises:
        EvaluationError: the files cannot be used.
        LibraryError: no such library.
    """
    questions = read_questions(path)
    learnt = read_questions(train) if train is not None else None
    finder = GoldFinder(open_library(home, library)) if library is not None else None
    return check_questions(questions, learnt, finder, progress=progress)


def check_questions(
    questions: QuestionSet,
    train: QuestionSet | None = None,
    finder: GoldFinder | None = None,
    *,
    progress: Progress = no_progress,
) -> QuestionCheck:
    """`check_question_file` for sets that were read already."""
    asked = questions.questions
    findings = [
        *_broken(questions),
        *_copies(questions, None if finder is None else finder.library.embedder, progress),
        *_unanswerable(asked),
        *_sides(questions, train),
        *_places(questions, finder, progress),
    ]
    order = ("error", "warning", "note")
    findings.sort(key=lambda finding: order.index(finding.severity))
    needed = tuple(
        NeededQuestions(
            round(100 * size),
            n_needed(spread_right_or_wrong(difference=size), size),
            n_needed(F1_SPREAD, size),
        )
        for size in DIFFERENCES
    )
    return QuestionCheck(
        questions.path,
        questions.digest,
        len(asked),
        sum(one.unanswerable for one in asked),
        sum(one.near_miss is True for one in asked),
        len({name for one in asked for name in documents_of(one)}),
        dict(Counter(one.split for one in asked)),
        needed,
        tuple(findings),
    )


def _broken(questions: QuestionSet) -> Iterator[Finding]:
    if questions.problems:
        first = questions.problems[0]
        yield Finding(
            "broken",
            "error",
            f"{_count(len(questions.problems), 'row')} left out. The first, line {first.line}: {first.what}",
            "Mend or remove them.",
            tuple(f"{questions.path}:{problem.line}" for problem in questions.problems),
        )


def _copies(questions: QuestionSet, embedder: Embedder | None, progress: Progress) -> Iterator[Finding]:
    """Questions that ask the same, nearly the same, or the same in other words; and those of them that disagree."""
    asked = questions.questions
    by_words: dict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(asked):
        by_words[plain(one.question).rstrip(" ?!.")].append(place)
    same = [group for group in by_words.values() if len(group) > 1]
    torn = [group for group in same if not _all_agree([asked[place] for place in group])]
    if torn:
        yield Finding(
            "ambiguous",
            "error",
            f"{_count(len(torn), 'question')} asked in the same words with different answers.",
            "Say in each which is meant, or accept both answers.",
            tuple(" = ".join(_at(questions, place) for place in group) for group in torn),
        )
    copies = [group for group in same if group not in torn]
    if copies:
        yield Finding(
            "duplicates",
            "warning",
            f"{_count(sum(len(group) - 1 for group in copies), 'question')} asked twice; each counts double.",
            "Keep one of each.",
            tuple(" = ".join(_at(questions, place) for place in group) for group in copies),
        )
    texts = {words: group[0] for words, group in by_words.items()}
    places = list(texts.values())
    near = [(places[one], places[other]) for one, other, _ in near_pairs(list(texts))]
    yield from _near(questions, near, "in nearly the same words")
    if embedder is not None:
        progress("comparing questions", 0, len(places))
        vectors = embedder.embed([asked[place].question for place in places], "query", progress)
        cosines = vectors @ vectors.T
        means = [
            (places[one], places[other])
            for one in range(len(places))
            for other in (cosines[one, one + 1 :] >= SAME_MEANING).nonzero()[0] + one + 1
        ]
        yield from _near(questions, [pair for pair in means if pair not in near], "in other words, it seems")


def _near(questions: QuestionSet, pairs: Sequence[tuple[int, int]], how: str) -> Iterator[Finding]:
    agree = [pair for pair in pairs if _all_agree([questions.questions[place] for place in pair])]
    for some, kind, verdict in (
        (agree, "near-duplicates", "Keep one of each, or they count double."),
        (
            [pair for pair in pairs if pair not in agree],
            "near, and different answers",
            "Fine if they differ in what matters; else one answer is wrong, or the question ambiguous.",
        ),
    ):
        if some:
            severity = "warning" if some is agree else "note"
            yield Finding(
                kind,
                "warning" if severity == "warning" else "note",
                f"{_count(len(some), 'pair')} asked {how}.",
                verdict,
                tuple(f"{_at(questions, one)} ~ {_at(questions, other)}" for one, other in some),
            )


def _unanswerable(asked: Sequence[Question]) -> Iterator[Finding]:
    n = sum(one.unanswerable for one in asked)
    if n < LEAST_UNANSWERABLE * len(asked):
        yield Finding(
            "unanswerable",
            "note",
            f"{n} of {len(asked)} questions are marked unanswerable, so who makes answers up does not show.",
            "Add some that your documents do not answer: a tenth, half of them near misses.",
        )


def _sides(questions: QuestionSet, train: QuestionSet | None) -> Iterator[Finding]:
    """What the side that is measured shares with the side that is learnt from."""
    learnt = list(train.questions) if train is not None else []
    learnt += [one for one in questions.questions if one.split == "train"]
    tested = [one for one in questions.questions if one.split != "train"]
    if not learnt or not tested:
        return
    known = {plain(one.question): one for one in learnt}
    exact = [one for one in tested if plain(one.question) in known]
    rest = {plain(one.question): one for one in tested if plain(one.question) not in known}
    near = {other for _, other, _ in near_pairs(list(known), list(rest))}
    leaks = [*exact, *(list(rest.values())[place] for place in sorted(near))]
    if leaks:
        yield Finding(
            "leak",
            "error",
            f"{_count(len(leaks), 'question')} of the test side stand in the training side, or nearly.",
            "Remove them from one side.",
            tuple(f"{questions.path}:{one.line}" for one in leaks),
        )
    shared = shared_documents((learnt, tested))
    if shared:
        yield Finding(
            "shared documents",
            "note",
            f"{_count(len(shared), 'document')} with questions on both sides.",
            "What was learnt of a document may answer its other questions; `questions split` divides by documents.",
            tuple(sorted(shared)),
        )


def _places(questions: QuestionSet, finder: GoldFinder | None, progress: Progress) -> Iterator[Finding]:
    """Questions that the library cannot answer as the set says."""
    able = [one for one in questions.questions if not one.unanswerable]
    bare = [one for one in able if not one.sources]
    if bare:
        yield Finding(
            "no source",
            "note",
            f"{_count(len(bare), 'question')} without a source: whether its place was found cannot be told.",
            "Add `source` with document and text.",
            tuple(f"{questions.path}:{one.line}" for one in bare),
        )
    if finder is None:
        return
    lost: dict[str, str] = {}
    for number, one in enumerate(able):
        progress("looking for answers", number, len(able))
        problem = _not_in(finder, one)
        if problem:
            lost[f"{questions.path}:{one.line}"] = problem
    if lost:
        yield Finding(
            "not in the library",
            "error",
            f"{_count(len(lost), 'question')} that the library does not answer as the set says. The first: "
            f"{next(iter(lost.values()))}",
            "Ingest the document, mend the source, or mark the question unanswerable.",
            tuple(lost),
        )


def _not_in(finder: GoldFinder, question: Question) -> str:
    """Why a question cannot be answered; empty: its place is there (or it names none)."""
    for place in finder.places(question):
        if not place.is_found:
            return place.problem
    if not question.sources:
        words = [answer for answer in question.answers if len(normalize_answer(answer)) > 2]
        if words and not any(_is_anywhere(finder, answer) for answer in words):
            return f"No document holds “{words[0]}”."
    return ""


def _is_anywhere(finder: GoldFinder, answer: str) -> bool:
    texts = (finder.text(document.name) for document in finder.library.documents())
    return any(text and find_words(text, answer) for text in texts)


def _all_agree(questions: Sequence[Question]) -> bool:
    """Whether every two accept a common answer, or one that holds the other's; or none of them has one."""
    accepted = [[f" {normalize_answer(answer)} " for answer in one.answers] for one in questions]
    if not any(accepted):
        return True
    return all(any(a in b or b in a for a in one for b in other) for one, other in combinations(accepted, 2))


def _at(questions: QuestionSet, place: int) -> str:
    return f"{questions.path}:{questions.questions[place].line}"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"
