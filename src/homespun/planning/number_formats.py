"""What the number formats of machine learning can hold, by rounding of our own in plain numpy.

A format has a sign, exponent bits and fraction bits. tf32 is how NVIDIA's units read float32; bf16 is
float32 cut short; e4m3 and e5m2 are fp8 (Micikevicius et al. 2022). e4m3 gives its infinities' codes to
numbers, so that it reaches 448; what is beyond is not a number.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NumberFormat:
    """A way of writing numbers in bits.

    Attributes:
        size_bits: in memory (tf32 lies there as float32).
        largest: the largest finite number.
        has_infinity: what is too large becomes infinite; else it is not a number.
    """

    name: str
    exponent_bits: int
    fraction_bits: int
    size_bits: int
    largest: float
    has_infinity: bool = True

    @property
    def least_exponent(self) -> int:
        """Of the least normal number; below it the spacing no longer shrinks."""
        return 2 - 2 ** (self.exponent_bits - 1)

    @property
    def least_normal(self) -> float:
        """Above it every number has all fraction bits."""
        return float(2.0**self.least_exponent)

    @property
    def least_subnormal(self) -> float:
        """The least number above 0; what is below its half becomes 0."""
        return float(2.0 ** (self.least_exponent - self.fraction_bits))

    def spacing(self, at: float) -> float:
        """The distance from a number's magnitude to the next larger one."""
        exponent = max(int(np.frexp(abs(at))[1]) - 1, self.least_exponent) if at else self.least_exponent
        return float(2.0 ** (exponent - self.fraction_bits))

    def round(self, values: npt.ArrayLike) -> Doubles:
        """The nearest numbers of the format, ties to the even one, as float64."""
        given = np.asarray(values, np.float64)
        exponents = np.maximum(np.frexp(given)[1] - 1, self.least_exponent)
        steps = np.ldexp(1.0, exponents - self.fraction_bits)
        with np.errstate(invalid="ignore"):
            rounded = np.rint(given / steps) * steps
        beyond = np.copysign(np.inf, given) if self.has_infinity else np.full_like(given, np.nan)
        fits = np.abs(rounded) <= self.largest
        result: Doubles = np.where(fits | np.isnan(given), rounded, beyond)
        return result


FORMATS: tuple[NumberFormat, ...] = (
    NumberFormat("float32", 8, 23, 32, (2 - 2.0**-23) * 2.0**127),
    NumberFormat("tf32", 8, 10, 32, (2 - 2.0**-10) * 2.0**127),
    NumberFormat("bf16", 8, 7, 16, (2 - 2.0**-7) * 2.0**127),
    NumberFormat("fp16", 5, 10, 16, 65504.0),
    NumberFormat("fp8 e5m2", 5, 2, 8, 57344.0),
    NumberFormat("fp8 e4m3", 4, 3, 8, 448.0, has_infinity=False),
)


@dataclass(frozen=True)
class StalledSum:
    """A sum of equal terms in one format.

    Attributes:
        total: what came out.
        n_counted: terms that changed it before it stood still.
    """

    total: float
    n_counted: int


def stalled_sum(kind: NumberFormat, term: float, n_terms: int) -> StalledSum:
    """Add a term again and again, rounding after each: from where it is below half a step, nothing changes."""
    rounded = float(kind.round(term))
    total, n_counted = 0.0, 0
    for _ in range(n_terms):
        following = float(kind.round(total + rounded))
        if following == total:
            break
        total, n_counted = following, n_counted + 1
    return StalledSum(total, n_counted)


@dataclass(frozen=True)
class ScaledGradient:
    """A gradient that passes through a format on its way to the weights.

    Attributes:
        plain: as it arrives without a scale.
        scale: the loss, and so every gradient, was multiplied by it; a power of two changes no digit.
        scaled: as it arrives with it, divided by it again in float32.
    """

    gradient: float
    plain: float
    scale: float
    scaled: float


def scaled_gradient(kind: NumberFormat, gradient: float, scale: float = 2.0**16) -> ScaledGradient:
    """What loss scaling saves (Micikevicius et al. 2018): small gradients are lifted above the least number."""
    plain = float(kind.round(gradient))
    return ScaledGradient(gradient, plain, scale, float(kind.round(gradient * scale)) / scale)


@dataclass(frozen=True)
class ScaleSteps:
    """Dynamic loss scaling over the steps of a training.

    Attributes:
        scales: at each step.
        skipped: steps whose gradients were infinite: the weights stay, the scale is halved.
    """

    scales: tuple[float, ...]
    skipped: tuple[int, ...]


def dynamic_scale(
    kind: NumberFormat, gradients: Doubles, *, start: float = 2.0**16, grow_after: int = 2000
) -> ScaleSteps:
    """Find the scale as training goes on: halve it after an overflow, double it after so many good steps.

    Args:
        gradients: (steps, values) before scaling.
    """
    scale, n_good = start, 0
    scales, skipped = [], []
    for number, values in enumerate(gradients):
        scales.append(scale)
        if np.isfinite(kind.round(values * scale)).all():
            n_good += 1
            if n_good == grow_after:
                scale, n_good = scale * 2, 0
        else:
            skipped.append(number)
            scale, n_good = scale / 2, 0
    return ScaleSteps(tuple(scales), tuple(skipped))


@dataclass(frozen=True)
class FormatFacts:
    """One row of the table of formats."""

    name: str
    size_bits: int
    largest: float
    least_normal: float
    least_subnormal: float
    spacing_at_1: float
    spacing_at_1000: float | None
    sum_of_ones: StalledSum
    gradient: ScaledGradient

    @property
    def sum_stalls(self) -> bool:
        """Whether the sum stood still before all ones were added."""
        return self.sum_of_ones.n_counted < N_ONES


#: Ones are added up to so many; a sum of float32 stands still at 2^24, which nobody waits for.
N_ONES = 5000
GRADIENT = 2.0**-30


def format_facts(kind: NumberFormat) -> FormatFacts:
    """Range, spacing, a sum that may stall, and a small gradient with and without loss scaling."""
    return FormatFacts(
        kind.name,
        kind.size_bits,
        kind.largest,
        kind.least_normal,
        kind.least_subnormal,
        kind.spacing(1),
        kind.spacing(1000) if kind.largest >= 1000 else None,
        stalled_sum(kind, 1.0, N_ONES),
        scaled_gradient(kind, GRADIENT),
    )
