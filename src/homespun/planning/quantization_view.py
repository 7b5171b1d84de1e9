"""The ways of quantizing side by side: on the matrix with one value of 1000, on the example of LLM.int8, and on
a real layer."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homespun.models.convert_formats import packed
from homespun.models.formats import BLOCK_FORMATS
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.planning.errors import PlanError
from homespun.planning.nf4 import nf4
from homespun.planning.quantization import (
    Floats,
    absmax,
    absmax_blocks,
    int8_product,
    llm_int8_product,
    relative_error,
    zero_point,
)

#: A small matrix, and the place in it that gets the outlier.
MATRIX = np.array(
    [[1.2, -0.5, 3.1, 0.7], [0.8, 2.4, -1.9, 1.1], [-2.2, 0.3, 1.6, -0.9], [0.4, -1.3, 2.0, -3.0]], np.float32
)
OUTLIER = 1000.0
_PLACE = (1, 1)
#: Inputs and weights of Dettmers et al. (2022), figure 2.
PAPER_INPUTS = np.array([[2, 45, -1, -17, -1], [0, 12, 3, -63, 2], [-1, 37, -1, -83, 0]], np.float32)
PAPER_WEIGHTS = np.array([[-1, 0], [2, 0], [0, -2], [3, -2], [-1, 2]], np.float32)

#: Of a large layer this many rows are looked at, spread over it.
_MOST_VALUES = 8_000_000
_GGUF_KINDS = ("Q8_0", "Q6_K", "Q5_K", "Q5_0", "Q4_K", "Q4_1", "Q4_0", "Q3_K", "Q2_K")


@dataclass(frozen=True)
class WayResult:
    """One way of storing an array.

    Attributes:
        values: what it gives back.
        relative_error: root mean square of the error, as a share of that of the values.
        largest_error: of a single value.
    """

    way: str
    bits_per_weight: float
    relative_error: float
    largest_error: float
    values: Floats


@dataclass(frozen=True)
class OutlierExample:
    """The small matrix without and with its outlier, in 8-bit absmax."""

    matrix: Floats
    with_outlier: Floats
    results: tuple[WayResult, ...]


@dataclass(frozen=True)
class ProductExample:
    """A product of inputs with outlier columns: the truth, all in 8 bits, and LLM.int8."""

    truth: Floats
    int8: Floats
    llm_int8: Floats
    outlier_columns: tuple[int, ...]


@dataclass(frozen=True)
class LayerResult:
    """The ways on a matrix of a model.

    Attributes:
        stored: the format in which the file holds it.
        n_rows: rows looked at, of `shape`.
        kurtosis: 3 of a normal distribution; far more where there are outliers.
        most_sigma: the largest magnitude in standard deviations.
    """

    name: str
    stored: str
    shape: tuple[int, ...]
    n_rows: int
    kurtosis: float
    most_sigma: float
    values: Floats
    results: tuple[WayResult, ...]


def outlier_example() -> OutlierExample:
    """What one value of 1000 does to the others: errors are those of the other values alone."""
    spoilt = MATRIX.copy()
    spoilt[_PLACE] = OUTLIER
    others = np.ones(MATRIX.shape, bool)
    others[_PLACE] = False
    ways: dict[str, tuple[Floats, Floats, float]] = {}
    for name, matrix in (("without the outlier", MATRIX), ("with it", spoilt)):
        coded = absmax(matrix)
        ways[f"8 bits, one step for all, {name}"] = (matrix, coded.values, coded.bits_per_weight)
    coded = absmax(spoilt, axis=-1)
    ways["8 bits, a step a row, with it"] = (spoilt, coded.values, coded.bits_per_weight)
    results = [_result(way, *found, others) for way, found in ways.items()]
    return OutlierExample(MATRIX, spoilt, tuple(results))


def product_example() -> ProductExample:
    """The example of the paper, computed."""
    mixed = llm_int8_product(PAPER_INPUTS, PAPER_WEIGHTS)
    return ProductExample(
        PAPER_INPUTS @ PAPER_WEIGHTS,
        int8_product(PAPER_INPUTS, PAPER_WEIGHTS),
        mixed.values,
        mixed.outlier_columns,
    )


def layer_example(path: Path, layer: str) -> LayerResult:
    """Every way on a matrix of a GGUF.

    Args:
        layer: a tensor's name, with or without ".weight".

    Raises:
        ModelFileError: a broken file, or a format that cannot be unpacked.
        PlanError: no such matrix.
    """
    file = read_gguf(path)
    name = _matrix_name(file, layer)
    info = file.tensors[name]
    step = max(1, -(-info.n_values // _MOST_VALUES))
    values = file.dequantize(name, np.arange(0, info.shape[0], step))
    values = values.reshape(-1, values.shape[-1])
    deviations = (values - values.mean()) / max(float(values.std()), 1e-30)
    return LayerResult(
        name,
        info.ggml_type,
        tuple(info.shape),
        len(values),
        float(np.mean(deviations.astype(np.float64) ** 4)),
        float(np.abs(deviations).max()),
        values,
        tuple(all_ways(values)),
    )


def all_ways(values: Floats) -> list[WayResult]:
    """Store rows in every way that can hold them.

    Args:
        values: (rows, columns).
    """
    one, row, zero = absmax(values), absmax(values, axis=-1), zero_point(values, axis=-1)
    four, single, double = absmax_blocks(values, bits=4), nf4(values, is_double=False), nf4(values)
    found: dict[str, tuple[Floats, float]] = {
        "8 bits, one step for all": (one.values, one.bits_per_weight),
        "8 bits, a step a row": (row.values, row.bits_per_weight),
        "8 bits, zero point a row": (zero.values, zero.bits_per_weight),
        "8 bits, blocks of 64": absmax_blocks(values),
        "4 bits, blocks of 64": four,
        "NF4, blocks of 64": (single.values.reshape(values.shape), single.bits_per_weight),
        "NF4, double quantization": (double.values.reshape(values.shape), double.bits_per_weight),
    }
    layouts = {layout.name: layout for layout in BLOCK_FORMATS.values()}
    for kind in _GGUF_KINDS:
        layout = layouts[kind]
        if values.shape[-1] % layout.n_values == 0:
            found[kind] = (_through_gguf(values, kind), 8 * layout.size_bytes / layout.n_values)
    return [_result(way, values, restored, bits) for way, (restored, bits) in found.items()]


def _through_gguf(values: Floats, kind: str) -> Floats:
    from gguf import GGMLQuantizationType, quants

    restored = quants.dequantize(packed(values, kind), GGMLQuantizationType[kind])
    return np.asarray(restored, np.float32).reshape(values.shape)


def _result(
    way: str, values: Floats, restored: Floats, bits: float, counted: np.ndarray | None = None
) -> WayResult:
    kept = np.ones(values.shape, bool) if counted is None else counted
    error = float(np.abs(values[kept] - restored[kept]).max())
    return WayResult(way, bits, relative_error(values[kept], restored[kept]), error, restored)


def _matrix_name(file: GGUFFile, layer: str) -> str:
    for name in (layer, f"{layer}.weight"):
        if name in file.tensors and len(file.tensors[name].shape) == 2:
            return name
    some = [name for name, info in file.tensors.items() if len(info.shape) == 2][:8]
    raise PlanError(
        f"the model has no matrix {layer!r}",
        where=str(file.path),
        remedy=f"Choose one such as {', '.join(some)}.",
    )


#: Ways whose picture is nearly that of another one.
_UNDRAWN = (
    "8 bits, zero point a row",
    "8 bits, blocks of 64",
    "NF4, double quantization",
    "Q5_K",
    "Q4_1",
    "Q5_0",
)
#: Panels of the pictures: values and what is left of them, by way.
Panels = Mapping[str, tuple[Floats, Floats]]


def example_panels(example: OutlierExample) -> Panels:
    """The small matrix in each way."""
    given = {True: example.matrix, False: example.with_outlier}
    return {one.way: (given["without" in one.way], one.values) for one in example.results}


def layer_panels(layer: LayerResult, most: int = 8) -> Panels:
    """A layer in the first ways of each kind."""
    kept = (
        layer.results if len(layer.results) <= most else [r for r in layer.results if r.way not in _UNDRAWN]
    )
    shown = kept[:most]
    return {
        f"{one.way}: {one.bits_per_weight:.2f} bits, error {one.relative_error:.2%}": (
            layer.values,
            one.values,
        )
        for one in shown
    }
