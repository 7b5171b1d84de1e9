"""The reference engine: transformers on a GGUF's exactly unpacked weights or on a folder, adapters by PEFT.

In float32 it is what the other engines are measured against; it is also the way onto a GPU. Requests are
computed one after the other, so an answer never depends on what else runs.

A model that is an encoder with a decoder (T5) is used through the same interface: the prompt of a request
goes to the encoder (with the end token after it, as the model was trained), and the answer is decoded.
`score` gives the encoder all tokens but the last n_scored, and scores those as the answer; `distributions`
gives it all but the last `last` - 1, and returns the rows after the start and after each of those.
"""

import inspect
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.checks import (
    check_last,
    check_score,
    check_sizes,
    check_tokens,
    checked_window,
    unknown_adapter,
)
from homespun.engines.engine import (
    Device,
    EngineFacts,
    EngineOptions,
    FloatArray,
    Generation,
    GenerationStream,
    Request,
    ScoreRequest,
)
from homespun.engines.errors import EngineError
from homespun.engines.loaded import LoadedModel
from homespun.engines.processor import processor_name, usable_threads
from homespun.engines.sampling import check_options
from homespun.engines.sequence import Reading, RunningSequence
from homespun.engines.stepping import SteppedStream
from homespun.engines.torch_folder import load_folder
from homespun.engines.torch_gguf import load_gguf
from homespun.engines.torch_model import import_peft, import_torch
from homespun.engines.torch_precision import NAMES, chosen_precision
from homespun.progress import Progress, no_progress

READ_TOKENS = 512  # most tokens computed at once
ASKED_TOKENS = 256  # ... and most positions whose logits are kept at once


@dataclass
class _Version:
    """One loaded adapter; a replaced one stays until the answers that it began have ended."""

    name: str
    n_running: int = 0
    is_current: bool = True


@dataclass
class _State:
    """What a running sequence keeps: its keys and values, and the adapter version it began with."""

    cache: Any
    version: _Version | None
    encoded: Any = None  # the encoder's output, where the model has an encoder


