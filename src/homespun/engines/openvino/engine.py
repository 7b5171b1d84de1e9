"""The OpenVINO engine: one GGUF file, imported exactly, behind the `Engine` protocol."""

import queue
from collections.abc import Iterator, Sequence
from pathlib import Path

import openvino as ov

from homespun.engines.checks import check_last, check_score, check_sizes, check_tokens, checked_window
from homespun.engines.engine import (
    EngineFacts,
    EngineOptions,
    FloatArray,
    Generation,
    GenerationStream,
    Request,
    ScoreRequest,
    Step,
)
from homespun.engines.errors import EngineError
from homespun.engines.loaded import LoadedModel
from homespun.engines.openvino.adapters import read_adapter
from homespun.engines.openvino.blocks import BLOCK_TOKENS, BlockPool, blocks_for
from homespun.engines.openvino.draft import DraftModel, check_same_tokens
from homespun.engines.openvino.guesser import Guesser
from homespun.engines.openvino.loop import StepLoop
from homespun.engines.openvino.measure import choose_fast
from homespun.engines.openvino.paged import PagedModel
from homespun.engines.openvino.roster import AdapterRoster
from homespun.engines.openvino.settings import PRECISIONS
from homespun.engines.openvino.support import check_supported
from homespun.engines.processor import available_memory_bytes, processor_name, usable_threads
from homespun.engines.sampling import check_options
from homespun.engines.sequence import Reading, RunningSequence, Writing
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.sizing.memory import cache_bytes_per_token

DEFAULT_CACHE_TOKENS = 32768
CACHE_SHARE = 0.25  # of the memory that is free when the model is loaded


class OpenVINOEngine(LoadedModel):
    """See `homespun.engines.engine.Engine`; `close` it, or use it in a `with` block."""

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
            options: mode, threads, window and cache size.
            cache_path: folder for the imported graph and the measured choice of precision; None: no cache.

        Raises:
            ModelFileError: a broken file.
            EngineError: an architecture, format or option that this engine does not take.
        """
        file = read_gguf(path)
        config = ModelConfig.from_gguf(file)
        check_supported(file, config)
        self._tokenizer = Tokenizer.from_gguf(file)
        self._template = ChatTemplate.from_gguf(file, self._tokenizer)
        n_threads = options.threads or usable_threads()
        check_sizes(options)
        window = checked_window(options.window, config)
        if options.mode == "exact":
            precision, loss = PRECISIONS["f32"], None
        else:
            precision, loss = choose_fast(file, config, self._tokenizer, n_threads, cache_path, progress)
        n_blocks = _n_cache_blocks(options, config, window, precision.cache)
        pool = BlockPool(n_blocks)
        self._window = min(window, n_blocks * BLOCK_TOKENS)
        model = PagedModel(file, config, precision, n_threads, window, n_blocks, cache_path)
        self._roster = AdapterRoster(file, config.n_layers, model, pool)
        draft = None
        if options.draft and options.guess != "off":
            draft = _load_draft(
                options, self._tokenizer, n_threads, self._window, n_blocks, cache_path, progress
            )
        self._loop = StepLoop(model, pool, self._roster, Guesser(options.guess, draft))
        self._paged = model
        self._file = file
        self._n_layers = config.n_layers
        self._facts = EngineFacts(
            engine="openvino",
            version=ov.get_version().split("-")[0],
            model_path=str(path),
            architecture=config.architecture,
            mode=options.mode,
            window=self._window,
            threads=n_threads,
            precision=model.effective_precision,
            cache_precision=model.cache_precision,
            processor=processor_name(),
            loss_nats=loss,
            notes=() if draft is None else (f"guesses ahead by {Path(options.draft).name}",),
        )

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters."""
        return self._roster.names

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Write all answers in shared batches. See `Engine.generate`."""
        sequences = [self._writing(request, None) for request in requests]
        self._run(sequences)
        return [sequence.result() for sequence in sequences]

    def stream(self, request: Request) -> GenerationStream:
        """Write one answer step by step. See `Engine.stream`."""
        return _Stream(self, request)

    def score(self, requests: Sequence[ScoreRequest]) -> list[FloatArray]:
        """Log-probabilities of given tokens. See `Engine.score`."""
        for request in requests:
            check_score(request, window=self._window, n_vocab=self._tokenizer.n_vocab)
        sequences = [Reading(r.token_ids, r.n_scored, r.adapter, whole=False) for r in requests]
        self._run(sequences)
        return [sequence.result() for sequence in sequences]

    def distributions(
        self, token_ids: Sequence[int], *, last: int = 1, adapter: str | None = None
    ) -> FloatArray:
        """Log-probabilities of every next token. See `Engine.distributions`."""
        check_last(token_ids, last, window=self._window, n_vocab=self._tokenizer.n_vocab)
        sequence = Reading(token_ids, last, adapter, whole=True)
        self._run([sequence])
        return sequence.result()

    def prepare_adapters(self) -> None:
        """Begin to compile the graph with adapters. See `Engine.prepare_adapters`."""
        self._paged.begin_bank()

    def load_adapter(self, name: str, path: Path) -> None:
        """Make a PEFT LoRA folder available. See `Engine.load_adapter`."""
        pairs = read_adapter(path, self._file, self._n_layers)
        self._paged.begin_bank().result()  # waited for here, while answers are written on
        self._loop.call(lambda: self._roster.put(name, pairs))

    def remove_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; running ones end with it."""
        self._loop.call(lambda: self._roster.remove(name))

    def close(self) -> None:
        """End the step loop and free the model."""
        self._loop.close()

    def _writing(self, request: Request, on_step: "queue.SimpleQueue[Step | None] | None") -> Writing:
        check_options(request.options)
        check_tokens(request.token_ids, room=1, window=self._window, n_vocab=self._tokenizer.n_vocab)
        put = on_step.put if on_step is not None else None
        return Writing(request, self._tokenizer, self._window, put)

    def _run(self, sequences: Sequence[RunningSequence]) -> None:
        """Submit and wait; if one fails or the caller is interrupted, the others are cancelled."""
        try:
            for sequence in sequences:
                self._loop.submit(sequence)
            for sequence in sequences:
                sequence.done.wait()
                if sequence.error is not None:
                    raise sequence.error
        except BaseException:
            for sequence in sequences:
                self._loop.cancel(sequence)
            raise


