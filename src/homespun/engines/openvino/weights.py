"""GGUF blocks as OpenVINO weights that stand for exactly the same numbers.

Every quantized GGUF format is an affine code in groups along a row: value = scale * (q - zero).
OpenVINO's CPU plugin fuses `Convert(q) -> Subtract(zero) -> Multiply(scale)` in groups into its matrix
product, so the weights stay compressed in memory. Block layouts: llama.cpp, `ggml-quants.h`. The zero
points stay float32: rounding them to integers (as the library's own reader does) costs 0.25 nats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.engines.errors import EngineError
from homespun.models.gguf import GGUFFile

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

K_BLOCK = 256  # weights in one block of a K-quant
SMALL_BLOCK = 32  # weights in one block of the other quantized formats


@dataclass(frozen=True)
class AffineWeight:
    """A matrix as codes, one scale and one zero point a group: scale * (codes - zeros).

    Attributes:
        codes: (rows, groups, group_size), uint8 or int8.
        scales: (rows, groups, 1), float32.
        zeros: (rows, groups, 1), float32; None where every zero point is 0.
        bits: 4 where all codes fit in four bits (uint8 only), else 8.
    """

    codes: npt.NDArray[Any]
    scales: Floats
    zeros: Floats | None
    bits: int

    def values(self) -> Floats:
        """The matrix (rows, columns) in float32."""
        codes = self.codes.astype(np.float32)
        if self.zeros is not None:
            codes = codes - self.zeros
        return (codes * self.scales).reshape(codes.shape[0], -1)

    def take_rows(self, order: npt.NDArray[np.intp]) -> "AffineWeight":
        """The same matrix with its rows in another order."""
        zeros = None if self.zeros is None else self.zeros[order]
        return AffineWeight(self.codes[order], self.scales[order], zeros, self.bits)


@dataclass(frozen=True)
class FloatWeight:
    """A matrix or vector stored in floating point: float32, float16, or bfloat16 as its raw bits."""

    values: npt.NDArray[Any]
    is_bfloat16: bool = False

    def take_rows(self, order: npt.NDArray[np.intp]) -> "FloatWeight":
        """The same matrix with its rows in another order."""
        return FloatWeight(self.values[order], self.is_bfloat16)


Weight = AffineWeight | FloatWeight


def _halves(blocks: Bytes, first: int) -> Floats:
    """The float16 at byte `first` of every block, as float32: (..., 1)."""
    return np.ascontiguousarray(blocks[..., first : first + 2]).view(np.float16).astype(np.float32)


def _nibbles(packed: Bytes) -> Bytes:
    """Bytes whose low nibbles are the first half of a block and whose high nibbles are the second."""
    return np.concatenate([packed & 15, packed >> 4], axis=-1)


def _fifth_bits(blocks: Bytes, first: int) -> Bytes:
    """The 32 single bits at byte `first`, one a weight."""
    return np.unpackbits(blocks[..., first : first + 4], axis=-1, bitorder="little")


def _from_minimum(scales: Floats, minima: Floats) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """scale * q + minimum, written as scale * (q - zero).

    A group whose scale is 0 and whose minimum is not gets scale |minimum|, zero -1 or +1, and codes 0;
    the mask says which groups those are.
    """
    flat = (scales == 0) & (minima != 0)
    safe = np.where(scales == 0, np.float32(1), scales)
    zeros = np.where(flat, -np.sign(minima), -minima / safe).astype(np.float32)
    return np.where(flat, np.abs(minima), scales).astype(np.float32), zeros, flat


def _with_minimum(codes: npt.NDArray[Any], scales: Floats, minima: Floats, bits: int) -> AffineWeight:
    scales, zeros, flat = _from_minimum(scales, minima)
    if flat.any():
        codes = np.where(flat, np.uint8(0), codes)
    return AffineWeight(codes, scales, zeros, bits)


def _q8_0(blocks: Bytes) -> AffineWeight:
    return AffineWeight(blocks[..., 2:].view(np.int8), _halves(blocks, 0), None, 8)


def _q4_0(blocks: Bytes) -> AffineWeight:
    scales = _halves(blocks, 0)
    return AffineWeight(_nibbles(blocks[..., 2:]), scales, np.full_like(scales, 8), 4)


def _q4_1(blocks: Bytes) -> AffineWeight:
    return _with_minimum(_nibbles(blocks[..., 4:]), _halves(blocks, 0), _halves(blocks, 2), 4)


def _q5_0(blocks: Bytes) -> AffineWeight:
    codes = _nibbles(blocks[..., 6:]) | (_fifth_bits(blocks, 2) << 4)
    return AffineWeight(codes.astype(np.int8) - np.int8(16), _halves(blocks, 0), None, 8)


def _q5_1(blocks: Bytes) -> AffineWeight:
    codes = _nibbles(blocks[..., 8:]) | (_fifth_bits(blocks, 4) << 4)
    return _with_minimum(codes, _halves(blocks, 0), _halves(blocks, 2), 8)


def _six_bit_pairs(packed: Bytes) -> tuple[Floats, Floats]:
    """The eight 6-bit scales and eight 6-bit minima that Q4_K and Q5_K keep in 12 bytes: (..., 8) each."""
    low, middle, high = packed[..., 0:4], packed[..., 4:8], packed[..., 8:12]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=-1)
    minima = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=-1)
    return scales.astype(np.float32), minima.astype(np.float32)


def _grouped(values: npt.NDArray[Any], n_groups: int) -> npt.NDArray[Any]:
    """(rows, blocks, 256) -> (rows, blocks * n_groups, 256 / n_groups)."""
    rows, blocks = values.shape[:2]
    return values.reshape(rows, blocks * n_groups, -1)


def _q4_k(blocks: Bytes) -> AffineWeight:
    scales, minima = _six_bit_pairs(blocks[..., 4:16])
    packed = blocks[..., 16:].reshape(*blocks.shape[:2], 4, 32)
    codes = np.stack([packed & 15, packed >> 4], axis=-2)  # (rows, blocks, 4, 2, 32)
    return _with_minimum(
        _grouped(codes, 8),
        _grouped(scales * _halves(blocks, 0), 8),
        _grouped(-minima * _halves(blocks, 2), 8),
        4,
    )


def _q5_k(blocks: Bytes) -> AffineWeight:
    scales, minima = _six_bit_pairs(blocks[..., 4:16])
    packed = blocks[..., 48:].reshape(*blocks.shape[:2], 4, 32)
    low = np.stack([packed & 15, packed >> 4], axis=-2).reshape(*blocks.shape[:2], 8, 32)
    bit = np.arange(8, dtype=np.uint8)[:, None]
    high = (blocks[..., 16:48][..., None, :] >> bit) & 1  # (rows, blocks, 8, 32)
    return _with_minimum(
        _grouped(low | (high << 4), 8),
        _grouped(scales * _halves(blocks, 0), 8),
        _grouped(-minima * _halves(blocks, 2), 8),
        8,
    )


def _q6_k(blocks: Bytes) -> AffineWeight:
    shape = blocks.shape[:2]
    low = blocks[..., :128].reshape(*shape, 2, 64)
    low = np.concatenate([low & 15, low >> 4], axis=-1).reshape(*shape, 2, 4, 32)
    high = blocks[..., 128:192].reshape(*shape, 2, 1, 32)
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    codes = (low | (((high >> shifts) & 3) << 4)).astype(np.int8) - np.int8(32)
    scales = blocks[..., 192:208].view(np.int8).astype(np.float32) * _halves(blocks, 208)
    return AffineWeight(_grouped(codes, 16), _grouped(scales, 16), None, 8)


def _two_bits(packed: Bytes, shape: tuple[int, int]) -> npt.NDArray[Any]:
    """64 bytes of four 2-bit codes each, in ggml's order: (rows, blocks, 2, 4, 32)."""
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    return (packed.reshape(*shape, 2, 1, 32) >> shifts) & 3


