"""A BERT encoder as an OpenVINO graph, built from a sentence-transformers folder without torch.

The layers follow Devlin et al., "BERT" (2018): post-layer-norm blocks with learned positions. Pooling and
the division by the length are part of the graph, so that one call goes from token ids to unit vectors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from homespun.engines.errors import EngineError

#: Names of two places of the graph that other heads are built from: the sum of the embeddings before its
#: layer norm, and the last layer's states, both (batch, length, hidden_size).
EMBEDDING_SUM = "embedding_sum"
TOKEN_STATES = "token_states"

Tensors = Mapping[str, npt.NDArray[np.float32]]
Pooling = Literal["mean", "cls"]

#: What a large negative mask value stands for "not there": finite, so that bf16 has it too.
MASKED = -1e30


@dataclass(frozen=True)
class EncoderConfig:
    """What the graph needs to know of a BERT folder. Sizes are in values; n_positions in tokens."""

    n_layers: int
    hidden_size: int
    n_heads: int
    layer_norm_eps: float
    activation: Literal["gelu", "relu"]
    n_positions: int
    vocab_size: int
    pooling: Pooling

    @classmethod
    def from_folder(cls, path: Path, pooling: Pooling | None = None) -> "EncoderConfig":
        """Read config.json and, where no pooling is given, the pooling module's own config.

        Raises:
            EngineError: a file is missing or unreadable, or the encoder is of a kind that is not built here.
        """
        config = read_json(path / "config.json")
        kind = config.get("model_type")
        if kind != "bert" or config.get("position_embedding_type", "absolute") != "absolute":
            raise EngineError(
                f"This embedder is of the kind {kind!r}; only 'bert' with absolute positions runs here.",
                where=str(path),
                remedy="Choose a BERT embedder, such as all-MiniLM-L6-v2.",
            )
        activation = config.get("hidden_act")
        if activation not in ("gelu", "relu"):
            raise EngineError(
                f"The activation {activation!r} is not known; gelu and relu are.", where=str(path)
            )
        try:
            return cls(
                n_layers=int(config["num_hidden_layers"]),
                hidden_size=int(config["hidden_size"]),
                n_heads=int(config["num_attention_heads"]),
                layer_norm_eps=float(config["layer_norm_eps"]),
                activation=activation,
                n_positions=int(config["max_position_embeddings"]),
                vocab_size=int(config["vocab_size"]),
                pooling=pooling or _read_pooling(path),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(f"config.json lacks or misstates {error}.", where=str(path)) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the embedder folder."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            "This file of the embedder is missing or is not JSON.",
            where=str(path),
            remedy="Fetch the embedder again.",
        ) from error
    if not isinstance(value, dict):
        raise EngineError("This file of the embedder holds no JSON object.", where=str(path))
    return value


def _read_pooling(path: Path) -> Pooling:
    config = read_json(path / "1_Pooling" / "config.json")
    on = sorted(key for key, value in config.items() if key.startswith("pooling_mode_") and value is True)
    known: dict[str, Pooling] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    if len(on) != 1 or on[0] not in known:
        raise EngineError(f"The pooling {on} is not known; mean and cls are.", where=str(path))
    return known[on[0]]


def read_tensors(path: Path) -> Tensors:
    """All floating tensors of model.safetensors as float32, names without a leading `bert.`.

    Raises:
        EngineError: the file is missing or damaged, or a tensor has a type that numpy lacks.
    """
    from safetensors import SafetensorError, safe_open

    file_path = path / "model.safetensors"
    try:
        with safe_open(str(file_path), framework="numpy") as file:
            named = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError) as error:
        raise EngineError(
            f"The weights of the embedder cannot be read ({error}).",
            where=str(file_path),
            remedy="Fetch the embedder again.",
        ) from error
    floats = {name: value for name, value in named.items() if value.dtype.kind == "f"}
    return {name.removeprefix("bert."): value.astype(np.float32) for name, value in floats.items()}


def build_encoder(config: EncoderConfig, tensors: Tensors) -> ov.Model:
    """The graph from `input_ids` and `attention_mask`, both int64 (batch, length), to `vector`.

    Returns:
        A model with one output: float32 (batch, hidden_size), each row of length 1.

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
        hidden = self._embeddings(input_ids)
        for layer in range(self.config.n_layers):
            hidden = self._layer(layer, hidden, bias)
        hidden.set_friendly_name(TOKEN_STATES)
        vector = self._unit(self._pool(hidden, real))
        vector.output(0).tensor.set_names({"vector"})
        return ov.Model([ops.result(vector, name="vector")], [input_ids, mask], "bert_encoder")

    def _embeddings(self, input_ids: ov.Node) -> ov.Node:
        size = self.config.hidden_size
        words = self._tensor("embeddings.word_embeddings.weight", (self.config.vocab_size, size))
        positions = self._tensor("embeddings.position_embeddings.weight", (self.config.n_positions, size))
        # Every text is of segment 0: its vector is the same at all positions and is added once, here.
        segments = self._tensor("embeddings.token_type_embeddings.weight", (None, size))
        length = ops.gather(ops.shape_of(input_ids), _ints(1), np.int64(0))
        placed = ops.slice(positions + segments[:1], _ints(0), length, _ints(1), _ints(0))
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
        inner = ops.gelu(inner, "erf") if self.config.activation == "gelu" else ops.relu(inner)
        outer = self._linear(inner, f"{name}.output.dense")
        return self._layer_norm(ops.add(outer, hidden), f"{name}.output.LayerNorm")

    def _heads(self, flat: ov.Node) -> ov.Node:
        """(B, T, H) to (B, heads, T, head size)."""
        head_size = self.config.hidden_size // self.config.n_heads
        split = ops.reshape(flat, _ints(0, 0, self.config.n_heads, head_size), True)
        return ops.transpose(split, _ints(0, 2, 1, 3))

    def _linear(self, hidden: ov.Node, name: str) -> ov.Node:
        weight = self._tensor(f"{name}.weight", (None, None))  # (out, in)
        product = ops.matmul(hidden, ops.constant(weight), False, True, name=name)
        return ops.add(product, self._tensor(f"{name}.bias", (weight.shape[0],)))

    def _layer_norm(self, hidden: ov.Node, name: str) -> ov.Node:
        size = self.config.hidden_size
        normal = ops.mvn(hidden, _ints(-1), True, self.config.layer_norm_eps, "inside_sqrt")
        scaled = ops.multiply(normal, self._tensor(f"{name}.weight", (size,)))
        return ops.add(scaled, self._tensor(f"{name}.bias", (size,)))

    def _pool(self, hidden: ov.Node, real: ov.Node) -> ov.Node:
        if self.config.pooling == "cls":
            return ops.gather(hidden, np.int64(0), np.int64(1))
        # The mean's divisor cancels in the division by the length, so the sum is enough.
        weighted = ops.multiply(hidden, ops.unsqueeze(real, np.int64(-1)))
        return ops.reduce_sum(weighted, np.int64(1), False)

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
