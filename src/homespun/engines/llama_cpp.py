"""The llama.cpp engine: every GGUF that llama.cpp runs, behind the `Engine` protocol.

The server writes a few tokens a request, more the longer an answer gets, with the prompt as ids; its slots keep
the keys and values, so that only what is new is computed. Ids, characters, stop texts and cancelling stay ours:
tokens are taken one by one, and those after an end are dropped. Probabilities are those of the raw logits; for
a token that is only a part of a character the server reports none, and they are asked for on their own.
Where an answer is constrained, every token is drawn here from the whole distribution.
"""

import codecs
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from homespun.engines.checks import check_last, check_score, check_sizes, check_tokens, checked_window
from homespun.engines.engine import (
    EngineFacts,
    EngineOptions,
    FloatArray,
    GenerateOptions,
    Generation,
    GenerationStream,
    Request,
    ScoreRequest,
)
from homespun.engines.errors import ConstraintError, EngineError
from homespun.engines.llama_cpp_adapter import write_adapter_gguf
from homespun.engines.llama_cpp_process import LlamaCppProcess, ServerSettings
from homespun.engines.llama_cpp_server import Drawn, LlamaCppServer, Version
from homespun.engines.loaded import LoadedModel
from homespun.engines.openvino.adapters import read_adapter
from homespun.engines.processor import processor_name, usable_threads
from homespun.engines.sampling import check_options, log_softmax
from homespun.engines.sequence import Writing
from homespun.engines.stepping import SteppedStream
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress

DEFAULT_CACHE_TOKENS = 32768
MAX_SLOTS = 16
MAX_CHUNK = 16
_CHUNKS = ((1, 1), (5, 4), (13, 8))  # tokens asked for at once while fewer than so many are written

_Result = TypeVar("_Result")


