"""The steps of a layer whose backward pass is worth writing by hand: no copy that can be avoided.

Shapes: N tokens, H width of the input, O rows of all sites that read it, R their ranks together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd import Function

#: Gives the frozen matrix (O, H) in the precision of the products; a packed one is unpacked at each call.
Matrix = Callable[[], torch.Tensor]
#: Makes a layer's input again from what is kept anyway, so that it need not be kept itself.
Remake = Callable[[], torch.Tensor]


@dataclass(frozen=True)
class SiteSpan:
    """Where one site of a group lies: its rows of the output, its ranks in the stacked A, its scale."""

    rows: tuple[int, int]
    ranks: tuple[int, int]
    scale: float


class LoraLinear(Function):
    """x W^T + scale * (x A^T) B^T for several sites that read the same x (Hu et al. 2021).

    W is frozen, so x is needed only for the gradient of A, and W is not kept: `matrix` gives it again, as
    `remake` does with x.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        x: torch.Tensor,
        matrix: Matrix,
        spans: Sequence[SiteSpan],
        kept: torch.Tensor | None,
        remake: Remake | None,
        a: torch.Tensor,
        *bs: torch.Tensor,
    ) -> torch.Tensor:
        y = F.linear(x, matrix())
        low_a = a.to(x.dtype)
        low_bs = [b.to(x.dtype) for b in bs]
        seen = x if kept is None else x * kept  # dropout: what A sees of x
        inner = F.linear(seen, low_a)
        for span, b in zip(spans, low_bs, strict=True):
            y[:, slice(*span.rows)].addmm_(inner[:, slice(*span.ranks)], b.t(), alpha=span.scale)
        ctx.remake = remake if kept is None else None
        ctx.save_for_backward(None if ctx.remake else seen, inner, low_a, *low_bs)
        ctx.matrix, ctx.spans, ctx.kept = matrix, spans, kept
        return y

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        (dy,) = grads
        x, inner, a, *bs = ctx.saved_tensors
        d_inner = torch.empty_like(inner)
        d_bs = []
        for span, b in zip(ctx.spans, bs, strict=True):
            part = dy[:, slice(*span.rows)]
            torch.mm(part, b * span.scale, out=d_inner[:, slice(*span.ranks)])
            d_bs.append(torch.mm(part.t(), inner[:, slice(*span.ranks)]).float().mul_(span.scale))
        dx = None
        if ctx.needs_input_grad[0]:
            dx = torch.mm(dy, ctx.matrix())
            dx = dx.addmm_(d_inner, a) if ctx.kept is None else dx.addcmul_(torch.mm(d_inner, a), ctx.kept)
        d_a = torch.mm(d_inner.t(), x if ctx.remake is None else ctx.remake()).float()
        return (dx, None, None, None, None, d_a, *d_bs)


class FrozenLinear(Function):
    """x W^T where nothing is learnt: only the gradient of x goes back."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, matrix: Matrix) -> torch.Tensor:  # type: ignore[override]
        ctx.matrix = matrix
        return F.linear(x, matrix())

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        return torch.mm(grads[0], ctx.matrix()), None


class RmsNorm(Function):
    """x / rms(x) * weight over the last axis, in float32 inside (Zhang and Sennrich 2019); weight is frozen."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:  # type: ignore[override]
        inverse = x.float().square().mean(-1, keepdim=True).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        return normed(x, weight, inverse)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        x, weight, inverse = ctx.saved_tensors
        scaled = grads[0].float() * weight
        normed = x.float() * inverse
        mean = (scaled * normed).mean(-1, keepdim=True)
        return scaled.sub_(normed.mul_(mean)).mul_(inverse).to(x.dtype), None, None


def normed(x: torch.Tensor, weight: torch.Tensor, inverse: torch.Tensor) -> torch.Tensor:
    """x * inverse * weight in float32, in the type of x."""
    return (x.float() * inverse).mul_(weight).to(x.dtype)


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """The same as `RmsNorm`, without a gradient."""
    return normed(x, weight, x.float().square().mean(-1, keepdim=True).add_(eps).rsqrt_())


class Gated(Function):
    """silu(gate) * up, or gelu: gate and up lie side by side, (N, 2 F) -> (N, F); the rest is computed anew."""

    @staticmethod
    def forward(ctx: Any, gate_up: torch.Tensor, is_silu: bool) -> torch.Tensor:  # type: ignore[override]
        ctx.save_for_backward(gate_up)
        ctx.is_silu = is_silu
        return gated(gate_up, is_silu=is_silu)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        out = torch.empty_like(gate_up)
        d_gate, d_up = out.chunk(2, -1)
        opened = F.silu(gate) if ctx.is_silu else F.gelu(gate, approximate="tanh")
        torch.mul(grads[0], opened, out=d_up)
        through = torch.mul(grads[0], up, out=opened)
        if ctx.is_silu:
            d_gate.copy_(torch.ops.aten.silu_backward(through, gate))
        else:
            d_gate.copy_(torch.ops.aten.gelu_backward(through, gate, approximate="tanh"))
        return out, None


def gated(gate_up: torch.Tensor, *, is_silu: bool) -> torch.Tensor:
    """The same as `Gated`, without a gradient."""
    gate, up = gate_up.chunk(2, -1)
    return (F.silu(gate) if is_silu else F.gelu(gate, approximate="tanh")).mul_(up)


class Rotate(Function):
    """Turns queries and keys by their positions (Su et al. 2021): (N, heads, d), tables (N, 1, d / 2)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        ctx.save_for_backward(cos, sin)
        return _turned(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        cos, sin = ctx.saved_tensors
        return _turned(grads[0], cos, -sin), None, None


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    out = torch.empty_like(x)
    out_first, out_second = out.chunk(2, -1)
    torch.mul(first, cos, out=out_first)
    out_first.addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=out_second)
    out_second.addcmul_(first, sin)
    return out
