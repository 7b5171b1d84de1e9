"""Which format each tensor of a written GGUF gets, and its values in that format.

A target such as Q4_K_M is a mixture: the output head and some layers keep more bits, by the rules that
llama.cpp follows, so that a file made here has the layout that people know under that name.
"""

from typing import Any, NamedTuple

import numpy as np

from homespun.models.formats import BLOCK_FORMATS

_LAYOUTS = {layout.name: layout for layout in BLOCK_FORMATS.values()}


class Target(NamedTuple):
    """What a person asks for: the format of most tensors, of the head, and of the layers that keep more."""

    base: str
    head: str
    more: str
    file_type: str


TARGETS: dict[str, Target] = {
    "F32": Target("F32", "F32", "F32", "ALL_F32"),
    "F16": Target("F16", "F16", "F16", "MOSTLY_F16"),
    "BF16": Target("BF16", "BF16", "BF16", "MOSTLY_BF16"),
    "Q8_0": Target("Q8_0", "Q8_0", "Q8_0", "MOSTLY_Q8_0"),
    "Q6_K": Target("Q6_K", "Q6_K", "Q6_K", "MOSTLY_Q6_K"),
    "Q5_K_M": Target("Q5_K", "Q6_K", "Q6_K", "MOSTLY_Q5_K_M"),
    "Q5_1": Target("Q5_1", "Q6_K", "Q5_1", "MOSTLY_Q5_1"),
    "Q5_0": Target("Q5_0", "Q6_K", "Q5_0", "MOSTLY_Q5_0"),
    "Q4_K_M": Target("Q4_K", "Q6_K", "Q6_K", "MOSTLY_Q4_K_M"),
    "Q4_1": Target("Q4_1", "Q6_K", "Q4_1", "MOSTLY_Q4_1"),
    "Q4_0": Target("Q4_0", "Q6_K", "Q4_0", "MOSTLY_Q4_0"),
}
#: K-quants need rows of 256 values; what llama.cpp takes where they are not.
_FALLBACKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}


def wanted_format(target: Target, name: str, n_layers: int, *, is_tied: bool) -> str:
    """The format of a matrix before its row length is looked at."""
    if name == "output.weight" or (is_tied and name == "token_embd.weight"):
        return target.head
    parts = name.split(".")
    if len(parts) == 4 and parts[2] in ("attn_v", "ffn_down") and _keeps_more(int(parts[1]), n_layers):
        return target.more
    return target.base


def _keeps_more(layer: int, n_layers: int) -> bool:
    eighth = n_layers // 8
    return layer < eighth or layer >= 7 * n_layers // 8 or (layer - eighth) % 3 == 2


def fitting_format(wanted: str, n_columns: int) -> str:
    """The wanted format, or the one that takes its place where rows have no whole number of blocks."""
    if n_columns % _LAYOUTS[wanted].n_values == 0:
        return wanted
    other = _FALLBACKS.get(wanted, "F16")
    return other if n_columns % _LAYOUTS[other].n_values == 0 else "F16"


def stored_shape(shape: tuple[int, ...], kind: str) -> tuple[int, ...]:
    """A tensor's shape with the last axis in bytes."""
    layout = _LAYOUTS[kind]
    return (*shape[:-1], shape[-1] // layout.n_values * layout.size_bytes)


def packed(values: Any, kind: str) -> Any:
    """Float32 rows in a format: uint8 with the shape of `stored_shape`."""
    values = np.ascontiguousarray(values, np.float32)
    if kind == "F32":
        return values.view(np.uint8)
    if kind == "F16":
        return values.astype(np.float16).view(np.uint8)
    if kind.endswith("_K"):
        import libgguf

        return np.asarray(libgguf.quantize_rows(values, libgguf.GGMLQuantizationType[kind])).view(np.uint8)
    from gguf import GGMLQuantizationType, quants

    return quants.quantize(values, GGMLQuantizationType[kind]).view(np.uint8)
