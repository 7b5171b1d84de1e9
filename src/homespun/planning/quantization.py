"""What quantization is: pure functions of arrays, each giving back the values that a way of storing keeps.

All take and give float32; rows are output channels, the last axis is the one that is summed over.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int32]

#: Bits of one scale in the simple ways.
SCALE_BITS = 32


@dataclass(frozen=True)
class Codes:
    """Whole numbers, with the step (and the zero point) that give the values back: (codes - zero) * step.

    Attributes:
        codes: as the values were laid out.
        step, zero: one for each group of values, ready to be broadcast over `codes`.
        bits_per_weight: of codes, steps and zero points together.
    """

    codes: Integers
    step: Floats
    zero: Integers
    bits_per_weight: float

    @property
    def values(self) -> Floats:
        """What is left of the values."""
        restored: Floats = ((self.codes - self.zero).astype(np.float32) * self.step).astype(np.float32)
        return restored


def absmax(values: Floats, *, bits: int = 8, axis: int | None = None) -> Codes:
    """The largest magnitude becomes the largest code; all others are steps of the same size.

    Args:
        bits: of a code; codes are -(2^(bits-1) - 1) to 2^(bits-1) - 1, so that 0 is kept exactly.
        axis: the axis that shares a step (-1: one step a row); None: the whole array.
    """
    largest_code = 2 ** (bits - 1) - 1
    largest = np.abs(values).max(axis=axis, keepdims=True)
    step = np.where(largest > 0, largest / largest_code, 1).astype(np.float32)
    codes = np.clip(np.rint(values / step), -largest_code, largest_code).astype(np.int32)
    return Codes(codes, step, np.zeros_like(step, np.int32), bits + SCALE_BITS * step.size / values.size)


def zero_point(values: Floats, *, bits: int = 8, axis: int | None = None) -> Codes:
    """The range from least to largest value is spread over all codes; one code stands for 0.

    For values that are not around 0 (after a ReLU, say) no code is wasted on a side that is empty.
    0 is always inside the range, so that it is kept exactly (Jacob et al. 2018).
    """
    low = np.minimum(values.min(axis=axis, keepdims=True), 0)
    high = np.maximum(values.max(axis=axis, keepdims=True), 0)
    n_steps = 2**bits - 1
    step = np.where(high > low, (high - low) / n_steps, 1).astype(np.float32)
    zero = np.rint(-low / step).astype(np.int32)
    codes = np.clip(np.rint(values / step).astype(np.int32) + zero, 0, n_steps).astype(np.int32)
    return Codes(codes, step, zero, bits + (SCALE_BITS + bits) * step.size / values.size)


def absmax_blocks(values: Floats, *, bits: int = 8, block: int = 64) -> tuple[Floats, float]:
    """`absmax` with a step for each block along the last axis: an outlier spoils its own block only.

    The last block of a row may be shorter.

    Returns:
        The values that are left, and bits per weight.
    """
    rows = values.reshape(-1, values.shape[-1])
    restored = np.empty_like(rows)
    for start in range(0, rows.shape[1], block):
        restored[:, start : start + block] = absmax(rows[:, start : start + block], bits=bits, axis=-1).values
    n_blocks = -(-rows.shape[1] // block)
    return restored.reshape(values.shape), bits + SCALE_BITS * n_blocks / rows.shape[1]


def int8_product(inputs: Floats, weights: Floats) -> Floats:
    """inputs @ weights with both in 8 bits: a step for each row of inputs and each column of weights.

    Args:
        inputs: (T, columns).
        weights: (columns, outputs).
    """
    left, right = absmax(inputs, axis=1), absmax(weights, axis=0)
    product: Floats = (left.codes @ right.codes).astype(np.float32) * left.step * right.step
    return product


@dataclass(frozen=True)
class MixedProduct:
    """`values` (T, outputs), and which columns of the inputs were multiplied in 16 bits."""

    values: Floats
    outlier_columns: tuple[int, ...]


def llm_int8_product(inputs: Floats, weights: Floats, *, threshold: float = 6.0) -> MixedProduct:
    """LLM.int8 (Dettmers et al. 2022): columns with an outlier in 16 bits, all others in 8, then added.

    Args:
        inputs: (T, columns).
        weights: (columns, outputs).
        threshold: a column of which one value has at least this magnitude is multiplied in 16 bits.
    """
    is_outlier = (np.abs(inputs) >= threshold).any(axis=0)
    half = inputs[:, is_outlier].astype(np.float16).astype(np.float32)
    kept = weights[is_outlier].astype(np.float16).astype(np.float32)
    product = half @ kept  # the units that multiply 16 bits add in 32
    if not is_outlier.all():
        product = product + int8_product(inputs[:, ~is_outlier], weights[~is_outlier])
    return MixedProduct(product.astype(np.float32), tuple(int(n) for n in np.flatnonzero(is_outlier)))


def relative_error(values: Floats, restored: Floats) -> float:
    """Root of the mean squared error, as a share of the root mean square of the values."""
    error = np.square(values.astype(np.float64) - restored).mean()
    scale = np.square(values.astype(np.float64)).mean()
    return float(np.sqrt(error / scale)) if scale > 0 else 0.0
