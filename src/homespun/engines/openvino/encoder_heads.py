"""Other ends of the BERT encoder: the state of every token, and the label of a pair of texts.

Both are built from the graph of `encoder_graph`, so that the layers exist once.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from homespun.engines.errors import EngineError, WindowError
from homespun.engines.openvino.encoder_compile import EmbedderOptions, compile_encoder, product_precision
from homespun.engines.openvino.encoder_graph import (
    EMBEDDING_SUM,
    TOKEN_STATES,
    EncoderConfig,
    Tensors,
    build_encoder,
    read_json,
)
from homespun.engines.openvino.settings import free_at_exit
from homespun.progress import Progress, no_progress

FloatArray = npt.NDArray[np.float32]

#: Lengths are rounded up to a multiple of this: few enough shapes to remember, little padding.
_LENGTH_STEP = 8


def build_token_encoder(config: EncoderConfig, tensors: Tensors) -> ov.Model:
    """The graph from `input_ids` and `attention_mask`, int64 (batch, length), to `states`.

    Returns:
        A model with one output: float32 (batch, length, hidden_size), each state of length 1.

    Raises:
        EngineError: a tensor is missing or has another shape than the config says.
    """
    model = build_encoder(config, tensors)
    states = ops.normalize_l2(_named(model, TOKEN_STATES), np.array([2], np.int64), 1e-24, "add")
    states.output(0).tensor.set_names({"states"})
    return ov.Model([ops.result(states, name="states")], model.get_parameters(), "bert_token_encoder")


def build_pair_classifier(config: EncoderConfig, tensors: Tensors) -> ov.Model:
    """The graph from `input_ids`, `attention_mask` and `token_type_ids`, int64 (batch, length), to `logits`.

    The head is the family's own: a dense layer with tanh over the first token's state, and a linear layer.
    BERT gives the second text another segment; RoBERTa's line does not.

    Returns:
        A model with one output: float32 (batch, n labels).

    Raises:
        EngineError: a tensor is missing or has another shape than the config says.
    """
    model = build_encoder(config, tensors)
    segment_ids = ops.parameter([-1, -1], np.int64, name="token_type_ids")
    segment_ids.output(0).tensor.set_names({"token_type_ids"})
    is_bert = "classifier.weight" in tensors
    if is_bert:
        _add_segments(model, segment_ids, tensors)
    first = ops.gather(_named(model, TOKEN_STATES), np.int64(0), np.int64(1))
    pooled = ops.tanh(_linear(first, tensors, "pooler.dense" if is_bert else "classifier.dense"))
    logits = _linear(pooled, tensors, "classifier" if is_bert else "classifier.out_proj")
    logits.output(0).tensor.set_names({"logits"})
    parameters = [*model.get_parameters(), segment_ids]
    return ov.Model([ops.result(logits, name="logits")], parameters, "bert_pair_classifier")


def _add_segments(model: ov.Model, segment_ids: ov.Node, tensors: Tensors) -> None:
    """Give the tokens of the second text the second segment's vector: the encoder adds the first to all."""
    segments = tensors.get("embeddings.token_type_embeddings.weight")
    if segments is None or len(segments) < 2:
        raise EngineError("This model knows one segment only; a cross-encoder needs two.")
    is_second = ops.unsqueeze(ops.convert(segment_ids, np.float32), np.int64(-1))
    total = _named(model, EMBEDDING_SUM)
    readers = list(total.output(0).get_target_inputs())
    moved = ops.add(total, ops.multiply(is_second, segments[1] - segments[0]))
    for reader in readers:
        reader.replace_source_output(moved.output(0))


def _linear(values: ov.Node, tensors: Tensors, name: str) -> ov.Node:
    weight, bias = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
    if weight is None or bias is None or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise EngineError(
            f"The model has no layer {name!r}, which a cross-encoder has.",
            remedy="Use a folder of a BERT or RoBERTa sequence classifier.",
        )
    return ops.add(ops.matmul(values, ops.constant(weight), False, True), bias)


def _named(model: ov.Model, name: str) -> ov.Node:
    return next(node for node in model.get_ops() if node.get_friendly_name() == name)