class _Stream:
    """A writing sequence seen from the outside."""

    def __init__(self, engine: OpenVINOEngine, request: Request) -> None:
        self._queue: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self._loop = engine._loop
        self._sequence = engine._writing(request, self._queue)
        self._sequence.on_close = lambda: self._queue.put(None)
        self._loop.submit(self._sequence)

    def __iter__(self) -> Iterator[Step]:
        try:
            while (step := self._queue.get()) is not None:
                yield step
            self._queue.put(None)  # whoever iterates again finds the end, too
        finally:
            self.cancel()
        if self._sequence.error is not None:
            raise self._sequence.error

    def cancel(self) -> None:
        """End within one step."""
        if not self._sequence.is_finished:
            self._loop.cancel(self._sequence)

    @property
    def result(self) -> Generation:
        """The finished answer."""
        if not self._sequence.done.is_set():
            raise EngineError("the answer is not finished: read the stream to its end, or cancel it")
        return self._sequence.result()


def _load_draft(
    options: EngineOptions,
    tokenizer: Tokenizer,
    n_threads: int,
    window: int,
    n_blocks: int,
    cache_path: Path | None,
    progress: Progress,
) -> DraftModel:
    """The model that guesses ahead, in the same mode and with as many blocks.

    Raises:
        ModelFileError: a broken file.
        EngineError: one that this engine does not take, or other tokens than the model's.
    """
    path = Path(options.draft).expanduser()
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    check_supported(file, config)
    draft_tokenizer = Tokenizer.from_gguf(file)
    check_same_tokens(tokenizer, draft_tokenizer, str(path))
    if options.mode == "exact":
        precision = PRECISIONS["f32"]
    else:
        precision, _ = choose_fast(file, config, draft_tokenizer, n_threads, cache_path, progress)
    window = min(window, config.context_length)
    model = PagedModel(file, config, precision, n_threads, window, n_blocks, cache_path)
    return DraftModel(model, n_blocks, window)


def _n_cache_blocks(options: EngineOptions, config: ModelConfig, window: int, cache_precision: str) -> int:
    """Blocks of the cache: what was asked for, else as many as a share of the free memory holds."""
    per_token = cache_bytes_per_token(config, cache_precision)
    free_bytes = available_memory_bytes()
    if options.cache_tokens:
        if options.cache_tokens * per_token > free_bytes:  # the system would end the process, not refuse
            raise EngineError(
                f"cache_tokens is {options.cache_tokens}: that needs {options.cache_tokens * per_token:,} bytes, "
                f"and {free_bytes:,} are free",
                remedy=f"Ask for {free_bytes // 2 // per_token} at most, or 0: chosen.",
            )
        return blocks_for(options.cache_tokens)
    affordable = int(free_bytes * CACHE_SHARE / per_token)
    n_tokens = min(max(DEFAULT_CACHE_TOKENS, window), affordable)
    if n_tokens < BLOCK_TOKENS:
        raise EngineError(f"there is no memory for a key-value cache ({per_token} bytes a token)")
    return n_tokens // BLOCK_TOKENS
