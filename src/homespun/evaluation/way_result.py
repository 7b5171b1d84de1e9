"""The figures of one way out of its scored answers: nothing averages over survivors only."""

from collections.abc import Sequence

from homespun.evaluation.asking import AskedWayResult
from homespun.evaluation.comparison import WayResult, WayRow
from homespun.evaluation.gold import GoldFinder
from homespun.evaluation.intervals import interval, mean_shares
from homespun.evaluation.questions import Question
from homespun.evaluation.scoring import score
from homespun.evaluation.way_options import WITH_LIBRARY, WayOptions
from homespun.evaluation.ways import Answered

#: Depths of which the share of questions is told whose answer was found that far up.
DEPTHS = (1, 3, 5, 10)


def way_result(
    name: str,
    options: WayOptions,
    digest: str,
    rows: Sequence[WayRow],
    asked: Sequence[Question],
    answered: AskedWayResult,
    seed: int,
) -> WayResult:
    """Means over all attempted questions.

    Args:
        rows: one a question of `asked`, in its order.
        answered: what asking told beside the answers.
    """
    f1 = [row.correct if row.f1 is None else row.f1 for row in rows]
    answers = [row.answered for row in rows]
    fresh = [one for one in answers if one.error is None]
    correct = sum(row.correct for row in rows)
    cost = _sum([one.cost_usd for one in fresh])
    seconds = sum(one.seconds for one in fresh)
    hits, reciprocal = _hits(options, rows, asked)
    return WayResult(
        name=name,
        options=options,
        digest=digest,
        rows=tuple(rows),
        n_attempted=len(rows),
        n_scored=len(fresh),
        n_cached=answered.n_cached,
        crashed=answered.crashed,
        correct=interval(mean_shares([row.correct for row in rows]), seed=seed),
        f1=interval(mean_shares(f1), seed=seed),
        refusals_right=_share(
            [row.answered.refused for row, one in zip(rows, asked, strict=True) if one.unanswerable]
        ),
        citations_right=_share([row.citation_right for row in rows if row.citation_right is not None]),
        hits=hits,
        mean_reciprocal_rank=reciprocal,
        seconds=seconds / max(1, len(fresh)),
        prompt_tokens=sum(one.n_prompt_tokens for one in fresh) / max(1, len(fresh)),
        new_tokens=sum(one.n_new_tokens for one in fresh) / max(1, len(fresh)),
        peak_bytes=answered.peak_bytes,
        cost_usd=cost,
        cost_per_correct_usd=cost / correct if cost is not None and correct else None,
        seconds_per_correct=seconds / correct if correct else None,
        n_compared=answered.n_compared,
        n_changed=answered.n_changed,
    )


def _hits(
    options: WayOptions, rows: Sequence[WayRow], asked: Sequence[Question]
) -> tuple[dict[str, float], float | None]:
    """Of the questions whose place is known; deeper than the way looks nothing is told."""
    known = [
        row.hit_rank
        for row, question in zip(rows, asked, strict=True)
        if question.sources and not question.unanswerable
    ]
    if options.kind not in WITH_LIBRARY or not known:
        return {}, None
    deepest = max((len(row.answered.passages) + len(row.answered.dropped) for row in rows), default=0)
    told = {
        f"hit@{depth}": sum(rank is not None and rank <= depth for rank in known) / len(known)
        for depth in DEPTHS
        if depth <= deepest
    }
    return told, sum(1 / rank for rank in known if rank) / len(known)


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def scored_row(question: Question, answered: Answered, gold: GoldFinder | None) -> WayRow:
    """A way's answer with its scores; `gold` finds places in the library that it answers from."""
    if gold is None:
        scored = score(question, answered)
    else:
        scored = score(
            question,
            answered,
            places=[place for place in gold.places(question) if place.is_found],
            text_of=gold.text,
            embedder=gold.library.embedder,
        )
    return WayRow(
        answered,
        scored.correct,
        scored.exact,
        scored.f1,
        scored.refusal_right,
        scored.citation_right,
        scored.hit_rank,
    )
