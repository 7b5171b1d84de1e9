"""What a model lost by tuning: general questions and neutral texts, before and after, with a verdict."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import exp
from pathlib import Path
from typing import Literal

from homespun.engines.engine import Engine
from homespun.models.storage import write_atomically
from homespun.progress import Progress, no_progress
from homespun.tuning.errors import TuneError
from homespun.tuning.forgetting_scores import GeneralScores, measure_general
from homespun.tuning.forgetting_set import KINDS
from homespun.tuning.paired import PairedInterval, mcnemar_p, paired_difference

FORGETTING_FILE = "forgetting.json"

Verdict = Literal["kept", "lost", "unclear"]


@dataclass(frozen=True)
class ForgettingOptions:
    """How forgetting is measured, and how much of it is too much."""

    general_questions: int = field(
        default=0, metadata={"help": "general questions of each kind; fewer are faster and less sure; 0: all"}
    )
    most_lost: float = field(
        default=0.05, metadata={"help": "share of general questions that may be lost without being seen"}
    )
    most_perplexity: float = field(
        default=0.10, metadata={"help": "share by which neutral text's perplexity may rise"}
    )


@dataclass(frozen=True)
class KindForgetting:
    """Questions of one kind, or of all.

    Attributes:
        right_before, right_after: questions answered rightly.
        n_lost, n_gained: right only before, right only after.
        difference: share right after less before, with its paired 95% interval.
        p: McNemar's exact two-sided p of losses against gains.
    """

    kind: str
    n_questions: int
    right_before: int
    right_after: int
    n_lost: int
    n_gained: int
    difference: PairedInterval
    p: float


@dataclass(frozen=True)
class ForgettingReport:
    """What was lost.

    Attributes:
        adapter: which was compared with the base.
        all: of all questions. `kinds`: of each kind.
        perplexity_before, perplexity_after: of neutral texts.
        perplexity_ratio: after over before, with its paired 95% interval over texts.
        verdict: kept, lost or unclear. `sentences`: why, in words.
    """

    adapter: str
    all: KindForgetting
    kinds: tuple[KindForgetting, ...]
    perplexity_before: float
    perplexity_after: float
    perplexity_ratio: PairedInterval
    verdict: Verdict
    sentences: tuple[str, ...]


def forgetting_check(
    engine: Engine,
    *,
    adapter: str,
    options: ForgettingOptions = ForgettingOptions(),
    cache_path: Path | None = None,
    progress: Progress = no_progress,
) -> ForgettingReport:
    """Compare an adapter with its base model on the general set.

    Args:
        engine: with the adapter loaded.
        adapter: its name there.
        options: how many questions, and what is too much.
        cache_path: a folder where the base model's scores are kept, so that a second check takes half.

    Raises:
        AdapterError: no such adapter is loaded.
    """
    n = options.general_questions
    after = measure_general(engine, adapter=adapter, n_a_kind=n, progress=progress)
    before = measure_general(engine, adapter=None, n_a_kind=n, cache_path=cache_path, progress=progress)
    return compare_general(before, after, adapter, options)


def compare_general(
    before: GeneralScores,
    after: GeneralScores,
    adapter: str,
    options: ForgettingOptions = ForgettingOptions(),
) -> ForgettingReport:
    """The report from two measurements of the same set, however each model was run.

    Raises:
        TuneError: the two are of different questions or texts.
    """
    if before.kinds != after.kinds or before.text_tokens != after.text_tokens:
        raise TuneError("what was measured before and after is not the same", remedy="Measure both again.")
    everything = _of("all", before.right, after.right)
    kinds = []
    for kind in KINDS:
        places = [place for place, its in enumerate(before.kinds) if its == kind]
        rights = [[scores.right[place] for place in places] for scores in (before, after)]
        kinds.append(_of(kind, *rights))
    change = paired_difference(before.text_nats, after.text_nats, before.text_tokens)
    ratio = PairedInterval(exp(change.value), exp(change.low), exp(change.high))
    verdict, sentences = _judge(everything, kinds, ratio, options)
    perplexities = before.perplexity, after.perplexity
    return ForgettingReport(adapter, everything, tuple(kinds), *perplexities, ratio, verdict, sentences)


def write_report(folder: Path, report: ForgettingReport) -> None:
    """Put a report beside its adapter, whole or not at all.

    Raises:
        HomeError: the disk refuses.
    """
    text = json.dumps(asdict(report), indent=1, ensure_ascii=False)
    write_atomically(folder / FORGETTING_FILE, text + "\n")


def _of(kind: str, before: Sequence[bool], after: Sequence[bool]) -> KindForgetting:
    pairs = list(zip(before, after, strict=True))
    n_lost = sum(was and not now for was, now in pairs)
    n_gained = sum(now and not was for was, now in pairs)
    difference = paired_difference([float(was) for was in before], [float(now) for now in after])
    p = mcnemar_p(n_lost, n_gained)
    return KindForgetting(kind, len(pairs), sum(before), sum(after), n_lost, n_gained, difference, p)


def _judge(
    everything: KindForgetting,
    kinds: Sequence[KindForgetting],
    ratio: PairedInterval,
    options: ForgettingOptions,
) -> tuple[Verdict, tuple[str, ...]]:
    """Lost: where interval and test agree. Kept: where a loss that matters is ruled out. Else unclear."""
    sentences = []
    if _is_lost(everything, 0.05):
        sentences.append(f"General knowledge was lost: {_told(everything)}.")
    # A loss of one kind must stand the test of having looked at several (Bonferroni).
    sentences += [f"Lost in {one.kind}: {_told(one)}." for one in kinds if _is_lost(one, 0.05 / len(kinds))]
    rise = f"by {_percent(ratio.value)} (95%: {_percent(ratio.low)} to {_percent(ratio.high)})"
    if ratio.low > 1 + options.most_perplexity:
        sentences.append(f"Neutral text has become less probable: its perplexity changed {rise}.")
    if sentences:
        return "lost", (*sentences, "Tune again with --replay 0.2, fewer epochs or a lower learning rate.")
    told = f"{_told(everything)}; perplexity of neutral text changed {rise}."
    if everything.difference.low < -options.most_lost or ratio.high > 1 + options.most_perplexity:
        return "unclear", (f"No loss is shown, but one that matters is not ruled out: {told}",)
    return "kept", (f"Nothing that matters was lost: {told}",)


def _is_lost(one: KindForgetting, p: float) -> bool:
    return one.difference.high < 0 and one.p < p


def _told(one: KindForgetting) -> str:
    change = one.difference
    return (
        f"{one.right_before} of {one.n_questions} questions right before, {one.right_after} after "
        f"({100 * change.value:+.1f} points, 95%: {100 * change.low:+.1f} to {100 * change.high:+.1f}; "
        f"p = {one.p:.2g})"
    )


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}%"
