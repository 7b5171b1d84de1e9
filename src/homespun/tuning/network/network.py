"""The model's forward pass for training: the structure that the engines build, over packed tokens.

Shapes: N tokens of all examples of a batch, H hidden size, M rows whose next token is labelled.
"""

from functools import partial

import torch

from homespun.tuning.network.attention import attend
from homespun.tuning.network.batch import PackedBatch
from homespun.tuning.network.frozen import FrozenWeights
from homespun.tuning.network.full import FullGroup, FullLinear, FullParameters
from homespun.tuning.network.kernels import (
    FrozenLinear,
    Gated,
    LoraLinear,
    Remake,
    RmsNorm,
    Rotate,
    gated,
    rms_norm,
)
from homespun.tuning.network.parameters import GroupParameters, LoraParameters

QKV, OUT, GATE_UP, DOWN = range(4)


class Network:
    """A frozen model with what is learnt beside it."""

    def __init__(
        self,
        weights: FrozenWeights,
        learnt: LoraParameters | FullParameters | None,
        *,
        dropout: float = 0.0,
        recompute: bool = False,
    ) -> None:
        self.weights = weights
        self.learnt = learnt
        self.first_trained = min((layer for layer, _ in learnt.groups), default=0) if learnt else 0
        self._dropout = dropout
        self._recompute = recompute
        self._random = torch.Generator(device=weights.device)
        self._tables: dict[bool, tuple[torch.Tensor, torch.Tensor]] = {}
        self._turned_batch: PackedBatch | None = None
        self._turned: dict[bool, tuple[torch.Tensor, torch.Tensor]] = {}

    def seed_dropout(self, seed: int) -> None:
        """What is left out from now on; a step that is done again leaves out the same."""
        self._random.manual_seed(seed)

    def below(self, batch: PackedBatch) -> torch.Tensor:
        """What enters the first layer with something to learn, (N, H): the same at every step."""
        with torch.no_grad():
            x = self.weights.embed(batch.token_ids)
            for layer in range(self.first_trained):
                x = self._layer(x, layer, batch, rows=None)
        return x

    def hidden(self, batch: PackedBatch, below: torch.Tensor | None = None) -> torch.Tensor:
        """What the head reads in the rows whose next token is labelled, (M, H).

        Args:
            below: what `below` gave for this batch, where it is known already.
        """
        x = self.below(batch) if below is None else below
        n_layers = self.weights.config.n_layers
        for layer in range(self.first_trained, n_layers):
            step = partial(
                self._layer, layer=layer, batch=batch, rows=batch.rows if layer == n_layers - 1 else None
            )
            if self._recompute and torch.is_grad_enabled():
                from torch.utils.checkpoint import checkpoint

                x = checkpoint(step, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = step(x)
        return self._norm(x, "output_norm.weight")

    def _layer(
        self, x: torch.Tensor, layer: int, batch: PackedBatch, rows: torch.Tensor | None
    ) -> torch.Tensor:
        """One layer; with `rows`, only their outputs (nothing reads the last layer's others)."""
        prefix = f"blk.{layer}"
        qkv = self._normed_linear(x, f"{prefix}.attn_norm.weight", layer, QKV)
        attention = self._attention(qkv, layer, batch)
        if rows is not None:
            attention, x = attention[rows], x[rows]
        out = self._linear(attention, layer, OUT)
        x = x + self._norm_if_any(out, f"{prefix}.post_attention_norm.weight")
        gate_up = self._normed_linear(x, f"{prefix}.ffn_norm.weight", layer, GATE_UP)
        is_silu = self.weights.family.activation == "silu"
        down = self._linear(
            Gated.apply(gate_up, is_silu), layer, DOWN, lambda: gated(gate_up.detach(), is_silu=is_silu)
        )
        return x + self._norm_if_any(down, f"{prefix}.post_ffw_norm.weight")

    def _normed_linear(self, x: torch.Tensor, norm: str, layer: int, number: int) -> torch.Tensor:
        weight, eps = self.weights.vector(norm), self.weights.config.rms_eps
        assert weight is not None, norm
        return self._linear(
            RmsNorm.apply(x, weight, eps), layer, number, lambda: rms_norm(x.detach(), weight, eps)
        )

    def _linear(self, x: torch.Tensor, layer: int, number: int, remake: Remake | None = None) -> torch.Tensor:
        matrix = self.weights.matrix(layer, number)
        group = self.learnt.groups.get((layer, number)) if self.learnt else None
        if isinstance(group, FullGroup):
            y = FullLinear.apply(x, group.matrix)
        elif group is None:
            y = FrozenLinear.apply(x, matrix)
        else:
            y = LoraLinear.apply(x, matrix, group.spans, self._kept(x), remake, group.a, *group.bs)
            if group.magnitudes:
                y = self._scaled(y, layer, number, group)
        bias = self.weights.bias(layer, number)
        return y if bias is None else y + bias

    def _kept(self, x: torch.Tensor) -> torch.Tensor | None:
        if not self._dropout or not torch.is_grad_enabled():
            return None
        draws = torch.rand(x.shape, generator=self._random, device=x.device)
        return (draws >= self._dropout).to(x.dtype).div_(1 - self._dropout)

    def _scaled(self, y: torch.Tensor, layer: int, number: int, group: GroupParameters) -> torch.Tensor:
        """DoRA (Liu et al. 2024): each row's length is learnt, its direction is W + scale * B A."""
        factor = torch.ones(y.shape[1], device=y.device)
        with torch.no_grad():
            matrix = self.weights.matrix(layer, number)().float()
        parts, done = [], 0
        for span, b, magnitude in zip(group.spans, group.bs, group.magnitudes, strict=True):
            first, last = span.rows
            with torch.no_grad():  # the length is a constant of the backward pass, as in the paper
                merged = matrix[first:last] + span.scale * (b @ group.a[slice(*span.ranks)])
                length = merged.norm(dim=1)
            parts += [factor[done:first], magnitude / length]
            done = last
        parts.append(factor[done:])
        return y * torch.cat(parts).to(y.dtype)

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        weight = self.weights.vector(name)
        assert weight is not None, name
        normed: torch.Tensor = RmsNorm.apply(x, weight, self.weights.config.rms_eps)
        return normed

    def _norm_if_any(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return self._norm(x, name) if self.weights.vector(name) is not None else x

    def _attention(self, qkv: torch.Tensor, layer: int, batch: PackedBatch) -> torch.Tensor:
        config = self.weights.config
        size, n_queries, n_keys = config.head_size, config.n_heads, config.n_kv_heads
        q, k, v = qkv.view(len(qkv), -1, size).split([n_queries, n_keys, n_keys], 1)
        cos, sin = self._turns(batch, is_local=config.is_local(layer))
        if config.has_qk_norm:
            q, k = (
                self._norm(q, f"blk.{layer}.attn_q_norm.weight"),
                self._norm(k, f"blk.{layer}.attn_k_norm.weight"),
            )
        q, k = Rotate.apply(q, cos, sin), Rotate.apply(k, cos, sin)
        window = config.sliding_window if config.is_local(layer) else None
        return attend(q, k, v, batch.lengths, window)

    def _turns(self, batch: PackedBatch, *, is_local: bool) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines at the batch's positions, looked up once a batch and not in every layer."""
        if self._turned_batch is not batch:
            self._turned_batch, self._turned = batch, {}
        if is_local not in self._turned:
            n_needed = max(batch.lengths)
            if is_local not in self._tables or len(self._tables[is_local][0]) < n_needed:
                self._tables[is_local] = self.weights.rotary(max(n_needed, 512), is_local=is_local)
            cos, sin = (table[batch.positions][:, None] for table in self._tables[is_local])
            self._turned[is_local] = (cos, sin)
        return self._turned[is_local]
