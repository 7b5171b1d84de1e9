"""Several LoRA adapters in one batch.

Low-rank adaptation (Hu et al. 2021) adds scale * B A x to a linear layer. Here the A and B of all loaded
adapters stand one below the other as graph inputs of total rank R, and a mask (N, 1, R) keeps for every
token only the ranks of its own adapter: out + ((x A^T) * mask) B^T. The layers that read the same input
share one A product, and their B products are one block-diagonal product, so a layer costs eight small
products instead of fourteen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.models.gguf import GGUFFile

Floats = npt.NDArray[np.float32]

#: GGUF name of each linear layer of a block and its PEFT name; layers that read the same input together.
LINEAR_GROUPS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("attn_q", "self_attn.q_proj"), ("attn_k", "self_attn.k_proj"), ("attn_v", "self_attn.v_proj")),
    (("attn_output", "self_attn.o_proj"),),
    (("ffn_gate", "mlp.gate_proj"), ("ffn_up", "mlp.up_proj")),
    (("ffn_down", "mlp.down_proj"),),
)


@dataclass(frozen=True)
class Site:
    """A linear layer that an adapter may change: its PEFT name, its GGUF name, and its matrix's size."""

    name: str
    gguf_name: str
    n_rows: int
    n_columns: int


def site_groups(file: GGUFFile, layer: int) -> tuple[tuple[Site, ...], ...]:
    """The adapter sites of one layer, grouped by the input that they read."""
    groups = []
    for group in LINEAR_GROUPS:
        sites = []
        for gguf_name, peft_name in group:
            full = f"blk.{layer}.{gguf_name}"
            n_rows, n_columns = file.tensors[f"{full}.weight"].shape
            sites.append(Site(f"model.layers.{layer}.{peft_name}", full, n_rows, n_columns))
        groups.append(tuple(sites))
    return tuple(groups)


class BankNodes:
    """The adapter inputs of a graph under construction."""

    def __init__(self) -> None:
        self.parameters: list[Any] = []
        self._mask: Any = None

    def _parameter(self, name: str, shape: list[int]) -> Any:
        import openvino.opset13 as ops

        node = ops.parameter(shape, np.float32, name=name)
        node.output(0).set_names({name})
        self.parameters.append(node)
        return node

    def attach(self, x: Any, outputs: list[Any], sites: Sequence[Site], layer: int, number: int) -> list[Any]:
        """Add the adapters' part to the outputs of layers that read the same x."""
        import openvino.opset13 as ops

        if self._mask is None:
            self._mask = self._parameter("adapter_mask", [-1, 1, -1])
        a = self._parameter(f"adapter_a.{layer}.{number}", [-1, sites[0].n_columns])
        b = self._parameter(f"adapter_b.{layer}.{number}", [sum(s.n_rows for s in sites), -1])
        inner = ops.matmul(x, a, False, True)  # (N, 1, R * sites)
        mask = ops.concat([self._mask] * len(sites), -1) if len(sites) > 1 else self._mask
        delta = ops.matmul(ops.multiply(inner, mask), b, False, True)
        if len(sites) == 1:
            return [ops.add(outputs[0], delta)]
        lengths = ops.constant(np.array([s.n_rows for s in sites], np.int64))
        parts = ops.variadic_split(delta, ops.constant(np.int64(-1)), lengths).outputs()
        return [ops.add(out, part) for out, part in zip(outputs, parts, strict=True)]


@dataclass(frozen=True)
class LowRank:
    """An adapter's change to one site: scale is already in b. Shapes: a (r, columns), b (rows, r)."""

    a: Floats
    b: Floats


@dataclass(frozen=True)
class BankInputs:
    """What the graph receives: its matrices by input name, and each adapter's ranks as (first, last + 1)."""

    matrices: dict[str, Floats]
    ranks: tuple[tuple[int, int], ...]
    total_rank: int


def stack_adapters(file: GGUFFile, n_layers: int, adapters: Sequence[Mapping[str, LowRank]]) -> BankInputs:
    """Lay adapters one below the other. An adapter's rank is its largest; smaller ones are filled with 0."""
    widths = [max(pair.a.shape[0] for pair in adapter.values()) for adapter in adapters]
    ends = np.cumsum([0, *widths])
    total = int(ends[-1])
    matrices: dict[str, Floats] = {}
    for layer in range(n_layers):
        for number, sites in enumerate(site_groups(file, layer)):
            a = np.zeros((total * len(sites), sites[0].n_columns), np.float32)
            b = np.zeros((sum(site.n_rows for site in sites), total * len(sites)), np.float32)
            first_row = 0
            for place, site in enumerate(sites):
                for adapter, start in zip(adapters, ends[:-1], strict=True):
                    pair = adapter.get(site.name)
                    if pair is not None:
                        at = place * total + int(start)
                        a[at : at + pair.a.shape[0]] = pair.a
                        b[first_row : first_row + site.n_rows, at : at + pair.a.shape[0]] = pair.b
                first_row += site.n_rows
            matrices[f"adapter_a.{layer}.{number}"] = a
            matrices[f"adapter_b.{layer}.{number}"] = b
    spans = tuple((int(ends[i]), int(ends[i + 1])) for i in range(len(adapters)))
    return BankInputs(matrices, spans, total)
