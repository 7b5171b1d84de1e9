"""A BERT-like encoder as an OpenVINO graph, built from a sentence-transformers folder without torch.

The layers follow Devlin et al., "BERT" (2018): post-layer-norm blocks with learned positions; MPNet (Song et
al., 2020) adds a bias for the distance of two tokens. Pooling, dense modules and the division by the length
are part of the graph, so that one call goes from token ids to unit vectors.
"""

import math

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from homespun.engines.errors import EngineError
from homespun.engines.openvino.encoder_config import EncoderConfig, Tensors, read_json, read_tensors

__all__ = [
    "EMBEDDING_SUM",
    "TOKEN_STATES",
    "EncoderConfig",
    "Tensors",
    "build_encoder",
    "read_json",
    "read_tensors",
]

#: Names of two places of the graph that other heads are built from: the sum of the embeddings before its
#: layer norm, and the last layer's states, both (batch, length, hidden_size).
EMBEDDING_SUM = "embedding_sum"
TOKEN_STATES = "token_states"

#: What a large negative mask value stands for "not there": finite, so that bf16 has it too.
MASKED = -1e30


def build_encoder(config: EncoderConfig, tensors: Tensors) -> ov.Model:
    """The graph from `input_ids` and `attention_mask`, both int64 (batch, length), to `vector`.

    Returns:
        A model with one output: float32 (batch, dimensions), each row of length 1. With `config.int8` the
        weights of the layers are int8 with one scale a row (absolute maximum / 127).

    Raises:
        EngineError: a tensor is missing or has another shape than the config says.
    """
    return _EncoderBuilder(config, tensors).build()


