"""The weights of the GGUF file as training uses them: the file's own numbers, never changed.

*Unpacked* weights are kept in the precision of the products. *Packed* ones stay in the file's own
quantized blocks and are unpacked matrix by matrix whenever a product needs them (the frozen base of QLoRA,
Dettmers et al. 2023, in the format that is served instead of NF4).
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from homespun.engines.families import FAMILIES, unknown_structure
from homespun.engines.openvino.bank import Site, site_groups
from homespun.engines.rotary import rotary_frequencies
from homespun.engines.row_order import to_half_order
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile
from homespun.tuning.errors import TuneError
from homespun.tuning.network.head import HeadParts
from homespun.tuning.network.kernels import Matrix

#: Rows of a packed head that are unpacked at once.
HEAD_ROWS = 8192


class FrozenWeights:
    """One model's weights.

    Attributes:
        groups: per layer, the linear layers that read the same input together (see `bank.LINEAR_GROUPS`).
        is_packed: whether matrices are unpacked at each use.
    """

    def __init__(
        self, file: GGUFFile, config: ModelConfig, dtype: Any, device: str = "cpu", *, packed: bool = False
    ) -> None:
        """Read a file's weights.

        Raises:
            TuneError: a structure that is not built here.
        """
        reason = unknown_structure(file, config)
        if reason:
            raise TuneError(f"this model cannot be tuned here: {reason}", where=str(file.path))
        self.file, self.config, self.dtype, self.device = file, config, dtype, device
        self.is_packed = packed
        self.family = FAMILIES[config.architecture]
        self.groups: list[tuple[tuple[Site, ...], ...]] = [
            site_groups(file, layer) for layer in range(config.n_layers)
        ]
        self._vectors: dict[str, torch.Tensor] = {}
        self._matrices: dict[tuple[int, int], torch.Tensor] = {}
        self._embedding: torch.Tensor | None = None
        self._head: torch.Tensor | None = None
        if not packed:
            for layer in range(config.n_layers):
                for number in range(len(self.groups[layer])):
                    self._matrices[layer, number] = self._unpacked(layer, number)
            self._embedding = self._dense("token_embd.weight")
            self._head = self._embedding if config.tied_head else self._dense("output.weight")

    def matrix(self, layer: int, number: int) -> Matrix:
        """What gives a group's matrix, its sites' rows one below the other: (rows, columns)."""
        if self.is_packed:
            return partial(self._unpacked, layer, number)
        kept = self._matrices[layer, number]
        return lambda: kept

    def exact(self, layer: int, number: int) -> torch.Tensor:
        """A group's matrix in float32, as the file defines it."""
        return self._read(layer, number, torch.float32)

    def vector(self, name: str) -> torch.Tensor | None:
        """A norm's weight or a bias in float32, None where the model has none."""
        if name not in self.file.tensors:
            return None
        if name not in self._vectors:
            values = np.array(self.file.dequantize(name).reshape(-1))
            order = to_half_order(self.config, name.rsplit(".", 1)[0], len(values))
            values = values if order is None else values[order]
            self._vectors[name] = torch.from_numpy(values).to(self.device)
        return self._vectors[name]

    def bias(self, layer: int, number: int) -> torch.Tensor | None:
        """A group's biases one behind the other; None where it has none."""
        found = [self.vector(f"{site.gguf_name}.bias") for site in self.groups[layer][number]]
        present = [bias for bias in found if bias is not None]
        return torch.cat(present).to(self.dtype) if len(present) == len(found) else None

    def embed(self, token_ids: torch.Tensor) -> torch.Tensor:
        """The rows of tokens, (N, H), scaled where the family scales them."""
        if self._embedding is not None:
            rows = self._embedding[token_ids]
        else:
            wanted = token_ids.cpu().numpy()
            unique, places = np.unique(wanted, return_inverse=True)
            values = self._rows("token_embd.weight", unique)[places]
            rows = torch.from_numpy(values).to(self.device, self.dtype)
        if self.family.scales_embedding:
            rows = rows * torch.tensor(self.config.hidden_size**0.5, dtype=rows.dtype)
        return rows

    @property
    def head_parts(self) -> HeadParts:
        """What gives the head's matrix, whole or in parts."""
        if self._head is not None:
            kept = self._head
            return lambda: iter([(0, kept)])
        return self._packed_head

    def rotary(self, n_positions: int, *, is_local: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines (n_positions, head size / 2), computed in float64."""
        factors = None
        if "rope_freqs.weight" in self.file.tensors:
            factors = self.file.dequantize("rope_freqs.weight").reshape(-1)
        frequencies = rotary_frequencies(self.config, factors, is_local=is_local)
        angles = np.arange(n_positions, dtype=np.float64)[:, None] * frequencies[None, :]
        cos, sin = (torch.from_numpy(f(angles)).to(self.device, self.dtype) for f in (np.cos, np.sin))
        return cos, sin

    @property
    def n_bytes(self) -> int:
        """Bytes that the matrices hold now; packed ones are the file's own, read from it page by page."""
        if self.is_packed:
            return sum(info.size_bytes for info in self.file.tensors.values())
        kept = [*self._matrices.values(), self._embedding, *([] if self.config.tied_head else [self._head])]
        return sum(tensor.numel() * tensor.element_size() for tensor in kept if tensor is not None)

    def _unpacked(self, layer: int, number: int) -> torch.Tensor:
        return self._read(layer, number, self.dtype)

    def _read(self, layer: int, number: int, dtype: Any) -> torch.Tensor:
        parts = []
        for site in self.groups[layer][number]:
            values = self.file.dequantize(f"{site.gguf_name}.weight")
            order = to_half_order(self.config, site.gguf_name, site.n_rows)
            parts.append(values if order is None else values[order])
        whole = np.array(parts[0]) if len(parts) == 1 else np.concatenate(parts)
        return torch.from_numpy(whole).to(self.device, dtype)

    def _dense(self, name: str) -> torch.Tensor:
        return torch.from_numpy(np.array(self.file.dequantize(name))).to(self.device, self.dtype)

    def _packed_head(self) -> Iterator[tuple[int, torch.Tensor]]:
        name = "token_embd.weight" if self.config.tied_head else "output.weight"
        for first in range(0, self.config.vocab_size, HEAD_ROWS):
            rows = np.arange(first, min(first + HEAD_ROWS, self.config.vocab_size))
            yield first, torch.from_numpy(self._rows(name, rows)).to(self.device, self.dtype)

    def _rows(self, name: str, rows: Any) -> Any:
        return np.array(self.file.dequantize(name, rows))