class TorchEngine(LoadedModel):
    """See `homespun.engines.engine.Engine`; `close` it, or use it in a `with` block."""

    def __init__(
        self,
        path: Path,
        options: EngineOptions = EngineOptions(),
        *,
        cache_path: Path | None = None,
        progress: Progress = no_progress,
    ) -> None:
        """Load a GGUF file or a Hugging Face folder.

        Args:
            path: the file or folder.
            options: threads, window, device (auto takes a GPU if there is one) and precision (auto is
                float32 on a processor); the key-value cache grows as needed.
            cache_path: not used: nothing is kept on disk.

        Raises:
            ModelFileError, TokenizerError: broken files, or a tokenizer that is not the model's.
            EngineError: torch is not installed, or a structure or option that this engine does not take.
        """
        torch = import_torch()
        progress("loading the model into torch", 0, None)
        check_sizes(options)
        self._device = _chosen_device(torch, options.device)
        precision = chosen_precision(options, self._device)
        n_threads = options.threads or usable_threads()
        torch.set_num_threads(n_threads)
        load = load_folder if path.is_dir() else load_gguf
        parts = load(path, precision, self._device)
        self._window = checked_window(options.window, parts)
        self._tokenizer = parts.tokenizer
        self._template = parts.template
        self._check_adapter = parts.check_adapter
        self._start_id = parts.decoder_start_id
        self._model: Any = parts.model
        self._takes = frozenset(inspect.signature(parts.model.forward).parameters)
        self._has_peft = False
        self._versions: dict[str, _Version] = {}
        self._n_versions = 0
        self._states: dict[int, _State] = {}
        self._lock = threading.RLock()
        is_exact = precision == "f32"
        notes = ("float32 is exact mode",) if is_exact and options.mode != "exact" else ()
        self._facts = EngineFacts(
            engine="torch",
            version=torch.__version__,
            model_path=str(path),
            architecture=parts.architecture,
            mode="exact" if is_exact else "fast",
            window=self._window,
            threads=n_threads,
            precision=NAMES[precision],
            cache_precision="f32" if is_exact else "bf16",
            processor=processor_name() if self._device == "cpu" else _gpu_name(torch, self._device),
            loss_nats=0.0 if is_exact else None,
            notes=notes,
        )

    @property
    def module(self) -> Any:
        """The model itself: transformers', or PEFT's around it once an adapter was loaded. To be looked at."""
        return self._model

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters."""
        return tuple(self._versions)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Write the answers one after the other. See `Engine.generate`."""
        streams = [self.stream(request) for request in requests]
        for stream in streams:
            for _ in stream:
                pass
        return [stream.result for stream in streams]

    def stream(self, request: Request) -> GenerationStream:
        """Write one answer step by step. See `Engine.stream`."""
        check_options(request.options)
        check_tokens(request.token_ids, room=1, window=self._window, n_vocab=self._tokenizer.n_vocab)
        self._current(request.adapter)
        return SteppedStream(request, self._tokenizer, self._window, self._advance, self._leave)

    def score(self, requests: Sequence[ScoreRequest]) -> list[FloatArray]:
        """Log-probabilities of given tokens. See `Engine.score`."""
        for request in requests:
            check_score(request, window=self._window, n_vocab=self._tokenizer.n_vocab)
            self._current(request.adapter)
        return [self._read(Reading(r.token_ids, r.n_scored, r.adapter, whole=False)) for r in requests]

    def distributions(
        self, token_ids: Sequence[int], *, last: int = 1, adapter: str | None = None
    ) -> FloatArray:
        """Log-probabilities of every next token. See `Engine.distributions`."""
        check_last(token_ids, last, window=self._window, n_vocab=self._tokenizer.n_vocab)
        return self._read(Reading(token_ids, last, adapter, whole=True))

    def load_adapter(self, name: str, path: Path) -> None:
        """Make a PEFT LoRA folder available. See `Engine.load_adapter`."""
        self._check_adapter(path)
        peft = import_peft()
        with self._lock:
            self._check_open()
            self._n_versions += 1
            version = _Version(f"v{self._n_versions}")
            if self._has_peft:
                self._model.load_adapter(str(path), adapter_name=version.name)
            else:
                self._model = peft.PeftModel.from_pretrained(
                    self._model, str(path), adapter_name=version.name
                )
                self._has_peft = True
            self._model.eval()
            self._retire(name)
            self._versions[name] = version

    def remove_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; running ones end with it."""
        with self._lock:
            self._current(name)
            self._retire(name)

    def close(self) -> None:
        """Free the model."""
        with self._lock:
            self._model = None
            self._states.clear()

    def _read(self, reading: Reading) -> FloatArray:
        try:
            while not reading.is_finished:
                self._advance(reading)
        finally:
            self._leave(reading)
        return reading.result()

    def _advance(self, sequence: RunningSequence) -> None:
        """Compute the next tokens of one sequence, and give it the logits that it asked for."""
        with self._lock:
            self._check_open()
            state = self._states.get(id(sequence)) or self._enter(sequence)
            self._select(state.version)
            if self._start_id is not None and state.encoded is None:
                n_new = sequence.first_asked + 1
                state.encoded = self._encode(sequence.token_ids[:n_new])
                logits = self._forward([self._start_id], 0, range(1), state)
            else:
                n_new = _n_next(sequence)
                new = sequence.token_ids[sequence.n_computed : sequence.n_computed + n_new]
                logits = self._forward(new, sequence.n_computed, sequence.asked(n_new), state)
            sequence.n_computed += n_new
        sequence.take(logits)

    def _enter(self, sequence: RunningSequence) -> _State:
        from transformers import DynamicCache, EncoderDecoderCache

        version = self._current(sequence.adapter)
        is_decoder = self._start_id is None
        cache: Any = DynamicCache() if is_decoder else EncoderDecoderCache(DynamicCache(), DynamicCache())
        state = _State(cache, version)
        if version is not None:
            version.n_running += 1
        self._states[id(sequence)] = state
        return state

    def _leave(self, sequence: RunningSequence) -> None:
        with self._lock:
            state = self._states.pop(id(sequence), None)
            if state is not None and state.version is not None:
                state.version.n_running -= 1
                self._drop_unused(state.version)

    def _encode(self, token_ids: Sequence[int]) -> Any:
        """The encoder's output for a prompt, which ends with the end token as in training."""
        import torch

        eos = self._tokenizer.eos_id
        ids = list(token_ids) if eos is None or token_ids[-1] == eos else [*token_ids, eos]
        with torch.inference_mode():
            return self._model.get_encoder()(torch.tensor([ids], device=self._device))

    def _forward(self, token_ids: Sequence[int], n_past: int, asked: range, state: _State) -> FloatArray:
        """Logits (asked, n_vocab) of new tokens after n_past ones in the state's cache."""
        import torch

        inputs = torch.tensor([list(token_ids)], device=self._device)
        kept = torch.tensor(list(asked) or [len(token_ids) - 1], device=self._device)
        given: dict[str, Any] = {"cache": state.cache, "use_cache": True}
        if state.encoded is not None:
            given |= {"encoder_outputs": state.encoded, "decoder_input_ids": inputs}
        else:
            given["input_ids"] = inputs
            if "position_ids" in self._takes:
                given["position_ids"] = torch.arange(n_past, n_past + len(token_ids), device=self._device)[
                    None
                ]
        if "logits_to_keep" in self._takes:
            given["logits_to_keep"] = kept
        with torch.inference_mode():
            rows = self._model(**given).logits[0]
            if "logits_to_keep" not in self._takes:
                rows = rows[kept]
        logits: FloatArray = rows.float().cpu().numpy()
        return logits if len(asked) else np.empty((0, logits.shape[1]), np.float32)

    def _select(self, version: _Version | None) -> None:
        if not self._has_peft:
            return
        if version is None:
            self._model.base_model.disable_adapter_layers()
        else:
            self._model.base_model.enable_adapter_layers()
            self._model.set_adapter(version.name)

    def _current(self, name: str | None) -> _Version | None:
        if name is None:
            return None
        if name not in self._versions:
            raise unknown_adapter(name, self.adapters)
        return self._versions[name]

    def _retire(self, name: str) -> None:
        version = self._versions.pop(name, None)
        if version is not None:
            version.is_current = False
            self._drop_unused(version)

    def _drop_unused(self, version: _Version) -> None:
        # PEFT cannot be left without any adapter, so the last one stays, unreachable, until the next comes.
        if not version.is_current and not version.n_running and self._model is not None:
            others = [name for name in self._model.peft_config if name != version.name]
            if others:
                self._model.set_adapter(others[0])
                self._model.delete_adapter(version.name)

    def _check_open(self) -> None:
        if self._model is None:
            raise EngineError("the engine is closed")


def _n_next(sequence: RunningSequence) -> int:
    """Tokens to compute now: a bounded number, with a bounded number of wanted logits."""
    n_new = min(sequence.n_waiting, READ_TOKENS)
    if len(sequence.asked(n_new)) > ASKED_TOKENS:
        n_new = max(sequence.first_asked - sequence.n_computed, 0) + ASKED_TOKENS
    return n_new


def _chosen_device(torch: Any, device: Device) -> str:
    """A device that is there.

    Raises:
        EngineError: one was asked for that is not.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if not there[device]:
        usable = ", ".join(name for name, is_there in there.items() if is_there)
        raise EngineError(f"device {device!r} is not available here; available: {usable}")
    return device


def _gpu_name(torch: Any, device: str) -> str:
    return str(torch.cuda.get_device_name()) if device == "cuda" else "Apple GPU"
