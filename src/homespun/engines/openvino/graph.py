"""A GGUF model as an OpenVINO graph with paged attention.

The graph is first built with ordinary key-value states, in the shapes that OpenVINO's passes recognise
(RMS norm, rotary embedding and attention become single fused kernels), then turned into the paged form:
flat tokens of many requests in, keys and values in blocks of a shared cache. Layer names follow PEFT's
(`model.layers.N.self_attn.q_proj`), so an adapter's tensors find their place by name.

Shapes: N tokens of all requests in one step, H hidden size, V vocabulary, R total rank of the adapters.
"""

from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from homespun.engines.errors import EngineError
from homespun.engines.families import FAMILIES, SUPPORTED_ARCHITECTURES
from homespun.engines.openvino.bank import BankNodes, site_groups
from homespun.engines.openvino.weights import AffineWeight, FloatWeight, Weight, read_weight
from homespun.engines.rotary import rotary_frequencies
from homespun.engines.row_order import to_half_order
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile


def rotary_tables(
    config: ModelConfig, n_positions: int, factors: np.ndarray | None, *, is_local: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines (n_positions, rope_dim) in float32, computed in float64 (see `rotary_frequencies`)."""
    frequencies = rotary_frequencies(config, factors, is_local=is_local)
    angles = np.arange(n_positions, dtype=np.float64)[:, None] * frequencies[None, :]
    angles = np.concatenate([angles, angles], axis=1)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _constant(array: np.ndarray, name: str = "") -> Any:
    node = ops.constant(np.ascontiguousarray(array))
    if name:
        node.set_friendly_name(name)
    return node


def _ints(*values: int) -> Any:
    return ops.constant(np.array(values, np.int64))


def _packed_u4(codes: np.ndarray) -> Any:
    packed = codes[..., 0::2] | (codes[..., 1::2] << 4)
    tensor = ov.Tensor(np.ascontiguousarray(packed).reshape(-1), ov.Shape(list(codes.shape)), ov.Type.u4)
    return ov.op.Constant(tensor, False)


def weight_node(weight: Weight, name: str) -> Any:
    """A weight as nodes that give float32 values and that the plugin keeps compressed: (rows, columns)."""
    if isinstance(weight, FloatWeight):
        if weight.is_bfloat16:
            raw = np.ascontiguousarray(weight.values)
            tensor = ov.Tensor(raw.view(np.int16), ov.Shape(list(raw.shape)), ov.Type.bf16)
            return ops.convert(ov.op.Constant(tensor, False), "f32")
        node = _constant(weight.values, name)
        return node if weight.values.dtype == np.float32 else ops.convert(node, "f32")
    return _affine_node(weight, name)


def _affine_node(weight: AffineWeight, name: str) -> Any:
    rows, groups, size = weight.codes.shape
    codes = _packed_u4(weight.codes) if weight.bits == 4 else _constant(weight.codes)
    codes.set_friendly_name(name)
    node = ops.convert(codes, "f32")
    if weight.zeros is not None:
        node = ops.subtract(node, _constant(weight.zeros))
    node = ops.multiply(node, _constant(weight.scales))
    return ops.reshape(node, _ints(rows, groups * size), False)


class GraphBuilder:
    """Builds one model's graph; `build` is the only public step."""

    def __init__(self, file: GGUFFile, config: ModelConfig, window: int, with_bank: bool) -> None:
        if config.architecture not in SUPPORTED_ARCHITECTURES:
            raise EngineError(
                f"architecture {config.architecture!r} is not one of {', '.join(SUPPORTED_ARCHITECTURES)}",
                where=str(file.path),
                remedy="Use --engine llama.cpp for this file.",
            )
        self.file = file
        self.config = config
        self.window = window
        self.family = FAMILIES[config.architecture]
        self._bank = BankNodes() if with_bank else None
        self._states: list[Any] = []

    def build(self) -> Any:
        """The graph with states, ready for the paged pass. Output `logits` is (positions asked for, V)."""
        config = self.config
        ids = ops.parameter([-1, -1], np.int64, name="input_ids")
        mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
        positions = ops.parameter([-1, -1], np.int64, name="position_ids")
        beams = ops.parameter([-1], np.int32, name="beam_idx")
        asked = ops.parameter([-1], np.int64, name="asked_positions")
        inputs = [ids, mask, positions, beams, asked]
        for node in inputs:
            node.output(0).set_names({node.get_friendly_name()})
        self._beams = beams
        self._turns = self._rotary(positions, is_local=False)
        if any(config.local_layers):
            self._local_turns = self._rotary(positions, is_local=True)
        self._mask = self._attention_mask(mask)
        self._batch = ops.gather(ops.shape_of(ids), _ints(0), _ints(0))
        embedding = read_weight(self.file, "token_embd.weight")
        self._embedding = weight_node(embedding, "model.embed_tokens.weight")
        hidden = ops.gather(self._embedding, ids, _ints(0))
        if self.family.scales_embedding:
            hidden = ops.multiply(hidden, ops.constant(np.float32(config.hidden_size**0.5)))
        for layer in range(config.n_layers):
            hidden = self._layer(hidden, layer)
        hidden = ops.gather(hidden, asked, _ints(0))
        hidden = self._norm(hidden, "output_norm.weight")
        logits = ops.matmul(hidden, self._head(), False, True)
        logits.set_friendly_name("lm_head")
        logits = ops.reshape(logits, _ints(-1, config.vocab_size), False)
        result = ops.result(logits, name="logits")
        result.output(0).set_names({"logits"})
        bank_inputs = self._bank.parameters if self._bank else []
        return ov.Model([result], self._states, [*inputs, *bank_inputs], "homespun")

    def _head(self) -> Any:
        if "output.weight" in self.file.tensors:
            return weight_node(read_weight(self.file, "output.weight"), "lm_head.weight")
        return self._embedding

    def _rotary(self, positions: Any, *, is_local: bool) -> tuple[Any, Any]:
        factors = None
        if "rope_freqs.weight" in self.file.tensors:
            factors = self.file.dequantize("rope_freqs.weight").reshape(-1)
        cos, sin = rotary_tables(self.config, self.window, factors, is_local=is_local)
        axis = _ints(0)
        heads = _ints(1)
        return (
            ops.unsqueeze(ops.gather(_constant(cos), positions, axis), heads),
            ops.unsqueeze(ops.gather(_constant(sin), positions, axis), heads),
        )

    @staticmethod
    def _attention_mask(mask: Any) -> Any:
        """Only its place matters: the paged pass drops it, for its attention is causal by itself."""
        as_float = ops.convert(mask, "f32")
        return ops.unsqueeze(ops.unsqueeze(as_float, _ints(1)), _ints(1))

    def _norm(self, x: Any, name: str) -> Any:
        scale = _constant(self.file.dequantize(name).reshape(-1))
        square = ops.power(x, ops.constant(np.float32(2)))
        mean = ops.reduce_mean(square, _ints(-1), True)
        root = ops.sqrt(ops.add(mean, ops.constant(np.float32(self.config.rms_eps))))
        return ops.multiply(ops.multiply(x, ops.divide(ops.constant(np.float32(1)), root)), scale)

    def _linears(self, x: Any, layer: int, number: int) -> list[Any]:
        """The linear layers that read the same input, with their adapters: (N, 1, rows) each."""
        group = site_groups(self.file, layer)[number]
        outputs = []
        for site in group:
            weight = read_weight(self.file, f"{site.gguf_name}.weight")
            order = to_half_order(self.config, site.gguf_name, site.n_rows)
            if order is not None:
                weight = weight.take_rows(order)
            node = ops.matmul(x, weight_node(weight, f"{site.name}.weight"), False, True)
            node.set_friendly_name(f"__module.{site.name}/ov_ext::linear/MatMul")
            if f"{site.gguf_name}.bias" in self.file.tensors:
                bias = self.file.dequantize(f"{site.gguf_name}.bias").reshape(-1)
                node = ops.add(node, _constant(bias if order is None else bias[order]))
            outputs.append(node)
        return outputs if self._bank is None else self._bank.attach(x, outputs, group, layer, number)

    def _layer(self, x: Any, layer: int) -> Any:
        attention_in = self._norm(x, f"blk.{layer}.attn_norm.weight")
        q, k, v = self._linears(attention_in, layer, 0)
        attention = self._attention(q, k, v, layer)
        (out,) = self._linears(attention, layer, 1)
        x = ops.add(x, self._norm_if_any(out, f"blk.{layer}.post_attention_norm.weight"))
        ffn_in = self._norm(x, f"blk.{layer}.ffn_norm.weight")
        gate, up = self._linears(ffn_in, layer, 2)
        opened = ops.swish(gate) if self.family.activation == "silu" else ops.gelu(gate, "tanh")
        (down,) = self._linears(ops.multiply(opened, up), layer, 3)
        return ops.add(x, self._norm_if_any(down, f"blk.{layer}.post_ffw_norm.weight"))

    def _norm_if_any(self, x: Any, name: str) -> Any:
        return self._norm(x, name) if name in self.file.tensors else x

    def _heads(self, x: Any, n_heads: int, norm: str | None) -> Any:
        """(batch, tokens, n_heads * d) -> (batch, n_heads, tokens, d), with qwen3's and gemma3's head norm."""
        x = ops.reshape(x, _ints(0, 0, n_heads, self.config.head_size), True)
        if norm is not None:
            x = self._norm_if_any(x, norm)
        return ops.transpose(x, _ints(0, 2, 1, 3))

    def _rotate(self, x: Any, layer: int) -> Any:
        cos, sin = self._local_turns if self.config.is_local(layer) else self._turns
        half = self.config.head_size // 2
        first, second = ops.variadic_split(x, ops.constant(np.int64(3)), _ints(half, half)).outputs()
        turned = ops.concat([ops.multiply(second, ops.constant(np.float32(-1))), first], -1)
        return ops.add(ops.multiply(x, cos), ops.multiply(turned, sin))

    def _cached(self, x: Any, layer: int, what: str) -> Any:
        config = self.config
        shape = [-1, config.n_kv_heads, -1, config.head_size]
        info = ov.op.util.VariableInfo()
        info.data_shape = ov.PartialShape(shape)
        info.data_type = ov.Type.f32
        info.variable_id = f"past_key_values.{layer}.{what}"
        variable = ov.op.util.Variable(info)
        zero = ops.constant(np.float32(0))
        empty = ops.concat([self._batch, _ints(config.n_kv_heads, 0, config.head_size)], 0)
        past = ops.gather(ops.read_value(ops.broadcast(zero, empty), variable), self._beams, _ints(0))
        both = ops.concat([past, x], -2)
        self._states.append(ops.assign(both, variable))
        n_groups = config.n_heads // config.n_kv_heads
        if n_groups == 1:
            return both
        ones = _ints(1, 1, n_groups, 1, 1)
        wide = ops.broadcast(ops.unsqueeze(both, _ints(2)), ones, broadcast_spec="BIDIRECTIONAL")
        return ops.reshape(wide, _ints(0, config.n_heads, -1, config.head_size), True)

    def _attention(self, q: Any, k: Any, v: Any, layer: int) -> Any:
        config = self.config
        q = self._rotate(self._heads(q, config.n_heads, f"blk.{layer}.attn_q_norm.weight"), layer)
        k = self._rotate(self._heads(k, config.n_kv_heads, f"blk.{layer}.attn_k_norm.weight"), layer)
        v = self._heads(v, config.n_kv_heads, None)
        attention = ops.scaled_dot_product_attention(
            q, self._cached(k, layer, "key"), self._cached(v, layer, "value"), self._mask
        )
        attention = ops.transpose(attention, _ints(0, 2, 1, 3))
        return ops.reshape(attention, _ints(0, 0, config.n_heads * config.head_size), True)