def _q2_k(blocks: Bytes) -> AffineWeight:
    shape = (blocks.shape[0], blocks.shape[1])
    codes = _two_bits(blocks[..., 16:80], shape)
    scales = (blocks[..., :16] & 15).astype(np.float32) * _halves(blocks, 80)
    minima = -(blocks[..., :16] >> 4).astype(np.float32) * _halves(blocks, 82)
    return _with_minimum(_grouped(codes, 16), _grouped(scales, 16), _grouped(minima, 16), 4)


def _q3_k(blocks: Bytes) -> AffineWeight:
    shape = (blocks.shape[0], blocks.shape[1])
    low = _two_bits(blocks[..., 32:96], shape)
    bit = np.arange(8, dtype=np.uint8).reshape(2, 4, 1)
    high = (blocks[..., :32].reshape(*shape, 1, 1, 32) >> bit) & 1
    codes = low | (high << 2)  # 0..7, stands for -4..3
    packed = blocks[..., 96:108]
    low_scales = np.concatenate([packed[..., :8] & 15, packed[..., :8] >> 4], axis=-1)
    shifts = np.array([0, 2, 4, 6], np.uint8)[:, None]
    high_scales = ((packed[..., 8:12][..., None, :] >> shifts) & 3).reshape(*shape, 16)
    scales = ((low_scales | (high_scales << 4)).astype(np.float32) - 32) * _halves(blocks, 108)
    grouped = _grouped(scales, 16)
    return AffineWeight(_grouped(codes, 16), grouped, np.full_like(grouped, 4), 4)