class LlamaCppEngine(LoadedModel):
    """See `homespun.engines.engine.Engine`; `close` it, or use it in a `with` block.

    Scores cost one small request a token, whole distributions one large request a position (0.1 to 1 s with
    a vocabulary of 50,000). A new adapter restarts the server (it takes adapters only at its start); answers
    that are being written go on after that.
    """

    def __init__(
        self,
        path: Path,
        options: EngineOptions = EngineOptions(),
        *,
        cache_path: Path | None = None,
        progress: Progress = no_progress,
    ) -> None:
        """Load a GGUF file.

        Args:
            path: the file.
            options: in exact mode keys, values and attention stay in float32 (else float16 and its fused
                attention); the products are llama.cpp's own in both. On a GPU that the wheel is built for, all
                layers run there (not tried on one).
            cache_path: not used: llama.cpp reads the file itself.

        Raises:
            ModelFileError: a broken file.
            EngineError: llama.cpp is not installed or refuses the model.
        """
        progress("starting llama.cpp", 0, None)
        self._file: GGUFFile = read_gguf(path)
        self._config = ModelConfig.from_gguf(self._file)
        self._tokenizer = Tokenizer.from_gguf(self._file)
        self._template = ChatTemplate.from_gguf(self._file, self._tokenizer)
        check_sizes(options)
        self._window = checked_window(options.window, self._config)
        n_slots = _n_slots(self._window, options.cache_tokens)
        self._settings = ServerSettings(
            model_path=self._file.path.absolute(),  # of a split model, the first part under its own name
            n_context=n_slots
            * (self._window // 256 + 1)
            * 256,  # steps of 256, and room for one token to draw
            n_slots=n_slots,
            n_threads=options.threads or usable_threads(),
            cache_type="f32" if options.mode == "exact" else "f16",
            device=options.device,
        )
        self._folder = tempfile.TemporaryDirectory(prefix="homespun-llama-cpp-")
        self._forced_id = self._tokenizer.encode(".")[-1]
        self._n_versions = 0
        self._written: dict[int, deque[Drawn]] = {}
        self._server = LlamaCppServer(self._settings)
        self._facts = self._read_facts(path, options)

    @property
    def process(self) -> LlamaCppProcess:
        """The running server, for what only llama.cpp itself can say (its tokenizer, its template engine)."""
        return self._server.process

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters."""
        return self._server.adapters

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Write all answers, as many at once as there are slots. See `Engine.generate`."""
        streams = [self._begin(request) for request in requests]

        def cancel() -> None:
            for stream in streams:
                stream.cancel()

        self._side_by_side([stream.run for stream in streams], cancel)
        return [stream.result for stream in streams]

    def stream(self, request: Request) -> GenerationStream:
        """Write one answer step by step. See `Engine.stream`."""
        return self._begin(request)

    def score(self, requests: Sequence[ScoreRequest]) -> list[FloatArray]:
        """Log-probabilities of given tokens. See `Engine.score`."""
        for request in requests:
            check_score(request, window=self._window, n_vocab=self._tokenizer.n_vocab)
            self._server.current(request.adapter)
        return self._side_by_side([partial(self._score, request) for request in requests])

    def distributions(
        self, token_ids: Sequence[int], *, last: int = 1, adapter: str | None = None
    ) -> FloatArray:
        """Log-probabilities of every next token. See `Engine.distributions`."""
        check_last(token_ids, last, window=self._window, n_vocab=self._tokenizer.n_vocab)
        ends = range(len(token_ids) - last + 1, len(token_ids) + 1)
        with self._server.using(adapter) as version:
            return np.stack([self._distribution(token_ids[:end], version) for end in ends])

    def load_adapter(self, name: str, path: Path) -> None:
        """Make a PEFT LoRA folder available; restarts the server. See `Engine.load_adapter`."""
        pairs = read_adapter(path, self._file, self._config.n_layers)
        self._n_versions += 1
        version = Version(self._n_versions, Path(self._folder.name) / f"{self._n_versions}.gguf")
        write_adapter_gguf(pairs, self._file, self._config, version.path)
        self._server.put_adapter(name, version)

    def load_adapter_file(self, name: str, path: Path) -> None:
        """Make an adapter GGUF available as it is; restarts the server."""
        self._n_versions += 1
        self._server.put_adapter(name, Version(self._n_versions, path))

    def remove_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; running ones end with it."""
        self._server.remove_adapter(name)

    def close(self) -> None:
        """End the server."""
        self._server.close()
        self._folder.cleanup()

    def _begin(self, request: Request) -> "_Stream":
        check_options(request.options)
        check_tokens(request.token_ids, room=1, window=self._window, n_vocab=self._tokenizer.n_vocab)
        self._server.current(request.adapter)

        if request.options.repeat_penalty != 1 and request.options.is_constrained:
            raise ConstraintError("llama.cpp does not take a repeat penalty together with a constraint here")

        def advance(sequence: Writing) -> None:
            self._advance(sequence, request.options)

        return _Stream(request, self._tokenizer, self._window, advance, self._leave)

    def _side_by_side(
        self, tasks: Sequence[Callable[[], _Result]], cancel: Callable[[], None] = lambda: None
    ) -> list[_Result]:
        """All results; if one task fails or the caller is interrupted, the others are not waited out."""
        if len(tasks) == 1:
            return [tasks[0]()]
        with ThreadPoolExecutor(self._settings.n_slots) as pool:
            futures = [pool.submit(task) for task in tasks]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                cancel()
                raise
            return [future.result() for future in futures]

    def _advance(self, sequence: Writing, options: GenerateOptions) -> None:
        running = self._server.enter(id(sequence), sequence.adapter)
        if options.is_constrained:
            sequence.take(self._distribution(sequence.token_ids, running)[None])
            return
        drawn = self._next(sequence, running, options)
        if sequence.n_computed == 0:
            sequence.n_cached = drawn.n_cached
        sequence.n_computed = len(sequence.token_ids)
        if not sequence.is_cancelled:
            if drawn.log_probability is None:
                drawn = self._with_probability(drawn, sequence.token_ids, running)
            assert drawn.log_probability is not None
            sequence.add(drawn.token_id, drawn.log_probability, drawn.best[: options.n_best])

    def _next(self, sequence: Writing, version: Version | None, options: GenerateOptions) -> Drawn:
        """The next of the tokens that the server has written, which writes on when they are used up."""
        written = self._written.setdefault(id(sequence), deque())
        if not written:
            ids = sequence.token_ids
            n_tokens = chunk_tokens(sequence.n_written, sequence.n_total - len(ids))
            draw = _draw(options, sequence, n_tokens)
            written += self._server.write(
                ids, version, n_tokens, n_best=options.n_best, draw=draw, are_whole=self._are_whole
            )
        return written.popleft()

    def _are_whole(self, token_ids: Sequence[int]) -> list[bool]:
        """After which of these tokens their text ends with a whole character."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        whole = []
        for token_id in token_ids:
            decoder.decode(
                b"" if self._tokenizer.is_control(token_id) else self._tokenizer.token_bytes(token_id)
            )
            whole.append(not decoder.getstate()[0])
        return whole

    def _with_probability(self, drawn: Drawn, before: Sequence[int], version: Version | None) -> Drawn:
        n_vocab = self._config.vocab_size
        told = self._server.ask(before, version, n_best=n_vocab, force=self._forced_id)
        value = next(c.log_probability for c in told.best if c.token_id == drawn.token_id)
        return replace(drawn, log_probability=value, best=told.best)

    def _leave(self, sequence: Writing) -> None:
        self._written.pop(id(sequence), None)
        self._server.leave(id(sequence))

    def _score(self, request: ScoreRequest) -> FloatArray:
        ids = request.token_ids
        with self._server.using(request.adapter) as version:
            places = range(len(ids) - request.n_scored, len(ids))
            return np.array([self._score_token(ids[:i], ids[i], version) for i in places], np.float32)

    def _score_token(self, before: Sequence[int], token: int, version: Version | None) -> float:
        value = self._server.ask(before, version, n_best=1, force=token).log_probability
        return float(self._distribution(before, version)[token]) if value is None else value

    def _distribution(self, token_ids: Sequence[int], version: Version | None) -> FloatArray:
        n_vocab = self._config.vocab_size
        best = self._server.ask(token_ids, version, n_best=n_vocab, force=self._forced_id).best
        row = np.full(n_vocab, -np.inf, np.float32)
        row[[candidate.token_id for candidate in best]] = [candidate.log_probability for candidate in best]
        return log_softmax(row)  # its own sum in float32 is off by up to 1e-4

    def _read_facts(self, path: Path, options: EngineOptions) -> EngineFacts:
        process = self._server.process
        settings = process.ask("/props")["default_generation_settings"]
        n_context = int(settings["n_ctx"])
        if n_context < self._window:
            raise EngineError(f"llama.cpp gives {n_context} tokens a slot; {self._window} were asked for")
        kinds = {tensor.ggml_type for tensor in self._file.tensors.values() if len(tensor.shape) > 1}
        quantized = kinds - {"F32", "F16", "BF16"}
        precision = "f32, int8 activations" if quantized else "f32" if kinds == {"F32"} else "f16"
        is_exact = options.mode == "exact" and precision == "f32"
        notes = () if is_exact or options.mode == "fast" else ("llama.cpp rounds activations: not exact",)
        return EngineFacts(
            engine="llama.cpp",
            version=f"xllamacpp {process.version}",
            model_path=str(path),
            architecture=self._config.architecture,
            mode="exact" if is_exact else "fast",
            window=self._window,
            threads=self._settings.n_threads,
            precision=precision,
            cache_precision=self._settings.cache_type,
            processor=", ".join(process.gpus) or processor_name(),
            notes=notes,
        )


class _Stream(SteppedStream):
    """A stepped stream that can also be run to its end."""

    def run(self) -> None:
        """Write the whole answer."""
        for _ in self:
            pass


def _n_slots(window: int, cache_tokens: int) -> int:
    """Requests that can run at once, each with the whole window."""
    return max(1, min(MAX_SLOTS, (cache_tokens or DEFAULT_CACHE_TOKENS) // window))


def chunk_tokens(n_written: int, n_left: int) -> int:
    """Tokens to ask for at once: 1 for the first words, then more. Only the place decides, so that the same
    seed gives the same text."""
    n_tokens = next((size for limit, size in _CHUNKS if n_written < limit), MAX_CHUNK)
    return max(1, min(n_tokens, n_left))


def _draw(options: GenerateOptions, sequence: Writing, n_tokens: int) -> dict[str, Any]:
    """The server's sampler, in our order, with a seed of its own for each request."""
    if options.temperature == 0 and options.repeat_penalty == 1:
        return {"samplers": ["temperature"], "temperature": 0.0}
    seeds = np.random.SeedSequence([sequence.seed, len(sequence.token_ids)])
    return {
        "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"],
        "temperature": options.temperature,
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "repeat_penalty": options.repeat_penalty,
        "repeat_last_n": len(sequence.token_ids) + n_tokens,
        "seed": int(seeds.generate_state(1)[0]) % (2**32 - 1),  # the last one means: any
    }
