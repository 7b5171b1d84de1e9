"""How well each hallucination signal tells wrong answers from right ones, on questions with known answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homespun.engines.engine import Engine
from homespun.evaluation.auroc import auroc_interval
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import Interval
from homespun.evaluation.metrics import normalize_answer
from homespun.progress import Progress, no_progress
from homespun.rag.answer import AnswerOptions, answer
from homespun.rag.signals import SignalOptions, Signals, signals_of
from homespun.rag.write import is_refusal
from homespun.retrieval.library import Library

#: When an answer counts as wrong, to be shown beside the figures.
LABEL_RULE = (
    "wrong: none of the accepted answers stands in it; to a question without an answer, every answer that does "
    "not say that the passages do not say it"
)


@dataclass(frozen=True)
class SignalCase:
    """One question, what was answered, whether that is wrong, and the signals."""

    question: str
    answer: str
    is_wrong: bool
    signals: Signals


@dataclass(frozen=True)
class SignalPower:
    """How well one signal tells: its AUROC over the cases that it is known for."""

    name: str
    auroc: Interval
    n_wrong: int
    n_right: int


def is_wrong(text: str, accepted: Sequence[str]) -> bool:
    """`LABEL_RULE` for one answer; no accepted answers: the question has none."""
    if not accepted:
        return not is_refusal(text)
    words = f" {normalize_answer(' '.join(text.split()))} "
    return not any(f" {normalize_answer(one)} " in words for one in accepted)


def measure_signals(
    questions: Sequence[tuple[str, Sequence[str]]],
    library: Library,
    engine: Engine,
    options: SignalOptions = SignalOptions(),
    *,
    max_new_tokens: int = 64,
    n_passages: int = 4,
    progress: Progress = no_progress,
) -> list[SignalCase]:
    """Let the model write an answer to each question, abstaining from none, and look at its signals.

    Args:
        questions: each with its accepted answers; none where the documents hold no answer.
        library: with its embedder.
        engine: the model.
        n_passages: that it reads for each answer; small models are lost among many.
    """
    asked = AnswerOptions("write", n_passages, max_new_tokens, may_abstain=False)
    cases = []
    for number, (question, accepted) in enumerate(questions):
        progress("asking", number, len(questions))
        made = answer(question, library, engine, asked)
        if made.abstained:  # it wrote nothing
            continue
        signals = signals_of(made, library, engine, options, seed=1000 * number)
        cases.append(SignalCase(question, made.answer, is_wrong(made.answer, accepted), signals))
    progress("asking", len(questions), len(questions))
    return cases


def power_of(cases: Sequence[SignalCase]) -> list[SignalPower]:
    """The AUROC of every signal, best first; one that is the same for all cases tells nothing (0.5).

    Raises:
        EvaluationError: all answers are right, or all are wrong.
    """
    if len({case.is_wrong for case in cases}) < 2:
        raise EvaluationError("All answers are right, or all are wrong, so no signal can tell them apart.")
    doubts: list[Mapping[str, float | None]] = [case.signals.doubts() for case in cases]
    found = []
    for name in doubts[0]:
        known = [(d[name], c.is_wrong) for d, c in zip(doubts, cases, strict=True)]
        scores = [value for value, _ in known if value is not None]
        labels = [wrong for value, wrong in known if value is not None]
        if len(set(labels)) == 2:
            n_wrong = sum(labels)
            found.append(SignalPower(name, auroc_interval(scores, labels), n_wrong, len(labels) - n_wrong))
    return sorted(found, key=lambda power: -power.auroc.value)