class _EncoderBuilder:
    def __init__(self, config: EncoderConfig, tensors: Tensors) -> None:
        self.config = config
        self.tensors = tensors

    def build(self) -> ov.Model:
        input_ids = ops.parameter([-1, -1], np.int64, name="input_ids")
        mask = ops.parameter([-1, -1], np.int64, name="attention_mask")
        for node, name in ((input_ids, "input_ids"), (mask, "attention_mask")):
            node.output(0).tensor.set_names({name})
        real = ops.convert(mask, np.float32)  # (B, T), 1 for a token, 0 for padding
        bias = ops.multiply(ops.subtract(real, np.float32(1)), np.float32(-MASKED))
        bias = ops.unsqueeze(bias, np.array([1, 2], np.int64))  # (B, 1, 1, T)
        if self.config.n_distances:
            bias = ops.add(bias, self._distances(input_ids))  # (B, heads, T, T)
        hidden = self._embeddings(input_ids)
        for layer in range(self.config.n_layers):
            hidden = self._layer(layer, hidden, bias)
        hidden.set_friendly_name(TOKEN_STATES)
        vector = self._unit(self._dense(self._pool(hidden, real)))
        vector.output(0).tensor.set_names({"vector"})
        return ov.Model([ops.result(vector, name="vector")], [input_ids, mask], "bert_encoder")

    def _embeddings(self, input_ids: ov.Node) -> ov.Node:
        size = self.config.hidden_size
        words = self._tensor("embeddings.word_embeddings.weight", (self.config.vocab_size, size))
        first = self.config.first_position
        shape = (first + self.config.n_positions, size)
        positions = self._tensor("embeddings.position_embeddings.weight", shape)[first:]
        if self.config.has_segments:
            # Every text is of segment 0: its vector is the same at all positions and is added once, here.
            positions = positions + self._tensor("embeddings.token_type_embeddings.weight", (None, size))[:1]
        length = ops.gather(ops.shape_of(input_ids), _ints(1), np.int64(0))
        placed = ops.slice(positions, _ints(0), length, _ints(1), _ints(0))
        total = ops.add(ops.gather(words, input_ids, np.int64(0)), placed)  # (B, T, H)
        total.set_friendly_name(EMBEDDING_SUM)
        return self._layer_norm(total, "embeddings.LayerNorm")

    def _layer(self, layer: int, hidden: ov.Node, bias: ov.Node) -> ov.Node:
        name = f"encoder.layer.{layer}"
        query, key, value = (
            self._heads(self._linear(hidden, f"{name}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        attended = ops.scaled_dot_product_attention(query, key, value, attention_mask=bias, causal=False)
        merged = ops.reshape(ops.transpose(attended, _ints(0, 2, 1, 3)), _ints(0, 0, -1), True)
        mixed = self._linear(merged, f"{name}.attention.output.dense")
        hidden = self._layer_norm(ops.add(mixed, hidden), f"{name}.attention.output.LayerNorm")
        inner = self._linear(hidden, f"{name}.intermediate.dense")
        inner = _ACTIVATIONS[self.config.activation](inner)
        outer = self._linear(inner, f"{name}.output.dense")
        return self._layer_norm(ops.add(outer, hidden), f"{name}.output.LayerNorm")

    def _heads(self, flat: ov.Node) -> ov.Node:
        """(B, T, H) to (B, heads, T, head size)."""
        head_size = self.config.hidden_size // self.config.n_heads
        split = ops.reshape(flat, _ints(0, 0, self.config.n_heads, head_size), True)
        return ops.transpose(split, _ints(0, 2, 1, 3))

    def _linear(self, hidden: ov.Node, name: str) -> ov.Node:
        weight = self._tensor(f"{name}.weight", (None, None))  # (out, in)
        product = ops.matmul(hidden, self._weight(weight), False, True, name=name)
        return ops.add(product, self._tensor(f"{name}.bias", (weight.shape[0],)))

    def _weight(self, weight: npt.NDArray[np.float32]) -> ov.Node:
        if not self.config.int8:
            return ops.constant(weight)
        scale = np.maximum(np.abs(weight).max(axis=1, keepdims=True) / 127, 1e-12).astype(np.float32)
        rounded = np.rint(weight / scale).astype(np.int8)
        return ops.multiply(ops.convert(ops.constant(rounded), np.float32), ops.constant(scale))

    def _distances(self, input_ids: ov.Node) -> ov.Node:
        """MPNet's addition to the attention scores for the distance of two tokens: (1, heads, T, T)."""
        name, shape = "encoder.relative_attention_bias.weight", (self.config.n_distances, self.config.n_heads)
        table = self._tensor(name, shape)
        buckets = _distance_buckets(self.config.n_positions, self.config.n_distances)
        length = ops.gather(ops.shape_of(input_ids), _ints(1), np.int64(0))
        lengths = ops.concat([length, length], 0)
        near = ops.slice(ops.constant(buckets), _ints(0, 0), lengths, _ints(1, 1), _ints(0, 1))
        bias = ops.transpose(ops.gather(ops.constant(table), near, np.int64(0)), _ints(2, 0, 1))
        return ops.unsqueeze(bias, _ints(0))

    def _layer_norm(self, hidden: ov.Node, name: str) -> ov.Node:
        size = self.config.hidden_size
        normal = ops.mvn(hidden, _ints(-1), True, self.config.layer_norm_eps, "inside_sqrt")
        scaled = ops.multiply(normal, self._tensor(f"{name}.weight", (size,)))
        return ops.add(scaled, self._tensor(f"{name}.bias", (size,)))

    def _pool(self, hidden: ov.Node, real: ov.Node) -> ov.Node:
        pooling = self.config.pooling
        if pooling == "cls":
            return ops.gather(hidden, np.int64(0), np.int64(1))
        if pooling == "max":
            away = ops.multiply(ops.subtract(real, np.float32(1)), np.float32(-MASKED))
            return ops.reduce_max(ops.add(hidden, ops.unsqueeze(away, np.int64(-1))), np.int64(1), False)
        if pooling == "last":  # a token with none behind it
            next_real = ops.pad(real, _ints(0, 0), _ints(0, 1), "constant", np.float32(0))
            end = np.array([np.iinfo(np.int64).max], np.int64)
            real = ops.subtract(real, ops.slice(next_real, _ints(1), end, _ints(1), _ints(1)))
        weighted = ops.multiply(hidden, ops.unsqueeze(real, np.int64(-1)))
        total = ops.reduce_sum(weighted, np.int64(1), False)
        if (
            pooling == "mean" and self.config.dense
        ):  # without a dense module the division by the length does it
            return ops.divide(total, ops.reduce_sum(real, np.int64(1), True))
        return total

    def _dense(self, vector: ov.Node) -> ov.Node:
        for number, activation in enumerate(self.config.dense):
            weight = self._tensor(f"dense.{number}.weight", (None, None))
            vector = ops.matmul(vector, ops.constant(weight), False, True)
            if f"dense.{number}.bias" in self.tensors:
                vector = ops.add(vector, self._tensor(f"dense.{number}.bias", (weight.shape[0],)))
            vector = _ACTIVATIONS[activation](vector)
        return vector

    def _unit(self, vector: ov.Node) -> ov.Node:
        return ops.normalize_l2(vector, _ints(1), 1e-24, "add")

    def _tensor(self, name: str, shape: tuple[int | None, ...]) -> npt.NDArray[np.float32]:
        value = self.tensors.get(name)
        if value is None:
            raise EngineError(f"The embedder has no tensor {name!r}.", remedy="Fetch the embedder again.")
        wanted = [
            size if size is not None else found for size, found in zip(shape, value.shape, strict=False)
        ]
        if len(value.shape) != len(shape) or list(value.shape) != wanted:
            raise EngineError(f"The tensor {name!r} has the shape {value.shape} where {shape} is needed.")
        return value


def _ints(*values: int) -> npt.NDArray[np.int64]:
    return np.array(values, np.int64)


_ACTIVATIONS = {
    "gelu": lambda values: ops.gelu(values, "erf"),
    "gelu_tanh": lambda values: ops.gelu(values, "tanh"),
    "relu": ops.relu,
    "tanh": ops.tanh,
    "none": lambda values: values,
}


def _distance_buckets(n_positions: int, n_buckets: int, max_distance: int = 128) -> npt.NDArray[np.int64]:
    """Which row of the table a pair of positions has: int64 (n_positions, n_positions).

    As in T5 (Raffel et al., 2020): half of the buckets for tokens behind; near distances have one each, far
    ones share them logarithmically.
    """
    n_half = n_buckets // 2
    n_exact = n_half // 2
    distance = np.arange(n_positions)[:, None] - np.arange(n_positions)[None, :]
    size = np.abs(distance)
    far = n_exact + (
        np.log(np.maximum(size, 1).astype(np.float32) / np.float32(n_exact))
        / np.float32(math.log(max_distance / n_exact))
        * (n_half - n_exact)
    ).astype(np.int64)
    bucket = np.where(size < n_exact, size, np.minimum(far, n_half - 1))
    return (bucket + np.where(distance < 0, n_half, 0)).astype(np.int64)
