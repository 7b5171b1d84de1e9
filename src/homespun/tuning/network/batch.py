"""Examples one behind the other: every token is useful, none fills a gap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from homespun.tuning.examples import EncodedExample


@dataclass(frozen=True)
class PackedBatch:
    """Examples packed into one row of tokens.

    Attributes:
        token_ids: (N,).
        positions: (N,) places within each example, from 0.
        lengths: tokens of each example.
        rows: (M,) tokens whose successor is labelled.
        targets: (M,) these successors.
    """

    token_ids: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]
    rows: torch.Tensor
    targets: torch.Tensor

    @property
    def n_tokens(self) -> int:
        """Tokens of all examples."""
        return len(self.token_ids)

    @property
    def n_labelled(self) -> int:
        """Tokens that carry loss."""
        return len(self.rows)


def pack(examples: Sequence[EncodedExample], device: Any = "cpu") -> PackedBatch:
    """Put examples one behind the other. An example's first token is never a target: nothing precedes it."""
    ids: list[int] = []
    positions: list[int] = []
    rows: list[int] = []
    for example in examples:
        begin = len(ids)
        ids.extend(example.token_ids)
        positions.extend(range(len(example.token_ids)))
        rows.extend(begin + place - 1 for place, is_one in enumerate(example.labelled) if is_one and place)
    every = torch.tensor(ids, device=device)
    kept = torch.tensor(rows, dtype=torch.int64, device=device)
    return PackedBatch(
        token_ids=every,
        positions=torch.tensor(positions, device=device),
        lengths=tuple(len(example.token_ids) for example in examples),
        rows=kept,
        targets=every[kept + 1],
    )
