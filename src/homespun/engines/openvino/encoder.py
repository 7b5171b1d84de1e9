"""Runs the BERT encoder of `encoder_graph` over many texts at once: token ids in, unit vectors out."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from homespun.engines.errors import EngineError, WindowError
from homespun.engines.openvino.encoder_choice import chosen_precision
from homespun.engines.openvino.encoder_compile import EmbedderOptions, compile_encoder, product_precision
from homespun.engines.openvino.encoder_config import EncoderConfig, dense_modules
from homespun.engines.openvino.settings import free_at_exit
from homespun.progress import Progress, no_progress

__all__ = ["EmbedderOptions", "Encoder"]

#: Lengths are rounded up to a multiple of this: few enough shapes to remember, little padding.
LENGTH_STEP = 8
#: Tokens, padding counted, that a batch has for each text of `batch_size`: short texts go in larger batches.
TOKENS_PER_TEXT = 160


class Encoder:
    """A compiled encoder.

    Attributes:
        precision: of the matrix products, read back from the compiled graph (`f32`, `bf16`, `int8`).
        threads: in use, read back.
        max_tokens: positions of the model; a text has at most so many tokens, special ones included.
    """

    def __init__(
        self, compiled: ov.CompiledModel, config: EncoderConfig, batch_size: int, dimensions: int = 0
    ) -> None:
        self._compiled = compiled
        self._n_requests = max(1, int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")))
        self._batch_size = batch_size
        self.config = config
        self._dimensions = dimensions or config.hidden_size
        self.max_tokens = config.n_positions
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self.precision = product_precision(compiled)
        free_at_exit(self)

    @classmethod
    def open(
        cls, path: Path, options: EmbedderOptions | None = None, cache_path: Path | None = None
    ) -> "Encoder":
        """Build and compile the encoder of a sentence-transformers folder.

        Args:
            path: the folder with config.json, model.safetensors and 1_Pooling.
            options: precision, threads and batch; None for the defaults.
            cache_path: where compiled graphs are kept, so that the next start is quick; None keeps none.

        Raises:
            EngineError: a file is missing, damaged or of a kind of model that is not built here, or the
                precision is not to be had.
        """
        options = options or EmbedderOptions()
        config = EncoderConfig.from_folder(path)
        if options.precision == "auto":
            options = replace(options, precision=chosen_precision(path, config, options, cache_path))
        compiled = compile_encoder(path, config, options, cache_path)
        return cls(compiled, config, options.batch_size, _dense_size(path))

    @property
    def dimensions(self) -> int:
        """Values in each vector."""
        return self._dimensions

    def encode(
        self, token_ids: Sequence[Sequence[int]], progress: Progress = no_progress
    ) -> npt.NDArray[np.float32]:
        """Vectors of texts given as token ids, special tokens included.

        Texts of like length are computed together, so that little is padded; the attention mask keeps
        padding out of every number.

        Returns:
            float32 (n texts, dimensions); rows have length 1 and the order of the input.

        Raises:
            WindowError: a text is empty or longer than `max_tokens`.
            EngineError: an id outside of the vocabulary.
        """
        self._check(token_ids)
        vectors = np.zeros((len(token_ids), self.dimensions), np.float32)

        def store(request: Any, rows: list[int]) -> None:
            vectors[rows] = request.get_output_tensor(0).data

        queue = ov.AsyncInferQueue(self._compiled, self._n_requests)
        queue.set_callback(store)
        n_started = 0
        for rows in _batches(token_ids, self._batch_size):
            queue.start_async(_padded([token_ids[row] for row in rows], self.max_tokens), rows)
            n_started += len(rows)
            progress("embedding passages", n_started, len(token_ids))
        queue.wait_all()
        return vectors

    def _check(self, token_ids: Sequence[Sequence[int]]) -> None:
        for ids in token_ids:
            if not 0 < len(ids) <= self.max_tokens:
                raise WindowError(
                    f"A text has {len(ids)} tokens; this embedder reads 1 to {self.max_tokens} at once."
                )
            if min(ids) < 0 or max(ids) >= self.config.vocab_size:
                raise EngineError("A token id is outside of the embedder's vocabulary.")


def _batches(token_ids: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Row numbers, longest texts first, in batches of about as many tokens."""
    by_length = sorted(range(len(token_ids)), key=lambda row: len(token_ids[row]), reverse=True)
    start = 0
    while start < len(by_length):
        longest = -(-len(token_ids[by_length[start]]) // LENGTH_STEP) * LENGTH_STEP
        n_rows = max(1, batch_size * TOKENS_PER_TEXT // longest)
        yield by_length[start : start + n_rows]
        start += n_rows


def _dense_size(path: Path) -> int:
    """Values that the last dense module gives; 0 where there is none."""
    modules = dense_modules(path)
    return int(json.loads((modules[-1] / "config.json").read_text("utf-8"))["out_features"]) if modules else 0


def _padded(batch: Sequence[Sequence[int]], max_tokens: int) -> list[npt.NDArray[np.int64]]:
    """`input_ids` and `attention_mask`, each int64 (texts, longest length rounded up)."""
    length = min(max_tokens, -(-max(map(len, batch)) // LENGTH_STEP) * LENGTH_STEP)
    ids = np.zeros((len(batch), length), np.int64)
    mask = np.zeros((len(batch), length), np.int64)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    return [ids, mask]
