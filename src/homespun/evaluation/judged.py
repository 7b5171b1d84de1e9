"""What a judge said of many answers: how much of it can be relied on."""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TypeVar

import numpy as np

from homespun.engines.engine import EngineFacts
from homespun.errors import HomespunError
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import Interval
from homespun.evaluation.judge import Preference
from homespun.evaluation.questions import Question
from homespun.progress import Progress, no_progress

Key = TypeVar("Key", bound=Hashable)

#: An answer is right from this probability on.
RIGHT = 0.5
_N_RESAMPLES = 2000

#: Gives the probability that an answer is right; `Judge.right` is one.
JudgesAnswer = Callable[[Question, str], float]


@dataclass(frozen=True)
class JudgedAnswers:
    """A way's answers as a judge sees them.

    Attributes:
        scores: 1 right, 0 wrong, None where the judge failed; one a question. They go to `several.compare_all`,
            which names no best way while any is missing.
        failures: why, by question id.
    """

    scores: tuple[float | None, ...]
    probabilities: tuple[float | None, ...]
    failures: Mapping[str, str]

    @property
    def n_attempted(self) -> int:
        return len(self.scores)

    @property
    def n_scored(self) -> int:
        return sum(score is not None for score in self.scores)


def judge_answers(
    judges: JudgesAnswer,
    questions: Sequence[Question],
    answers: Sequence[str],
    progress: Progress = no_progress,
) -> JudgedAnswers:
    """Ask a judge about each answer. Where it fails the answer has no score, which is told, and the rest goes on."""
    probabilities: list[float | None] = []
    failures: dict[str, str] = {}
    for number, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        progress("judging", number, len(questions))
        try:
            probabilities.append(judges(question, answer))
        except HomespunError as error:
            probabilities.append(None)
            failures[question.id] = error.sentence()
    scores = tuple(None if value is None else float(value >= RIGHT) for value in probabilities)
    return JudgedAnswers(scores, tuple(probabilities), failures)


@dataclass(frozen=True)
class Agreement:
    """How far a judge agrees with a person's own marks.

    Attributes:
        kappa: Cohen's (1960), with its 95% bootstrap interval; 0 is chance, 1 full agreement.
        n: answers that both have marked.
        n_agreed: of them.
    """

    kappa: Interval
    n: int
    n_agreed: int

    @property
    def sentence(self) -> str:
        """What it means, in plain words."""
        low = self.kappa.low
        told = (
            "it may be used"
            if low >= 0.4
            else "it is no better than chance, as far as these marks show"
            if low <= 0
            else "use it with care, and mark more answers"
        )
        return (
            f"The judge agrees with you on {self.n_agreed} of {self.n} answers (kappa {self.kappa.value:.2f} "
            f"[{low:.2f} to {self.kappa.high:.2f}]): {told}."
        )


def agreement(judged: Mapping[Key, bool], marks: Mapping[Key, bool], *, seed: int = 0) -> Agreement:
    """A judge's verdicts beside a person's marks, both by what they are about.

    Raises:
        EvaluationError: they share no question.
    """
    both = [key for key in judged if key in marks]
    if not both:
        raise EvaluationError("The judge and your marks share no question.")
    one = np.array([judged[key] for key in both], bool)
    other = np.array([marks[key] for key in both], bool)
    random = np.random.default_rng(seed)
    places = random.integers(0, len(both), (_N_RESAMPLES, len(both)))
    drawn = [cohen_kappa(one[some].tolist(), other[some].tolist()) for some in places]
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = cohen_kappa(one.tolist(), other.tolist())
    return Agreement(
        Interval(value, float(min(low, value)), float(max(high, value))), len(both), int((one == other).sum())
    )


def cohen_kappa(one: Sequence[bool], other: Sequence[bool]) -> float:
    """Agreement beyond what the shares of yes and no would give by chance (Cohen 1960).

    1 where both always say the same one thing.
    """
    a, b = np.asarray(one, float), np.asarray(other, float)
    agreed = float((a == b).mean())
    chance = float(a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean()))
    return 1.0 if chance == 1.0 else (agreed - chance) / (1 - chance)


@dataclass(frozen=True)
class PreferenceSummary:
    """A judge's choices between two ways.

    Attributes:
        n_flipped: ties because the two orders disagreed.
        longer_chosen: of the decided ones, the share where the longer answer was chosen; None: none decided.
        length_gap: mean words of the chosen answers less those of the others; None: none decided.
    """

    n: int
    n_first: int
    n_second: int
    n_tied: int
    n_flipped: int
    longer_chosen: float | None
    length_gap: float | None

    @property
    def flip_rate(self) -> float:
        return self.n_flipped / self.n if self.n else 0.0


def summarize_preferences(
    preferences: Sequence[Preference], first: Sequence[str], second: Sequence[str]
) -> PreferenceSummary:
    """Counts, with what shows that a judge prefers a place or a length: shown, never hidden in the counts."""
    gaps = []
    for preference, one, other in zip(preferences, first, second, strict=True):
        if preference.choice != "tie":
            gap = len(one.split()) - len(other.split())
            gaps.append(gap if preference.choice == "first" else -gap)
    told = [gap > 0 for gap in gaps if gap]
    choices = [preference.choice for preference in preferences]
    return PreferenceSummary(
        len(choices),
        choices.count("first"),
        choices.count("second"),
        choices.count("tie"),
        sum(preference.is_flipped for preference in preferences),
        sum(told) / len(told) if told else None,
        sum(gaps) / len(gaps) if gaps else None,
    )


def family_warning(judge: EngineFacts, answered_by: Mapping[str, str]) -> str:
    """A warning where the judge is of the family of a model that it judges; empty: it is not.

    Args:
        answered_by: for each way the model that answered (a name, file or address); "" where none wrote.
    """
    own = model_family(judge.model_path)
    same = [way for way, model in answered_by.items() if model and own and model_family(model) == own]
    if not same:
        return ""
    return (
        f"The judge is of the family ({own}) that answered for {', '.join(same)}; judges favour their own family. "
        "Check it against your own marks, or judge with another."
    )


def model_family(model: str) -> str:
    """The first letters of a model's name, after which versions and sizes come: "smollm", "gpt", "qwen"."""
    name = PurePath(model.rstrip("/")).name.lower()
    match = re.match(r"(?:meta-)?([a-z]+)", name)
    return match[1] if match else ""
