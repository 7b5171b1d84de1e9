"""The reference engine: transformers in float32 on the exactly unpacked weights, adapters through PEFT.

It is what the other engines are measured against, and the way onto a GPU. Requests are computed one
after the other, so an answer never depends on what else runs.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from homespun.engines.openvino.adapters import read_adapter
from homespun.engines.processor import processor_name, usable_threads
from homespun.engines.sampling import check_options
from homespun.engines.sequence import Reading, RunningSequence
from homespun.engines.stepping import SteppedStream
from homespun.engines.torch_model import INSTALL, build_model, import_torch
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
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
    version: _Version | None = field(default=None)


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
        """Load a GGUF file. It always computes in float32, whatever mode is asked for.

        Args:
            path: the file.
            options: threads, window and device (auto takes a GPU if there is one); the key-value cache grows as needed.
            cache_path: not used: nothing is kept on disk.

        Raises:
            ModelFileError: a broken file.
            EngineError: torch is not installed, or a structure or option that this engine does not take.
        """
        torch = import_torch()
        progress("loading the model into torch", 0, None)
        file = read_gguf(path)
        config = ModelConfig.from_gguf(file)
        check_sizes(options)
        self._window = checked_window(options.window, config)
        self._tokenizer = Tokenizer.from_gguf(file)
        self._template = ChatTemplate.from_gguf(file, self._tokenizer)
        self._device = _chosen_device(torch, options.device)
        n_threads = options.threads or usable_threads()
        torch.set_num_threads(n_threads)
        self._file = file
        self._n_layers = config.n_layers
        self._model: Any = build_model(file, config, self._device)
        self._has_peft = False
        self._versions: dict[str, _Version] = {}
        self._n_versions = 0
        self._states: dict[int, _State] = {}
        self._lock = threading.RLock()
        notes = () if options.mode == "exact" else ("this engine knows only exact mode",)
        self._facts = EngineFacts(
            engine="torch",
            version=torch.__version__,
            model_path=str(path),
            architecture=config.architecture,
            mode="exact",
            window=self._window,
            threads=n_threads,
            precision="f32",
            cache_precision="f32",
            processor=processor_name() if self._device == "cpu" else _gpu_name(torch, self._device),
            loss_nats=0.0,
            notes=notes,
        )

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
        read_adapter(path, self._file, self._n_layers)  # PEFT itself leaves out what does not fit
        try:
            from peft import PeftModel
        except ImportError:
            raise EngineError("adapters need peft, which is not installed", remedy=INSTALL) from None
        with self._lock:
            self._check_open()
            self._n_versions += 1
            version = _Version(f"v{self._n_versions}")
            if self._has_peft:
                self._model.load_adapter(str(path), adapter_name=version.name)
            else:
                self._model = PeftModel.from_pretrained(self._model, str(path), adapter_name=version.name)
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
            n_new = min(sequence.n_waiting, READ_TOKENS)
            if len(sequence.asked(n_new)) > ASKED_TOKENS:
                n_new = max(sequence.first_asked - sequence.n_computed, 0) + ASKED_TOKENS
            new = sequence.token_ids[sequence.n_computed : sequence.n_computed + n_new]
            logits = self._forward(new, sequence.n_computed, sequence.asked(n_new), state)
            sequence.n_computed += n_new
        sequence.take(logits)

    def _enter(self, sequence: RunningSequence) -> _State:
        from transformers import DynamicCache

        state = _State(DynamicCache(), self._current(sequence.adapter))
        if state.version is not None:
            state.version.n_running += 1
        self._states[id(sequence)] = state
        return state

    def _leave(self, sequence: RunningSequence) -> None:
        with self._lock:
            state = self._states.pop(id(sequence), None)
            if state is not None and state.version is not None:
                state.version.n_running -= 1
                self._drop_unused(state.version)

    def _forward(self, token_ids: Sequence[int], n_past: int, asked: range, state: _State) -> FloatArray:
        """Logits (asked, n_vocab) of new tokens after n_past ones in the state's cache."""
        import torch

        inputs = torch.tensor([list(token_ids)], device=self._device)
        positions = torch.arange(n_past, n_past + len(token_ids), device=self._device)[None]
        kept = torch.tensor(list(asked) or [len(token_ids) - 1], device=self._device)
        self._select(state.version)
        with torch.inference_mode():
            output = self._model(
                input_ids=inputs,
                position_ids=positions,
                cache=state.cache,
                use_cache=True,
                logits_to_keep=kept,
            )
        logits: FloatArray = output.logits[0].float().cpu().numpy()
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
