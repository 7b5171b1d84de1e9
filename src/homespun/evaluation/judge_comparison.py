"""A kept comparison judged again by a model, beside a person's own marks."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.evaluation.comparison import AskedQuestion, Comparison, WayResult, WayRow
from homespun.evaluation.comparison_store import FOLDER, LAST, find_comparison, read_comparison
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.judge import Judge
from homespun.evaluation.judged import (
    RIGHT,
    Agreement,
    JudgedAnswers,
    PreferenceSummary,
    agreement,
    family_warning,
    judge_answers,
    summarize_preferences,
)
from homespun.evaluation.questions import Question
from homespun.evaluation.several import Standing, compare_all
from homespun.evaluation.way_options import ORACLES
from homespun.models.home import Home
from homespun.progress import Progress, no_progress

#: An answer of a comparison: the way and the question's id.
AnswerKey = tuple[str, str]


@dataclass(frozen=True)
class Mark:
    """A person's own verdict on one answer."""

    way: str
    question_id: str
    is_right: bool


@dataclass(frozen=True)
class JudgedComparison:
    """What a judge made of a comparison.

    Attributes:
        answers: of each way; the judge is asked about given answers only. A failure or a refusal counts 0, and
            of an unanswerable question whether it was refused decides, as everywhere.
        standing: of the ways by these scores.
        rule_agreement: with the scores of the comparison itself.
        agreement: with a person's marks; None: there are none.
        warning: where the judge is of a family that it judges; empty: it is not.
    """

    answers: Mapping[str, JudgedAnswers]
    standing: Standing
    rule_agreement: Agreement | None
    agreement: Agreement | None
    warning: str


def judge_comparison(
    comparison: Comparison,
    judge: Judge,
    marks: Sequence[Mark] = (),
    *,
    default_model: str = "",
    progress: Progress = no_progress,
) -> JudgedComparison:
    """Ask a judge about every answer of every way.

    Args:
        default_model: that answered where a way names none.

    Raises:
        EngineError: the judge cannot run; a row that it fails on has no score, and the rest goes on.
    """
    ways = [way for way in comparison.ways if way.options.kind not in ORACLES]
    answers = {way.name: _judged(way, comparison.questions, judge, progress) for way in ways}
    documents = [one.document or f"\0{one.id}" for one in comparison.questions]
    by_judge: dict[AnswerKey, bool] = {}
    by_rule: dict[AnswerKey, bool] = {}
    for way in ways:
        for question, row, value in zip(
            comparison.questions, way.rows, answers[way.name].scores, strict=True
        ):
            if value is not None and _is_given(question, row):
                by_judge[way.name, question.id] = value >= RIGHT
                by_rule[way.name, question.id] = row.correct >= RIGHT
    mine = {(mark.way, mark.question_id): mark.is_right for mark in marks}
    models = {
        way.name: "" if way.options.kind == "quote" else way.options.model or default_model for way in ways
    }
    return JudgedComparison(
        answers,
        compare_all(
            {name: found.scores for name, found in answers.items()},
            documents if len(set(documents)) < len(documents) else None,
        ),
        agreement(by_judge, by_rule) if by_judge else None,
        agreement(by_judge, mine) if by_judge.keys() & mine.keys() else None,
        family_warning(judge.engine.facts, models),
    )


def prefer_between(
    comparison: Comparison, judge: Judge, first: str, second: str, progress: Progress = no_progress
) -> PreferenceSummary:
    """Which of two ways' answers a judge prefers, question by question, in both orders.

    Raises:
        EvaluationError: the comparison has no such way.
    """
    one, other = _way(comparison, first), _way(comparison, second)
    chosen, left, right = [], [], []
    for number, question in enumerate(comparison.questions):
        progress("choosing between answers", number, len(comparison.questions))
        texts = (one.rows[number].answered.text, other.rows[number].answered.text)
        chosen.append(judge.prefer(_question(question), *texts))
        left.append(texts[0])
        right.append(texts[1])
    return summarize_preferences(chosen, left, right)


def answers_to_mark(
    comparison: Comparison, marks: Sequence[Mark], *, seed: int = 0
) -> Iterator[tuple[AskedQuestion, WayResult, WayRow]]:
    """Given answers without a mark, drawn by the seed: the ones that a person should look at."""
    done = {(mark.way, mark.question_id) for mark in marks}
    open_ = [
        (question, way, row)
        for way in comparison.ways
        for question, row in zip(comparison.questions, way.rows, strict=True)
        if _is_given(question, row) and (way.name, question.id) not in done
    ]
    random.Random(seed).shuffle(open_)
    yield from open_


def latest_comparison(home: Home, name: str) -> Comparison:
    """A kept comparison by its name, or `last`: the newest one of any questions.

    Raises:
        EvaluationError: there is none, or it cannot be read.
    """
    if name != LAST:
        return find_comparison(home, name, "")
    kept = [read_comparison(path) for path in (home.root / FOLDER).glob("*.json")]
    if not kept:
        raise EvaluationError(
            "No comparison is kept yet.",
            remedy="Run `homespun compare QUESTIONS` first; it keeps what it finds.",
        )
    return max(kept, key=lambda one: (one.made, one.name))


def marks_path(comparison_path: Path) -> Path:
    """Where the marks of a kept comparison stand."""
    return comparison_path.with_suffix(".marks.jsonl")


def read_marks(path: Path) -> list[Mark]:
    """A person's marks; of several on one answer the last. None where there is no file.

    Raises:
        EvaluationError: a line is no mark.
    """
    if not path.is_file():
        return []
    found: dict[AnswerKey, Mark] = {}
    for line, text in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            mark = Mark(str(row["way"]), str(row["id"]), bool(row["right"]))
        except (ValueError, KeyError, TypeError):
            raise EvaluationError(
                "This is no mark.", where=f"{path}, line {line}", remedy="Remove it."
            ) from None
        found[mark.way, mark.question_id] = mark
    return list(found.values())


def add_mark(path: Path, mark: Mark) -> None:
    """Keep one more mark."""
    row = {"way": mark.way, "id": mark.question_id, "right": mark.is_right}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _judged(
    way: WayResult, questions: Sequence[AskedQuestion], judge: Judge, progress: Progress
) -> JudgedAnswers:
    given = [
        (place, question, row)
        for place, (question, row) in enumerate(zip(questions, way.rows, strict=True))
        if _is_given(question, row)
    ]
    asked = judge_answers(
        judge.right,
        [_question(question) for _, question, _ in given],
        [row.answered.text for _, _, row in given],
        lambda what, done, total: progress(f"{what}: {way.name}", done, total),
    )
    scores: list[float | None] = [
        row.correct if question.unanswerable and row.answered.error is None else 0.0
        for question, row in zip(questions, way.rows, strict=True)
    ]
    probabilities: list[float | None] = [None] * len(questions)
    for number, (place, _, _) in enumerate(given):
        scores[place], probabilities[place] = asked.scores[number], asked.probabilities[number]
    return JudgedAnswers(tuple(scores), tuple(probabilities), asked.failures)


def _is_given(question: AskedQuestion, row: WayRow) -> bool:
    """Whether there is an answer that could be right or wrong."""
    return not question.unanswerable and row.answered.error is None and not row.answered.refused


def _question(asked: AskedQuestion) -> Question:
    return Question(asked.id, asked.question, asked.answers, unanswerable=asked.unanswerable)


def _way(comparison: Comparison, name: str) -> WayResult:
    for way in comparison.ways:
        if way.name == name:
            return way
    names = ", ".join(way.name for way in comparison.ways)
    raise EvaluationError(f"The comparison has no way {name!r}; it has {names}.")
