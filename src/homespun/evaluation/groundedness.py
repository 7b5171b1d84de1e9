"""One number for how far a passage says what a sentence says, out of the support check."""

from collections.abc import Sequence
from dataclasses import dataclass

from homespun.documents.split import Passage
from homespun.evaluation.auroc import auroc_interval
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import Interval
from homespun.progress import Progress, no_progress
from homespun.rag.embeds import Embeds
from homespun.rag.support import NOT_SAID, Check, SupportChecker


def groundedness(check: Check) -> float:
    """0 to 1; from 0.5 on the sentence counts as supported.

    Where something differs (a number, a name, a "not"), it is the surer a change, the more of the rest is the
    same; and where little is the same, the surer it is not said. Nothing is fitted.
    """
    strength = min(max(check.strength, 0.0), 1.0)
    if check.is_supported:
        return 0.5 + 0.5 * strength
    if check.reason == NOT_SAID:
        return 0.5 * strength
    return 0.5 * min(strength, 1 - strength)


@dataclass(frozen=True)
class Claim:
    """A sentence, the passage that it is held against, and what it is.

    Attributes:
        kind: "supported", or how it was made wrong: "swapped number", "swapped name", "other document", ...
    """

    sentence: str
    passage: Passage
    kind: str


@dataclass(frozen=True)
class GroundednessPower:
    """How well groundedness tells supported sentences from others: over all, and for each kind of the others."""

    over_all: Interval
    by_kind: dict[str, Interval]
    n_by_kind: dict[str, int]


def measure_groundedness(
    claims: Sequence[Claim], embedder: Embeds, progress: Progress = no_progress
) -> GroundednessPower:
    """The AUROC of `groundedness`, with 95% intervals.

    Raises:
        EvaluationError: no supported claim, or no other.
    """
    values = []
    for number, claim in enumerate(claims):
        progress("checking sentences", number, len(claims))
        values.append(groundedness(_checker(claim.passage, embedder).check(claim.sentence)))
    kinds = [claim.kind for claim in claims]
    others = sorted(set(kinds) - {"supported"})
    if not others or "supported" not in kinds:
        raise EvaluationError("Groundedness is measured on supported sentences and others.")
    by_kind = {}
    for kind in others:
        some = [(v, k) for v, k in zip(values, kinds, strict=True) if k in ("supported", kind)]
        by_kind[kind] = auroc_interval([v for v, _ in some], [k == "supported" for _, k in some])
    return GroundednessPower(
        auroc_interval(values, [kind == "supported" for kind in kinds]),
        by_kind,
        {kind: kinds.count(kind) for kind in ("supported", *others)},
    )


def _checker(passage: Passage, embedder: Embeds) -> SupportChecker:
    """Of one passage, which stands for its document: its offsets count from 0."""
    text = passage.text
    alone = Passage(passage.document, 0, len(text), text, None, ())
    return SupportChecker([alone], lambda _: text, embedder)
