"""A kept comparison judged, marked by a person, and kept apart from its own scores."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from homespun.evaluation.asking import AskedWayResult
from homespun.evaluation.comparison import AskedQuestion, CompareOptions, Comparison, WayRow
from homespun.evaluation.comparison_store import comparison_path, keep_comparison
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.judge import Preference
from homespun.evaluation.judge_comparison import (
    Mark,
    add_mark,
    answers_to_mark,
    judge_comparison,
    latest_comparison,
    marks_path,
    prefer_between,
    read_marks,
)
from homespun.evaluation.questions import Question
from homespun.evaluation.way_options import WayOptions
from homespun.evaluation.way_result import way_result
from homespun.evaluation.ways import Answered

QUESTIONS = [Question(str(n), f"What is {n}?", (f"it is {n}",), document=f"d{n % 3}") for n in range(24)]
QUESTIONS += [Question(f"u{n}", f"And {n}?", (), unanswerable=True) for n in range(6)]


def way(name: str, texts: list[str], errors: tuple[int, ...] = ()):
    rows = []
    for place, (question, text) in enumerate(zip(QUESTIONS, texts, strict=True)):
        error = "It failed." if place in errors else None
        answered = Answered(question.id, text, refused=text == "-", error=error)
        right = answered.refused if question.unanswerable else text in question.answers
        rows.append(WayRow(answered, float(right and error is None)))
    asked = AskedWayResult(tuple(row.answered for row in rows))
    return way_result(name, WayOptions(kind="prompt", model=f"{name}-1b"), "x", rows, QUESTIONS, asked, 0)


@pytest.fixture
def comparison() -> Comparison:
    good = [f"it is {n}" for n in range(24)] + ["-"] * 6
    poor = ["something else"] * 18 + [f"it is {n}" for n in range(18, 24)] + ["made up"] * 6
    shown = tuple(
        AskedQuestion(one.id, one.question, one.answers, one.document, one.unanswerable) for one in QUESTIONS
    )
    ways = (way("good", good), way("poor", poor, errors=(0, 1)))
    return Comparison(
        "one", "2026-01-01T00:00:00+00:00", "set", "d", "d", CompareOptions(), shown, ways, (), "", (), (), {}, {}, "m"
    )  # fmt: skip


class Stands:
    """A judge that is right but for two rows, on which it fails if it is told to."""

    def __init__(self, fails: bool = False) -> None:
        self.engine = SimpleNamespace(facts=SimpleNamespace(model_path="/models/good-7b.gguf"))
        self._fails = fails

    def right(self, question: Question, answer: str) -> float:
        if self._fails and question.id in ("22", "23") and answer in question.answers:
            raise EvaluationError("The judge said something else.")
        return 0.9 if answer in question.answers else 0.2

    def prefer(self, question: Question, first: str, second: str) -> Preference:
        if first == second:
            return Preference("tie", 0.0, False)
        return Preference("first" if first in (*question.answers, "-") else "second", 1.0, False)


def test_a_judge_that_agrees_and_what_it_is_not_asked(comparison: Comparison) -> None:
    found = judge_comparison(comparison, Stands())  # type: ignore[arg-type]
    assert found.standing.best == "good" and not found.answers["poor"].failures
    # All 24 answered, 6 refusals that are right; 6 right of the poor way, 2 failures and 6 made up count 0.
    assert sum(value or 0 for value in found.answers["good"].scores) == 30
    assert sum(value or 0 for value in found.answers["poor"].scores) == 6
    assert found.answers["poor"].probabilities[0] is None and found.answers["poor"].scores[0] == 0.0
    assert found.rule_agreement is not None and found.rule_agreement.kappa.value == 1.0
    assert found.rule_agreement.n == 24 + 22 and found.agreement is None
    assert "family (good)" in found.warning and "poor" not in found.warning


def test_no_best_way_while_the_judge_failed_on_some(comparison: Comparison) -> None:
    found = judge_comparison(comparison, Stands(fails=True))  # type: ignore[arg-type]
    good = found.answers["good"]
    assert (good.n_attempted, good.n_scored, len(good.failures)) == (30, 28, 2)
    changed = replace(comparison, ways=(comparison.ways[0], way("poor", ["something else"] * 24 + ["-"] * 6)))
    torn = judge_comparison(changed, Stands(fails=True))  # type: ignore[arg-type]
    assert torn.standing.best is None and "good 28 of 30" in torn.standing.reason


def test_marks_are_kept_and_compared(comparison: Comparison, home) -> None:
    keep_comparison(home, comparison)
    assert latest_comparison(home, "last").name == latest_comparison(home, "one").name == "one"
    path = marks_path(comparison_path(home, "one"))
    assert read_marks(path) == []
    shown = list(answers_to_mark(comparison, []))
    assert len(shown) == 24 + 22  # neither refusals, nor failures, nor what cannot be answered
    for question, one, row in shown[:10]:
        add_mark(path, Mark(one.name, question.id, row.correct == 1.0))
    marks = read_marks(path)
    assert len(marks) == 10 and len(list(answers_to_mark(comparison, marks))) == 36
    found = judge_comparison(comparison, Stands(), marks)  # type: ignore[arg-type]
    assert found.agreement is not None and (found.agreement.n, found.agreement.n_agreed) == (10, 10)
    add_mark(path, Mark(marks[0].way, marks[0].question_id, not marks[0].is_right))
    again = judge_comparison(comparison, Stands(), read_marks(path))  # type: ignore[arg-type]
    assert again.agreement is not None and again.agreement.n_agreed == 9  # the last mark counts
    assert latest_comparison(home, "last").name == "one"  # marks are no comparison


def test_two_ways_in_both_orders(comparison: Comparison) -> None:
    found = prefer_between(comparison, Stands(), "good", "poor")  # type: ignore[arg-type]
    assert (found.n, found.n_first, found.n_second, found.n_tied) == (30, 24, 0, 6)
    with pytest.raises(EvaluationError, match="it has good, poor"):
        prefer_between(comparison, Stands(), "good", "other")  # type: ignore[arg-type]


def test_what_is_not_there_is_said(home, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="No comparison is kept yet"):
        latest_comparison(home, "last")
    (tmp_path / "a.marks.jsonl").write_text('{"way": "x"}\n', encoding="utf-8")
    with pytest.raises(EvaluationError, match="no mark"):
        read_marks(tmp_path / "a.marks.jsonl")
