"""The loss: negative log-likelihood of the labelled tokens, in nats, with the head on their rows alone.

The logits of all rows at once would be the largest array of training (rows x vocabulary in float32), so
they are made, used and dropped a few rows, or a part of the vocabulary, at a time; the gradient of the
rows is computed in the same pass.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function

#: Gives the head's matrix in parts: (first row, rows of the matrix in the precision of the products).
HeadParts = Callable[[], Iterator[tuple[int, torch.Tensor]]]

ROWS_AT_ONCE = 64


class SummedLoss(Function):
    """Sum over rows of -log p(target): hidden (M, H), targets (M,) -> () in float32."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, parts: HeadParts) -> torch.Tensor:  # type: ignore[override]
        needs_grad = ctx.needs_input_grad[0]
        total, grads = hidden.new_zeros((), dtype=torch.float32), []
        for rows, wanted in zip(hidden.split(ROWS_AT_ONCE), targets.split(ROWS_AT_ONCE), strict=True):
            lse, chosen = _normalizers(rows, wanted, parts)
            total = total + (lse - chosen).sum()
            if needs_grad:
                grads.append(_gradient(rows, wanted, lse, parts))
        if needs_grad:
            ctx.save_for_backward(torch.cat(grads) if grads else torch.zeros_like(hidden))
        return total

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        (saved,) = ctx.saved_tensors
        return saved * grads[0].to(saved.dtype), None, None


def token_log_probabilities(hidden: torch.Tensor, targets: torch.Tensor, parts: HeadParts) -> torch.Tensor:
    """log p(target) of each row, (M,) in float32, without a gradient."""
    found = []
    with torch.no_grad():
        for rows, wanted in zip(hidden.split(ROWS_AT_ONCE), targets.split(ROWS_AT_ONCE), strict=True):
            lse, chosen = _normalizers(rows, wanted, parts)
            found.append(chosen - lse)
    return torch.cat(found) if found else hidden.new_zeros(0, dtype=torch.float32)


def _normalizers(
    rows: torch.Tensor, targets: torch.Tensor, parts: HeadParts
) -> tuple[torch.Tensor, torch.Tensor]:
    """The log of the sum of all exponentials, and the target's logit: (rows,) each in float32."""
    sums, chosen = [], torch.zeros(len(rows), device=rows.device)
    for first, matrix in parts():
        logits = F.linear(rows, matrix).float()
        sums.append(torch.logsumexp(logits, -1))
        place = targets - first
        inside = (place >= 0) & (place < len(matrix))
        picked = logits.gather(1, place.clamp(0, len(matrix) - 1)[:, None])[:, 0]
        chosen = torch.where(inside, picked, chosen)
    return torch.logsumexp(torch.stack(sums), 0), chosen


def _gradient(rows: torch.Tensor, targets: torch.Tensor, lse: torch.Tensor, parts: HeadParts) -> torch.Tensor:
    """(softmax - one at the target) times the head's matrix."""
    total: torch.Tensor | None = None
    for first, matrix in parts():
        share = F.linear(rows, matrix).float().sub_(lse[:, None]).exp_()
        place = targets - first
        inside = (place >= 0) & (place < len(matrix))
        share[inside, place[inside]] -= 1
        part = torch.mm(share.to(rows.dtype), matrix)
        total = part if total is None else total.add_(part)
    assert total is not None, "a head has rows"
    return total
