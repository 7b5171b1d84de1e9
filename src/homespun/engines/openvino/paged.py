"""A compiled paged model: one step of many sequences in, logits out."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from homespun.engines.errors import EngineError
from homespun.engines.openvino.bank import BankInputs, LowRank, site_groups, stack_adapters
from homespun.engines.openvino.blocks import blocks_for
from homespun.engines.openvino.graph_file import load_or_build
from homespun.engines.openvino.settings import Precision, core, effective_precision, properties
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile


@dataclass(frozen=True)
class Part:
    """One sequence's share of a step: new tokens after `n_past` ones whose keys and values stand in blocks.

    `asked` are the places among the new tokens whose logits are wanted, rising.
    """

    token_ids: Sequence[int]
    n_past: int
    blocks: Sequence[int]
    asked: Sequence[int]


class PagedModel:
    """The model's graphs (without and, once adapters come, with their inputs) on one key-value cache."""

    def __init__(
        self,
        file: GGUFFile,
        config: ModelConfig,
        precision: Precision,
        n_threads: int,
        window: int,
        n_blocks: int,
        cache_path: Path | None,
    ) -> None:
        self._file = file
        self._config = config
        self._precision = precision
        self._n_threads = n_threads
        self._window = window
        self._n_blocks = n_blocks
        self._cache_path = cache_path
        self._caches: dict[str, Any] = {}
        self._bank_request: Any = None
        self._bank_lock = threading.Lock()
        self._bank_coming: Future[Any] | None = None
        compiled = self._compile(with_bank=False)
        self.effective_precision = effective_precision(compiled, precision)
        self.cache_precision = self._make_caches(compiled)
        self._request = self._make_request(compiled)

    def _compile(self, *, with_bank: bool) -> Any:
        model = load_or_build(self._file, self._config, self._window, with_bank, self._cache_path)
        return core().compile_model(model, "CPU", properties(self._precision, self._n_threads))

    def _make_caches(self, compiled: Any) -> str:
        kinds = []
        for port in compiled.inputs:
            name = port.get_any_name()
            if not name.startswith(("key_cache.", "value_cache.")):
                continue
            tail = [dimension.get_length() for dimension in list(port.partial_shape)[1:]]
            self._caches[name] = ov.Tensor(port.element_type, ov.Shape([self._n_blocks, *tail]))
            kinds.append(port.element_type.get_type_name())
        return ", ".join(sorted(set(kinds)))

    def _make_request(self, compiled: Any) -> Any:
        request = compiled.create_infer_request()
        for name, tensor in self._caches.items():
            request.set_tensor(name, tensor)
        return request

    @property
    def cache_bytes(self) -> int:
        """Size of the key-value cache when it is full (memory is taken as blocks are first written)."""
        return sum(tensor.byte_size for tensor in self._caches.values())

    def release(self) -> None:
        """Free the graphs and the cache; nothing can be computed after that."""
        with self._bank_lock:
            self._request = self._bank_request = self._bank_coming = None
            self._caches = {}

    def begin_bank(self) -> "Future[Any]":
        """Begin to compile the graph with adapter inputs, in a thread of its own; once, from any thread.

        OpenVINO cannot keep this graph compiled on disk (a paged attention that is imported has lost its
        head size), so that it is there at once only if it was begun before.
        """
        with self._bank_lock:
            if not self._caches:
                raise EngineError("the engine is closed")
            if self._bank_coming is None:
                pool = ThreadPoolExecutor(1, "homespun-adapters")
                self._bank_coming = pool.submit(self._warm_bank, dict(self._own_block()))
                pool.shutdown(wait=False)
            return self._bank_coming

    def prepare_bank(self) -> None:
        """Have the graph with adapter inputs ready; batches without adapters keep the other one."""
        if self._bank_request is None:
            request = self.begin_bank().result()
            for name, tensor in self._caches.items():
                request.set_tensor(name, tensor)
            self._bank_request = request

    def _own_block(self) -> Iterator[tuple[str, Any]]:
        """A key-value cache of one block that nothing else uses."""
        for name, tensor in self._caches.items():
            yield name, ov.Tensor(tensor.element_type, ov.Shape([1, *list(tensor.shape)[1:]]))

    def _warm_bank(self, caches: Mapping[str, Any]) -> Any:
        """The request of the graph with adapter inputs, after one step on a block of its own.

        The first step of a graph repacks its weights; done here, the first answer need not wait for it.
        """
        request = self._compile(with_bank=True).create_infer_request()
        for name, tensor in caches.items():
            request.set_tensor(name, tensor)
        inputs = stack_adapters(self._file, self._config.n_layers, [_no_change(self._file)])
        part = Part([0], 0, [0], [0])
        for name, array in {**inputs.matrices, **_step_inputs([part])}.items():
            request.set_tensor(name, ov.Tensor(array, shared_memory=False))
        request.set_tensor("adapter_mask", ov.Tensor(np.zeros((1, 1, inputs.total_rank), np.float32)))
        request.infer()
        return request

    def set_adapters(self, inputs: BankInputs) -> None:
        """Replace the adapter matrices of the bank."""
        for name, array in inputs.matrices.items():
            self._bank_request.set_tensor(name, ov.Tensor(array, shared_memory=False))

    def forward(
        self, parts: Sequence[Part], mask: npt.NDArray[np.float32] | None = None
    ) -> npt.NDArray[np.float32]:
        """Compute one step.

        Args:
            parts: the sequences; their blocks must have room for past and new tokens.
            mask: (N, R) which ranks of the bank apply to each of the N new tokens; None: no adapters.

        Returns:
            Logits (asked places of all parts in order, n_vocab); valid until the next call.
        """
        request = self._request if mask is None else self._bank_request
        for name, array in _step_inputs(parts).items():
            request.set_tensor(name, ov.Tensor(array, shared_memory=False))
        if mask is not None:
            request.set_tensor("adapter_mask", ov.Tensor(np.ascontiguousarray(mask[:, None, :])))
        request.infer()
        logits: npt.NDArray[np.float32] = request.get_tensor("logits").data
        return logits


