"""Faults planted in files, questions and options are named; nothing is planted in what a run tells of itself."""

from pathlib import Path

import pytest
from planted import SUBJECTS, Handbook, handbook, plant

from homespun.evaluation.compare import compare
from homespun.evaluation.comparison import CompareOptions, Comparison
from homespun.evaluation.questions import read_questions
from homespun.evaluation.way_options import WayOptions, parse_ways
from homespun.models.home import Home
from homespun.retrieval.open import open_library
from homespun.retrieval.sync import ingest

FILE_FAULTS = (
    "missing document", "missing sentence", "broken file", "other words", "asked twice", "other version", "drowned",
    "no answer",
)  # fmt: skip


def compared(home: Home, folder: Path, book: Handbook, ways: str, library: str) -> Comparison:
    """The handbook ingested and asked in these ways."""
    documents, path = book.write(folder)
    ingest(open_library(home, library, create=True), [documents])
    chosen = parse_ways(ways, WayOptions(library=library, mode="exact"))
    return compare(home, read_questions(path), chosen, CompareOptions())


def named(comparison: Comparison, planted: dict[str, str]) -> tuple[list[str], list[str]]:
    """Planted questions that are wrong: those whose cause is the planted one, and the others, in words."""
    right, other = [], []
    for way in comparison.ways:
        for row in way.rows:
            name = row.answered.question_id
            if name not in planted:
                continue
            cause = row.cause.name if row.cause is not None else "none: it was answered rightly"
            told = f"{way.name} {name}: planted {planted[name]}, named {cause} ({row.answered.text!r})"
            (right if cause == planted[name] else other).append(told)
    return right, other


def test_each_fault_of_the_files_is_named(measured_home: Home, tmp_path: Path) -> None:
    book = handbook(range(10))
    plant(book, dict(enumerate(FILE_FAULTS)))
    found = compared(measured_home, tmp_path, book, "quote@abstain=no@passages=4", "faults")
    right, other = named(found, book.planted)
    assert not other
    assert len(right) == len(book.planted) == 10
    wrong = [row for row in found.ways[0].rows if row.cause is not None]
    assert {row.answered.question_id for row in wrong} - set(book.planted) <= {"fee-4"}  # the twin of again-4
    assert {cause.name for cause in found.causes} == set(book.planted.values())


@pytest.mark.long
def test_each_fault_of_the_options_is_named(measured_home: Home, tmp_path: Path) -> None:
    book = handbook([0, 1])
    book.questions.append({**book.questions[0], "id": "endless", "question": "What does it cost? " * 400})
    ways = "retrieve@window=160@passages=4@abstain=no@max_new_tokens=60,retrieve@max_new_tokens=2@abstain=no,prompt"
    found = compared(measured_home, tmp_path, book, ways, "options")
    cramped, short, alone = found.ways
    causes = {row.answered.question_id: row.cause.name for row in cramped.rows if row.cause is not None}
    assert causes["endless"] == "failed"
    assert cramped.n_attempted == 5 and cramped.n_scored == 4
    for row in cramped.rows[:4]:
        assert row.answered.dropped and not row.answered.passages
        assert row.cause is not None and row.cause.name == "cut"
    assert {row.cause.name for row in short.rows if row.cause is not None} <= {"answer cut", "failed"}
    assert all(row.cause is None or row.cause.name in ("not known", "failed") for row in alone.rows)


@pytest.mark.long
def test_of_a_hundred_planted_faults_95_are_named(measured_home: Home, tmp_path: Path) -> None:
    n_right, others = 0, []
    for turn in range(8):
        book = handbook(range(len(SUBJECTS)))
        faults = [FILE_FAULTS[(place + turn) % len(FILE_FAULTS)] for place in range(10)]
        plant(
            book, dict(zip([(place * 2 + turn) % len(SUBJECTS) for place in range(10)], faults, strict=True))
        )
        ways = f"quote@abstain=no@passages={3 + turn % 3}"
        found = compared(measured_home, tmp_path / str(turn), book, ways, f"hundred{turn}")
        right, other = named(found, book.planted)
        n_right += len(right)
        others += other
    assert n_right + len(others) >= 100
    assert n_right >= 0.95 * (n_right + len(others)), "\n".join(others)
