"""What a comparison of ways is: its options, what each way answered and scored, and how sure differences are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import Interval
from homespun.evaluation.statistics import Difference
from homespun.evaluation.way_options import WayOptions
from homespun.evaluation.ways import Answered

Measure = Literal["correct", "f1"]


@dataclass(frozen=True)
class CompareOptions:
    """How ways are compared."""

    sample: int = field(default=0, metadata={"help": "ask only so many questions, drawn by the seed; 0: all"})
    seed: int = field(default=0, metadata={"help": "of the sample, the order and the intervals"})
    by: Measure = field(
        default="correct", metadata={"help": "what decides: correct (right answers and refusals) or f1"}
    )
    choose: int = field(
        default=0,
        metadata={"help": "first choose prompt, passages and length on so many train questions; 0: do not"},
    )
    oracle: bool = field(
        default=False, metadata={"help": "also answer from the right passage and the right sentence"}
    )
    cache: bool = field(default=True, metadata={"help": "take answers that the same way gave before"})
    shuffle: bool = field(default=False, metadata={"help": "ask in another order, drawn by the seed"})

    def __post_init__(self) -> None:
        for name in ("sample", "choose"):
            if getattr(self, name) < 0:
                raise EvaluationError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.by not in ("correct", "f1"):
            raise EvaluationError(f"by is {self.by!r}; it must be correct or f1.")


@dataclass(frozen=True)
class Cause:
    """Why an answer is wrong.

    Attributes:
        name: one of `causes.CAUSES`.
        detail: what was seen, in a sentence.
        rank: of the place that holds the answer, where it was searched for; None: not found, or not searched.
    """

    name: str
    detail: str
    rank: int | None = None


@dataclass(frozen=True)
class WayRow:
    """One question in one way.

    Attributes:
        correct: 0 to 1; 0 where there is no answer.
        exact, f1: None of a question without an answer.
        refusal_right, citation_right: None where it does not apply.
        hit_rank: of the first passage that holds the answer among those found; None: none does.
        cause: of a wrong answer.
    """

    answered: Answered
    correct: float
    exact: float | None = None
    f1: float | None = None
    refusal_right: bool | None = None
    citation_right: bool | None = None
    hit_rank: int | None = None
    cause: Cause | None = None


@dataclass(frozen=True)
class WayResult:
    """One way.

    Attributes:
        n_attempted: questions it was to answer. n_scored: those that it answered without a failure.
        n_cached: answers that were kept from before.
        crashed: why it ended before its end; None: it did not.
        correct, f1: means over all attempted questions (a failure counts 0), with 95% intervals.
        refusals_right: share of the unanswerable questions that it refused; None: there are none.
        citations_right: share of its citations' answers that hold; None: it cites nothing.
        hits: share of answerable questions whose answer was among the first 1, 3, 5, 10 passages found.
        seconds: a question. prompt_tokens, new_tokens: a question.
        peak_bytes: most memory of this process while it answered; None where nothing was asked anew.
        cost_usd: of all, where the prices are known. cost_per_correct_usd: of a correct answer.
        n_compared, n_changed: with the cache off, answers that were kept from before, and those of them that
            came out different now.
    """

    name: str
    options: WayOptions
    digest: str
    rows: tuple[WayRow, ...]
    n_attempted: int
    n_scored: int
    n_cached: int
    crashed: str | None
    correct: Interval
    f1: Interval
    refusals_right: float | None
    citations_right: float | None
    hits: Mapping[str, float]
    mean_reciprocal_rank: float | None
    seconds: float
    prompt_tokens: float
    new_tokens: float
    peak_bytes: int | None
    cost_usd: float | None
    cost_per_correct_usd: float | None
    seconds_per_correct: float | None
    n_compared: int = 0
    n_changed: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every question was answered without a failure."""
        return self.crashed is None and self.n_scored == self.n_attempted


@dataclass(frozen=True)
class Pair:
    """How far the first way lies above the second.

    Attributes:
        p_holm: `difference.p` corrected for the number of pairs.
        n_more: questions more that would show 5 points.
        n_first, n_second: questions that only the first, only the second answered better.
    """

    first: str
    second: str
    difference: Difference
    p_holm: float
    n_more: int
    n_first: int
    n_second: int

    @property
    def is_clear(self) -> bool:
        """Whether it can be believed among all pairs."""
        return self.p_holm < 0.05 and self.difference.excludes_zero


@dataclass(frozen=True)
class CauseCount:
    """A cause of wrong answers of one way.

    Attributes:
        points_at_most: what the score would gain, in points of 100, if all its answers became right.
        points_oracle: what it gained on these questions when the right passage (or sentence) was given; None:
            no oracle was asked.
        try_next: what to try.
    """

    way: str
    name: str
    n: int
    points_at_most: float
    points_oracle: float | None
    try_next: str


@dataclass(frozen=True)
class AskedQuestion:
    """A question as it is shown with its answers."""

    id: str
    question: str
    answers: tuple[str, ...]
    document: str
    unanswerable: bool
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What was compared.

    Attributes:
        name: under which it is kept.
        made: UTC, ISO 8601.
        digest: of the questions asked.
        set_digest, set_name: of the whole question set.
        winner: the way that is better than every other; empty: none is shown to be.
        verdict: in plain words.
        phases: seconds by what was done.
        notes: what else is to be known.
    """

    name: str
    made: str
    set_name: str
    set_digest: str
    digest: str
    options: CompareOptions
    questions: tuple[AskedQuestion, ...]
    ways: tuple[WayResult, ...]
    pairs: tuple[Pair, ...]
    winner: str
    verdict: tuple[str, ...]
    causes: tuple[CauseCount, ...]
    phases: Mapping[str, float]
    versions: Mapping[str, str]
    machine: str
    notes: tuple[str, ...] = ()

    def way(self, name: str) -> WayResult:
        """One way by its name."""
        return next(way for way in self.ways if way.name == name)

    def to_json(self) -> dict[str, Any]:
        """For other programs, and as it is kept."""
        from homespun.evaluation.comparison_json import to_json

        return to_json(self)
