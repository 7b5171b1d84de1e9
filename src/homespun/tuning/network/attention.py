"""Causal attention over packed examples: each example sees itself alone.

Shapes: N tokens of all examples, d the head size; queries (N, heads, d), keys and values (N, key heads, d).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function

#: Tokens up to which an example's probabilities are kept.
SHORT = 640


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: Sequence[int], window: int | None
) -> torch.Tensor:
    """softmax(q k^T / sqrt(d)) v within each example: (N, heads * d).

    Args:
        lengths: tokens of each example, in order.
        window: tokens that a token sees, itself included; None: all before it.
    """
    if q.device.type == "cpu" and (window is None or max(lengths) <= window):
        out: torch.Tensor = _CpuAttention.apply(q, k, v, tuple(lengths))
        return out.flatten(1)
    parts = []
    for one_q, one_k, one_v in zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True):
        mask = _window_mask(len(one_q), window, q.device) if window is not None else None
        heads_q, heads_k, heads_v = (t.transpose(0, 1)[None] for t in (one_q, one_k, one_v))
        is_shared = k.shape[1] != q.shape[1]
        done = F.scaled_dot_product_attention(
            heads_q, heads_k, heads_v, attn_mask=mask, is_causal=mask is None, enable_gqa=is_shared
        )
        parts.append(done[0].transpose(0, 1))
    return torch.cat(parts).flatten(1)


def _window_mask(n_tokens: int, window: int, device: Any) -> torch.Tensor:
    places = torch.arange(n_tokens, device=device)
    behind = places[:, None] - places[None, :]
    return (behind >= 0) & (behind < window)


class _CpuAttention(Function):
    """Attention on a processor, example by example, without the copies that slices and joins would make.

    Short examples go through two plain products with the probabilities kept: torch's flash attention for
    processors takes up to six times as long there. Long ones go through it, for the probabilities grow with the
    square of the length.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: tuple[int, ...]
    ) -> torch.Tensor:
        out = torch.empty_like(q)
        kept = []
        for place in _places(lengths):
            attention = _short_forward if place.stop - place.start <= SHORT else _long_forward
            kept.append(attention(q[place], k[place], v[place], out[place]))
        ctx.save_for_backward(q, k, v, out, *kept)
        ctx.lengths = lengths
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        q, k, v, out, *kept = ctx.saved_tensors
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        for one, place in zip(kept, _places(ctx.lengths), strict=True):
            backward = _short_backward if place.stop - place.start <= SHORT else _long_backward
            parts = backward(q[place], k[place], v[place], out[place], grads[0][place], one)
            for whole, part in zip((dq, dk, dv), parts, strict=True):
                whole[place] = part
        return dq, dk, dv, None


def _places(lengths: Sequence[int]) -> Iterator[slice]:
    first = 0
    for length in lengths:
        yield slice(first, first + length)
        first += length


@lru_cache(maxsize=64)
def _causal_mask(n_tokens: int, n_groups: int, dtype: Any) -> torch.Tensor:
    """0 where a token may look, -inf where not, for the heads that share a key one below the other."""
    return torch.full((n_tokens, n_tokens), float("-inf"), dtype=dtype).triu(1).repeat(n_groups, 1)


def _stacked(x: torch.Tensor, n_keys: int) -> torch.Tensor:
    """(L, heads, d) -> (key heads, heads that share one * L, d)."""
    n_tokens, n_heads, size = x.shape
    grouped = x.view(n_tokens, n_keys, n_heads // n_keys, size).permute(1, 2, 0, 3)
    return grouped.reshape(n_keys, -1, size)


def _unstacked(x: torch.Tensor, n_tokens: int) -> torch.Tensor:
    n_keys, _, size = x.shape
    return x.view(n_keys, -1, n_tokens, size).permute(2, 0, 1, 3).reshape(n_tokens, -1, size)


def _short_forward(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    n_tokens, n_heads, size = q.shape
    n_keys = k.shape[1]
    mask = _causal_mask(n_tokens, n_heads // n_keys, q.dtype)
    scores = torch.baddbmm(
        mask.expand(n_keys, -1, -1), _stacked(q, n_keys), k.permute(1, 2, 0), alpha=size**-0.5
    )
    share = torch.softmax(scores, -1)
    out.copy_(_unstacked(torch.bmm(share, v.transpose(0, 1)), n_tokens))
    return share


def _short_backward(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,  # not needed: the probabilities are there
    grad: torch.Tensor,
    share: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    n_tokens, size = q.shape[0], q.shape[2]
    n_keys = k.shape[1]
    stacked_grad = _stacked(grad.contiguous(), n_keys)
    dv = torch.bmm(share.transpose(1, 2), stacked_grad).transpose(0, 1)
    d_share = torch.bmm(stacked_grad, v.permute(1, 2, 0))
    d_scores = torch.ops.aten._softmax_backward_data(d_share, share, -1, share.dtype)
    d_scores *= size**-0.5
    dq = _unstacked(torch.bmm(d_scores, k.transpose(0, 1)), n_tokens)
    dk = torch.bmm(d_scores.transpose(1, 2), _stacked(q, n_keys)).transpose(0, 1)
    return dq, dk, dv


def _as_heads(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """(1, heads, L, d) each, keys and values repeated for the heads that share them."""
    n_groups = q.shape[1] // k.shape[1]
    keys = [t.transpose(0, 1).repeat_interleave(n_groups, 0)[None] for t in (k, v)]
    return q.transpose(0, 1)[None], *keys


def _long_forward(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    done, sums = flash(*_as_heads(q, k, v), 0.0, True)
    out.copy_(done[0].transpose(0, 1))
    return sums  # type: ignore[no-any-return]


def _long_backward(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    grad: torch.Tensor,
    sums: torch.Tensor,
) -> tuple[torch.Tensor, ...]:
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    heads_out, heads_grad = (t.transpose(0, 1)[None] for t in (out, grad))
    dq, dk, dv = flash(heads_grad, *_as_heads(q, k, v), heads_out, sums, 0.0, True)
    n_groups = q.shape[1] // k.shape[1]
    shared = [t[0].unflatten(0, (-1, n_groups)).sum(dim=1).transpose(0, 1) for t in (dk, dv)]
    return dq[0].transpose(0, 1), *shared
