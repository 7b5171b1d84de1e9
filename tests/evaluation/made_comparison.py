"""Comparisons whose every number is made up, so that what is said of them can be worked out by hand."""

from collections.abc import Mapping, Sequence

from homespun.evaluation.asking import AskedWayResult
from homespun.evaluation.causes import count_causes
from homespun.evaluation.comparison import (
    AskedQuestion,
    Cause,
    CompareOptions,
    Comparison,
    WayResult,
    WayRow,
)
from homespun.evaluation.questions import Question
from homespun.evaluation.verdict import compared_pairs, judge
from homespun.evaluation.way_options import WayOptions
from homespun.evaluation.way_result import way_result
from homespun.evaluation.ways import Answered, CitedPlace


def made_way(
    name: str,
    scores: Sequence[float],
    *,
    text: str = "an answer",
    failed: Sequence[int] = (),
    crashed: str | None = None,
    cost_usd: float | None = None,
) -> WayResult:
    """A way with these scores; what is wrong was `ignored`."""
    kind = name.split("@")[0]
    questions = questions_of(len(scores))
    rows = []
    for place, score in enumerate(scores):
        error = "It failed." if place in failed else None
        cited = (CitedPlace("a <b>.md", 0, 9, 'quoted "text" & more', "a <b>.md, line 1"),)
        answered = Answered(
            questions[place].id,
            text,
            seconds=0.5,
            error=error,
            citations=cited,
            cost_usd=cost_usd,
            n_new_tokens=3,
        )
        cause = (
            None
            if score >= 0.5
            else Cause("failed" if error else "ignored", "It was given <i>and not</i> used.")
        )
        rows.append(WayRow(answered, score, score, score, citation_right=True, hit_rank=1, cause=cause))
    options = WayOptions(kind)  # type: ignore[arg-type]
    result = AskedWayResult(tuple(row.answered for row in rows), crashed=crashed)
    return way_result(name, options, "d" * 64, rows, questions, result, 0)


def questions_of(n: int, text: str = "Why?") -> list[Question]:
    return [Question(f"q{place}", text, ("because",)) for place in range(n)]


def made_comparison(ways: Mapping[str, WayResult], text: str = "Why?") -> Comparison:
    """Judged as `compare` judges."""
    results = tuple(ways.values())
    n = results[0].n_attempted
    pairs = compared_pairs(results, "correct", None)
    winner, verdict = judge(results, pairs, "correct")
    questions = tuple(
        AskedQuestion(one.id, one.question, one.answers, "", False, (f"a.md: {text}",))
        for one in questions_of(n, text)
    )
    return Comparison(
        "made", "2026-11-25T15:00:00+00:00", "set.jsonl", "s" * 64, "q" * 64, CompareOptions(), questions,
        results, pairs, winner, verdict, count_causes(results), {"asking": 1.5}, {"homespun": "0"}, "a machine",
    )  # fmt: skip
