"""llama.cpp's server as the engine needs it: one next token at a time, with adapters, started as needed."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.engines.checks import unknown_adapter
from homespun.engines.engine import Candidate
from homespun.engines.errors import AdapterError, EngineError
from homespun.engines.llama_cpp_process import LlamaCppProcess, ServerSettings
from homespun.engines.llama_cpp_slots import SlotTable

FORCE = 1e6  # added to a logit, so that this token is drawn


@dataclass
class Version:
    """One loaded adapter, as the file that llama.cpp reads."""

    number: int
    path: Path


@dataclass(frozen=True)
class Drawn:
    """The server's answer for one position."""

    token_id: int
    log_probability: float | None  # None: the token is a part of a character
    best: tuple[Candidate, ...]
    n_cached: int


class LlamaCppServer:
    """The child process, its slots, and the adapters that it is started with. Several threads may use it."""

    def __init__(self, settings: ServerSettings) -> None:
        """Start the server; raises an EngineError where llama.cpp refuses the model."""
        self.settings = settings
        self._versions: dict[str, Version] = {}
        self._running: dict[int, Version] = {}
        self._lock = threading.RLock()  # over the process and the versions; never held while it computes
        self._idle = threading.Condition(self._lock)
        self._n_asking = 0
        self._is_restarting = False
        self._is_closed = False
        self._process: LlamaCppProcess | None = None
        self._start()

    @property
    def process(self) -> LlamaCppProcess:
        """The process of now."""
        assert self._process is not None
        return self._process

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters."""
        return tuple(self._versions)

    def put_adapter(self, name: str, version: Version) -> None:
        """Make an adapter file available under a name; restarts the process.

        Raises:
            AdapterError: llama.cpp refuses it; what was loaded before stays.
        """
        with self._lock:
            self._check_open()
            before = self._versions.get(name)
            self._versions[name] = version
            try:
                self._restart()
            except EngineError as error:
                self._versions.pop(name)
                if before is not None:
                    self._versions[name] = before
                raise AdapterError(f"llama.cpp refuses the adapter ({error.what})") from None

    def remove_adapter(self, name: str) -> None:
        """Take an adapter away from new requests."""
        with self._lock:
            self.current(name)
            del self._versions[name]

    def enter(self, key: int, adapter: str | None) -> Version | None:
        """The adapter version of a running answer: the one that was current when it began."""
        with self._lock:
            version = self._running.get(key)
            if version is None:
                version = self.current(adapter)
                if version is not None:
                    self._running[key] = version
            return version

    def leave(self, key: int) -> None:
        """A running answer has ended."""
        with self._lock:
            self._running.pop(key, None)

    @contextmanager
    def using(self, adapter: str | None) -> Iterator[Version | None]:
        """The current version of an adapter, kept loaded while the block runs."""
        key = object()
        try:
            yield self.enter(id(key), adapter)
        finally:
            self.leave(id(key))

    def current(self, name: str | None) -> Version | None:
        """The version that a new request gets; None is the base model.

        Raises:
            AdapterError: no adapter of that name.
        """
        if name is None:
            return None
        if name not in self._versions:
            raise unknown_adapter(name, self.adapters)
        return self._versions[name]

    def ask(
        self,
        token_ids: Sequence[int],
        version: Version | None,
        *,
        n_best: int,
        force: int | None = None,
        draw: Mapping[str, Any] | None = None,
    ) -> Drawn:
        """One next token: `force`d, or drawn by the server's sampler with the settings `draw`."""
        told = draw or {"temperature": 0.0, "samplers": ["temperature"], "logit_bias": [[force, FORCE]]}
        answer = self._complete(token_ids, version, 1, n_best, told)
        entries = answer.get("completion_probabilities") or []
        return _drawn(int(answer["tokens"][0]), entries[0] if entries else None, _n_cached(answer))

    def write(
        self,
        token_ids: Sequence[int],
        version: Version | None,
        n_tokens: int,
        *,
        n_best: int,
        draw: Mapping[str, Any],
        are_whole: Callable[[Sequence[int]], list[bool]],
    ) -> list[Drawn]:
        """Up to n next tokens in one request; fewer where the server's model ends the text.

        Args:
            are_whole: for written tokens, after which of them the text ends with a whole character. The server
                reports probabilities for these only.
        """
        answer = self._complete(token_ids, version, n_tokens, n_best, draw)
        tokens = [int(token) for token in answer["tokens"]]
        entries = answer.get("completion_probabilities") or []
        is_whole = are_whole(tokens)
        whole = [token for token, yes in zip(tokens, is_whole, strict=True) if yes]
        if whole != [int(entry["id"]) for entry in entries]:  # its idea of a character is another one
            is_whole = [False] * len(tokens)
        left = iter(entries)
        n_cached = _n_cached(answer)
        return [
            _drawn(token, next(left) if yes else None, n_cached)
            for token, yes in zip(tokens, is_whole, strict=True)
        ]

    def _complete(
        self,
        token_ids: Sequence[int],
        version: Version | None,
        n_tokens: int,
        n_best: int,
        draw: Mapping[str, Any],
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "prompt": list(token_ids),
            "n_predict": n_tokens,
            "n_probs": max(n_best, 1),
            "post_sampling_probs": False,
            "return_tokens": True,
            "cache_prompt": True,
            "stream": False,
            "response_fields": ["tokens", "completion_probabilities", "timings/cache_n"],
            **draw,
        }
        number = version.number if version is not None else 0
        with self._slots.lease(token_ids, number) as slot:
            return self._post(body, slot.number, version)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._is_closed = True
            if self._process is not None:
                self._process.close()
                self._process = None

    def _post(self, body: dict[str, Any], slot: int, version: Version | None) -> dict[str, Any]:
        """Ask the server; if it has died, this request fails and the next one starts it again."""
        with self._lock:
            while self._is_restarting:
                self._idle.wait()
            self._check_open()
            if self._process is None or not self._process.is_alive:
                self._start()
            process = self._process
            assert process is not None
            scales = [{"id": i, "scale": float(loaded is version)} for i, loaded in enumerate(self._loaded)]
            self._n_asking += 1
        try:
            return process.ask("/completion", {**body, "id_slot": slot, "lora": scales})
        except ConnectionError:
            raise EngineError(
                "llama.cpp ended while it was computing",
                where=str(self.settings.model_path),
                remedy="Ask again: the next request starts it anew. If it ends again, use a smaller window.",
            ) from None
        finally:
            with self._lock:
                self._n_asking -= 1
                self._idle.notify_all()

    def _start(self) -> None:
        """Start the server with the adapters of now, and those that running answers began with."""
        kept = {version.number: version for version in [*self._versions.values(), *self._running.values()]}
        self._loaded = list(kept.values())
        if self._process is not None:
            self._process.close()
        self._slots = SlotTable(self.settings.n_slots)
        self._process = LlamaCppProcess(self.settings, [version.path for version in self._loaded])

    def _restart(self) -> None:
        """Start anew with the adapters of now; requests in flight end first, the others wait."""
        while self._is_restarting:
            self._idle.wait()
        self._is_restarting = True
        try:
            while self._n_asking:
                self._idle.wait()
            self._check_open()  # closed while it waited: no process may be left behind
            self._start()
        finally:
            self._is_restarting = False
            self._idle.notify_all()

    def _check_open(self) -> None:
        if self._is_closed:
            raise EngineError("the engine is closed")


def _drawn(token_id: int, entry: Mapping[str, Any] | None, n_cached: int) -> Drawn:
    if entry is None:
        return Drawn(token_id, None, (), n_cached)
    best = tuple(Candidate(int(other["id"]), float(other["logprob"])) for other in entry["top_logprobs"])
    return Drawn(token_id, float(entry["logprob"]), best, n_cached)


def _n_cached(answer: Mapping[str, Any]) -> int:
    return int(answer.get("timings/cache_n", answer.get("cache_n", 0)) or 0)
