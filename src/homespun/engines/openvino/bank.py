"""Several LoRA adapters in one batch.

Low-rank adaptation (Hu et al. 2021) adds scale * B A x to a linear layer. Here the A and B of all loaded
adapters stand one below the other as graph inputs of total rank R, and a mask (N, 1, R) keeps for every
token only the ranks of its own adapter: out + ((x A^T) * mask) B^T. The layers that read the same input
share one A product, and their B products are one block-diagonal product, so a layer costs eight small
products instead of fourteen.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import openvino.opset13 as ops


@dataclass(frozen=True)
class Site:
    """A linear layer that an adapter may change, by its PEFT name."""

    name: str
    n_rows: int
    n_columns: int


class AdapterBank:
    """The adapter inputs of a graph, in the order in which its groups of layers were built."""

    def __init__(self) -> None:
        self.groups: list[tuple[Site, ...]] = []
        self.parameters: list[Any] = []
        self._mask: Any = None

    def _parameter(self, name: str, shape: list[int]) -> Any:
        node = ops.parameter(shape, np.float32, name=name)
        node.output(0).set_names({name})
        self.parameters.append(node)
        return node

    def attach(self, x: Any, outputs: list[Any], sites: list[Site]) -> list[Any]:
        """Add the adapters' part to the outputs of layers that read the same x."""
        if self._mask is None:
            self._mask = self._parameter("adapter_mask", [-1, 1, -1])
        number = len(self.groups)
        self.groups.append(tuple(sites))
        n_columns = sites[0].n_columns
        a = self._parameter(f"adapter_a.{number}", [-1, n_columns])
        b = self._parameter(f"adapter_b.{number}", [sum(s.n_rows for s in sites), -1])
        inner = ops.matmul(x, a, False, True)  # (N, 1, R * sites)
        mask = self._mask
        if len(sites) > 1:
            mask = ops.concat([mask] * len(sites), -1)
        delta = ops.matmul(ops.multiply(inner, mask), b, False, True)
        if len(sites) == 1:
            return [ops.add(outputs[0], delta)]
        lengths = ops.constant(np.array([s.n_rows for s in sites], np.int64))
        parts = ops.variadic_split(delta, ops.constant(np.int64(-1)), lengths).outputs()
        return [ops.add(out, part) for out, part in zip(outputs, parts, strict=True)]