@dataclass(frozen=True)
class BlockFormat:
    """How one quantized format is laid out: bytes and weights a block, and its reader."""

    block_bytes: int
    block_weights: int
    read: Callable[[Bytes], AffineWeight]


BLOCK_FORMATS: dict[str, BlockFormat] = {
    "Q8_0": BlockFormat(34, SMALL_BLOCK, _q8_0),
    "Q4_0": BlockFormat(18, SMALL_BLOCK, _q4_0),
    "Q4_1": BlockFormat(20, SMALL_BLOCK, _q4_1),
    "Q5_0": BlockFormat(22, SMALL_BLOCK, _q5_0),
    "Q5_1": BlockFormat(24, SMALL_BLOCK, _q5_1),
    "Q2_K": BlockFormat(84, K_BLOCK, _q2_k),
    "Q3_K": BlockFormat(110, K_BLOCK, _q3_k),
    "Q4_K": BlockFormat(144, K_BLOCK, _q4_k),
    "Q5_K": BlockFormat(176, K_BLOCK, _q5_k),
    "Q6_K": BlockFormat(210, K_BLOCK, _q6_k),
}
FLOAT_FORMATS = ("F32", "F16", "BF16")
SUPPORTED_FORMATS = (*FLOAT_FORMATS, *BLOCK_FORMATS)


def read_weight(file: GGUFFile, name: str) -> Weight:
    """One tensor of a GGUF file, rows first, in the form that its format has.

    Raises:
        EngineError: a format that this engine does not take.
    """
    tensor = file.tensors[name]
    raw = np.asarray(file.data(name)).view(np.uint8).reshape(-1)
    if tensor.ggml_type == "F32":
        return FloatWeight(raw.view(np.float32).reshape(tensor.shape))
    if tensor.ggml_type == "F16":
        return FloatWeight(raw.view(np.float16).reshape(tensor.shape))
    if tensor.ggml_type == "BF16":
        return FloatWeight(raw.view(np.uint16).reshape(tensor.shape), is_bfloat16=True)
    form = BLOCK_FORMATS.get(tensor.ggml_type)
    if form is None:
        raise EngineError(
            f"tensor {name} has format {tensor.ggml_type}; this engine takes {', '.join(SUPPORTED_FORMATS)}",
            where=str(file.path),
            remedy="Use --engine llama.cpp for this file.",
        )
    return form.read(raw.reshape(tensor.shape[0], -1, form.block_bytes))
