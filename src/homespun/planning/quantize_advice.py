"""Which of several formats to take, by a rule that is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homespun.planning.quantize import QuantizedFile


@dataclass(frozen=True)
class Recommendation:
    """The file to take, and why.

    Attributes:
        name: of the model in the home; empty: nothing could be measured.
        rule: how it was chosen, the same for every model.
        why: what the rule found here.
    """

    name: str
    rule: str
    why: str


def recommend(files: Sequence["QuantizedFile"], most_kl: float) -> Recommendation:
    """The smallest file that loses little.

    Args:
        files: the source first; it loses nothing, so there is always one to take.
        most_kl: mean KL to the source, in nats, that is still little.
    """
    source = files[0]
    has_scores = source.score is not None
    rule = f"the smallest file whose mean KL to the source is at most {most_kl:g} nats" + (
        " and whose score on your questions is not surely lower than the source's" if has_scores else ""
    )
    fit = [file for file in files[1:] if _loses_little(file, most_kl)]
    best = min([source, *fit], key=lambda file: file.size_bytes)
    if best is source:
        return Recommendation(source.name, rule, _why_source(files, fit, most_kl))
    assert best.loss is not None
    why = (
        f"it loses {best.loss.kl_nats.value:.4f} nats and has {best.size_bytes / source.size_bytes:.0%} of the "
        f"source's size"
    )
    smaller = [f for f in files[1:] if f.loss is not None and f.size_bytes < best.size_bytes]
    if smaller:
        told = ", ".join(f"{f.target} {f.loss.kl_nats.value:.3f} nats" for f in smaller if f.loss is not None)
        why += f"; smaller ones lose too much ({told})"
    return Recommendation(best.name, rule, why)


def _loses_little(file: "QuantizedFile", most_kl: float) -> bool:
    if file.error is not None or file.loss is None or file.loss.kl_nats.value > most_kl:
        return False
    return file.score is None or not file.score.is_surely_lower


def _why_source(files: Sequence["QuantizedFile"], fit: Sequence["QuantizedFile"], most_kl: float) -> str:
    if fit:
        return "no file that loses little is smaller than it"
    measured = [file for file in files[1:] if file.loss is not None]
    if not measured:
        return "no other file could be measured"
    least = min(measured, key=lambda file: file.loss.kl_nats.value if file.loss else 0.0)
    assert least.loss is not None
    return f"the file that loses least ({least.target}) loses {least.loss.kl_nats.value:.3f} nats" + (
        "" if least.loss.kl_nats.value > most_kl else ", and answers surely worse"
    )