class _Head:
    """A compiled graph over rows of token ids of different lengths."""

    def __init__(self, compiled: ov.CompiledModel, config: EncoderConfig, batch_size: int) -> None:
        self._compiled = compiled
        self._n_requests = max(1, int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")))
        self._batch_size = batch_size
        self.config = config
        self.max_tokens = config.n_positions
        self.precision = product_precision(compiled)
        free_at_exit(self)

    @classmethod
    def _open(
        cls,
        path: Path,
        config: EncoderConfig,
        options: EmbedderOptions | None,
        cache_path: Path | None,
        build: Callable[[EncoderConfig, Tensors], ov.Model],
    ) -> Self:
        options = options or EmbedderOptions()
        compiled = compile_encoder(path, config, options, cache_path, build)
        return cls(compiled, config, options.batch_size)

    def _run(
        self,
        rows: Sequence[Sequence[int]],
        fill: Callable[[list[int], int], list[npt.NDArray[np.int64]]],
        take: Callable[[list[int], FloatArray], None],
        what: str,
        progress: Progress,
    ) -> None:
        """Compute all rows in batches of like length; `fill` makes the inputs, `take` gets the output."""
        self._check(rows)

        def store(request: Any, numbers: list[int]) -> None:
            take(numbers, request.get_output_tensor(0).data)

        queue = ov.AsyncInferQueue(self._compiled, self._n_requests)
        queue.set_callback(store)
        n_started = 0
        for numbers in _batches(rows, self._batch_size):
            longest = max(len(rows[number]) for number in numbers)
            length = min(self.max_tokens, -(-longest // _LENGTH_STEP) * _LENGTH_STEP)
            queue.start_async(fill(numbers, length), numbers)
            n_started += len(numbers)
            progress(what, n_started, len(rows))
        queue.wait_all()

    def _check(self, rows: Sequence[Sequence[int]]) -> None:
        for ids in rows:
            if not 0 < len(ids) <= self.max_tokens:
                raise WindowError(
                    f"A text has {len(ids)} tokens; this model reads 1 to {self.max_tokens} at once."
                )
            if min(ids) < 0 or max(ids) >= self.config.vocab_size:
                raise EngineError("A token id is outside of the model's vocabulary.")


class TokenEncoder(_Head):
    """An embedder's encoder that gives the state of every token instead of one vector.

    Attributes:
        precision: of the matrix products, read back from the compiled graph.
        max_tokens: positions of the model; special tokens count.
    """

    @classmethod
    def open(
        cls, path: Path, options: EmbedderOptions | None = None, cache_path: Path | None = None
    ) -> "TokenEncoder":
        """Build and compile it from a sentence-transformers folder; see `Encoder.open`."""
        # Nothing is pooled here, so the folder need not say how.
        config = EncoderConfig.from_folder(path, pooling="mean")
        return cls._open(path, config, options, cache_path, build_token_encoder)

    def states(
        self, token_ids: Sequence[Sequence[int]], progress: Progress = no_progress
    ) -> list[FloatArray]:
        """States of texts given as token ids, special tokens included.

        Returns:
            For each text float32 (its tokens, hidden_size); every state has length 1.

        Raises:
            WindowError: a text is empty or longer than `max_tokens`.
            EngineError: an id outside of the vocabulary.
        """
        found: dict[int, FloatArray] = {}

        def fill(numbers: list[int], length: int) -> list[npt.NDArray[np.int64]]:
            return _padded([[(token, 1) for token in token_ids[number]] for number in numbers], length, 2)

        def take(numbers: list[int], output: FloatArray) -> None:
            for row, number in enumerate(numbers):
                found[number] = output[row, : len(token_ids[number])].copy()

        self._run(token_ids, fill, take, "comparing passages", progress)
        return [found[number] for number in range(len(token_ids))]


class PairClassifier(_Head):
    """A cross-encoder: both texts are read together, and the model gives each pair one number.

    Attributes:
        precision: of the matrix products, read back from the compiled graph.
        max_tokens: positions of the model; both texts and special tokens count.
    """

    @classmethod
    def open(
        cls, path: Path, options: EmbedderOptions | None = None, cache_path: Path | None = None
    ) -> "PairClassifier":
        """Build and compile it from a Hugging Face folder of a BERT or RoBERTa sequence classifier with one label.

        Raises:
            EngineError: another kind of model, more labels than one, or a file that is missing or damaged.
        """
        stated = read_json(path / "config.json")
        labels = stated.get("id2label")
        n_labels = len(labels) if isinstance(labels, dict) else stated.get("num_labels", 2)
        if n_labels != 1:
            raise EngineError(
                f"This classifier has {n_labels} labels; a cross-encoder that ranks passages has one.",
                where=str(path),
            )
        config = EncoderConfig.from_folder(path, pooling="cls")
        return cls._open(path, config, options, cache_path, build_pair_classifier)

    def logits(
        self,
        token_ids: Sequence[Sequence[int]],
        n_first: Sequence[int],
        progress: Progress = no_progress,
    ) -> FloatArray:
        """The label of each pair: float32 (n pairs,).

        Args:
            token_ids: of both texts, special tokens included.
            n_first: tokens of each row that belong to the first text.

        Raises:
            WindowError: a pair is empty or longer than `max_tokens`.
            EngineError: an id outside of the vocabulary.
        """
        found = np.zeros(len(token_ids), np.float32)

        def fill(numbers: list[int], length: int) -> list[npt.NDArray[np.int64]]:
            rows: list[list[tuple[int, ...]]] = []
            for number in numbers:
                first = n_first[number]
                rows.append([(token, 1, int(at >= first)) for at, token in enumerate(token_ids[number])])
            return _padded(rows, length, 3)

        def take(numbers: list[int], output: FloatArray) -> None:
            found[numbers] = output[:, 0]

        self._run(token_ids, fill, take, "comparing passages", progress)
        return found


def _batches(rows: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Row numbers, longest texts first, in batches."""
    by_length = sorted(range(len(rows)), key=lambda row: len(rows[row]), reverse=True)
    for start in range(0, len(by_length), batch_size):
        yield by_length[start : start + batch_size]


def _padded(rows: list[list[tuple[int, ...]]], length: int, n_inputs: int) -> list[npt.NDArray[np.int64]]:
    """One int64 (rows, length) for each input, filled with 0."""
    inputs = np.zeros((n_inputs, len(rows), length), np.int64)
    for row, values in enumerate(rows):
        inputs[:, row, : len(values)] = np.array(values, np.int64).T
    return list(inputs)