def _no_change(file: GGUFFile) -> dict[str, LowRank]:
    """An adapter that changes nothing."""
    site = site_groups(file, 0)[0][0]
    rows, columns = np.zeros((site.n_rows, 8), np.float32), np.zeros((8, site.n_columns), np.float32)
    return {site.name: LowRank(columns, rows)}


def _step_inputs(parts: Sequence[Part]) -> dict[str, npt.NDArray[Any]]:
    """The flat arrays of the paged graph."""
    lengths = np.array([len(part.token_ids) for part in parts])
    begins = np.concatenate([[0], np.cumsum(lengths)])
    used = [part.blocks[: blocks_for(part.n_past + len(part.token_ids))] for part in parts]
    positions = [np.arange(part.n_past, part.n_past + len(part.token_ids)) for part in parts]
    asked = [np.asarray(part.asked, np.int64) + begin for part, begin in zip(parts, begins[:-1], strict=True)]
    return {
        "input_ids": np.concatenate([np.asarray(part.token_ids, np.int64) for part in parts]),
        "position_ids": np.concatenate(positions).astype(np.int64),
        "past_lens": np.array([part.n_past for part in parts], np.int32),
        "subsequence_begins": begins.astype(np.int32),
        "block_indices": np.concatenate([np.asarray(blocks, np.int32) for blocks in used]),
        "block_indices_begins": np.cumsum([0, *(len(blocks) for blocks in used)]).astype(np.int32),
        "max_context_len": np.array(max(part.n_past + len(part.token_ids) for part in parts), np.int32),
        "asked_positions": np.concatenate(asked).astype(np.int64),
    }
