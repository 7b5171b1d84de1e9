"""NF4 with double quantization (Dettmers et al. 2023, QLoRA): 16 values that fit a normal distribution.

Each code stands for about as many weights as any other when weights are normal; a block of 64 shares one
scale, and the scales are kept in 8 bits themselves, with a scale for each 256 of them.
"""

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from homespun.planning.quantization import Floats

BLOCK = 64
SCALES_BLOCK = 256
#: The outermost quantile: between those of 16 and of 15 values whose share of the tail is halved.
_OUTERMOST = ((1 - 1 / 32) + (1 - 1 / 30)) / 2


@cache
def nf4_code_book() -> Floats:
    """The 16 values, from -1 to 1: 7 quantiles of the normal distribution below 0, 0, and 8 above.

    Both sides are evenly spaced in probability up to the same outermost quantile; 0 is among the values, so
    that padding and pruned weights stay exact.
    """
    quantile = NormalDist().inv_cdf
    below = [-quantile(p) for p in np.linspace(_OUTERMOST, 0.5, 8)[:-1]]
    above = [quantile(p) for p in np.linspace(_OUTERMOST, 0.5, 9)[:-1]]
    values = np.array(sorted([*below, 0.0, *above]))
    return (values / values.max()).astype(np.float32)


@cache
def dynamic_code_book() -> Floats:
    """The 256 values of 8-bit dynamic quantization (Dettmers 2015): powers of ten, finer where larger.

    Seven decades; the decade from 10^-k to 10^-(k-1) has 2^(6-k+1) values on each side, and 0 and 1.
    """
    values = [0.0, 1.0]
    for decade in range(7):
        edges = np.linspace(0.1, 1, 2**decade + 1, dtype=np.float32)
        middles = (edges[:-1] + edges[1:]) / 2 * 10.0 ** (decade - 6)
        values += [*middles, *-middles]
    return np.array(sorted(values), np.float32)


@dataclass(frozen=True)
class NormalFloats:
    """Values in NF4.

    Attributes:
        codes: (blocks, 64) places in the code book; what fills up the last block is 0.
        scales: (blocks,) the largest magnitude of each block, as it is kept.
        n_values: before the last block was filled up.
        bits_per_weight: of codes and scales together.
    """

    codes: npt.NDArray[np.uint8]
    scales: Floats
    n_values: int
    bits_per_weight: float

    @property
    def values(self) -> Floats:
        """(n_values,) what is left."""
        restored = nf4_code_book()[self.codes] * self.scales[:, None]
        return restored.reshape(-1)[: self.n_values]


def nf4(values: Floats, *, is_double: bool = True) -> NormalFloats:
    """Store values in NF4.

    Args:
        values: any shape; blocks run over the rows' ends, as bitsandbytes lays them.
        is_double: keep the scales in 8 bits, too: 4 + 8/64 + 32/(64 * 256) = 4.127 bits a weight instead of
            4 + 32/64 = 4.5.
    """
    flat = values.reshape(-1)
    blocks = np.pad(flat, (0, -len(flat) % BLOCK)).reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1)
    safe = np.where(scales > 0, scales, 1)
    codes = _nearest(nf4_code_book(), blocks / safe[:, None]).astype(np.uint8)
    if not is_double:
        return NormalFloats(codes, scales, len(flat), 4 + 32 / BLOCK)
    bits = 4 + 8 / BLOCK + 32 / (BLOCK * SCALES_BLOCK)
    return NormalFloats(codes, _quantized_scales(scales), len(flat), bits)


def _quantized_scales(scales: Floats) -> Floats:
    """The scales less their mean, in 8 bits with a scale for each 256."""
    mean = scales.mean()
    groups = np.pad(scales - mean, (0, -len(scales) % SCALES_BLOCK)).reshape(-1, SCALES_BLOCK)
    largest = np.abs(groups).max(axis=1, keepdims=True)
    book = dynamic_code_book()
    kept = book[_nearest(book, groups / np.where(largest > 0, largest, 1))] * largest
    restored: Floats = (kept.reshape(-1)[: len(scales)] + mean).astype(np.float32)
    return restored


def _nearest(book: Floats, values: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    return np.searchsorted((book[:-1] + book[1:]) / 2, values)
