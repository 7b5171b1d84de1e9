"""An engine over vLLM, for one large GPU or several: continuous batching, adapters swapped live.

Untested by this project's own runs: it is written against vLLM's published interface (LLM, its
`llm_engine.add_request` and `step`) and type-checked, but vLLM needs a GPU that its tests do not have.

Prompts go in as token ids and vLLM's own tokenizer is never loaded, so that no text can become a marker
and every engine reads the same ids. Stop texts, streamed characters and ends are Homespun's own matcher's.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.checks import check_last, check_score, check_sizes, check_tokens, unknown_adapter
from homespun.engines.engine import (
    Candidate,
    EngineFacts,
    EngineOptions,
    FloatArray,
    Generation,
    GenerationStream,
    Request,
    ScoreRequest,
    Step,
)
from homespun.engines.errors import ConstraintError, EngineError
from homespun.engines.loaded import LoadedModel
from homespun.engines.sampling import check_options
from homespun.engines.sequence import Writing
from homespun.engines.vllm_files import VllmFiles, read_files
from homespun.progress import Progress, no_progress

INSTALL = 'Run: pip install "homespun[cluster]"'
MAX_LORA_RANK = 64


class VllmEngine(LoadedModel):
    """See `homespun.engines.engine.Engine`; `close` it, or use it in a `with` block."""

    def __init__(
        self,
        path: Path,
        options: EngineOptions = EngineOptions(),
        *,
        cache_path: Path | None = None,
        progress: Progress = no_progress,
    ) -> None:
        """Load a Hugging Face folder, or a GGUF (for which vLLM needs its plug-in vllm-gguf-plugin).

        Raises:
            ModelFileError, TokenizerError: broken files, or a tokenizer that is not the model's.
            EngineError: vLLM is not installed, or refuses the model.
        """
        vllm = _import_vllm()
        check_sizes(options)
        files = read_files(path)
        progress("loading the model into vLLM", 0, None)
        self._vllm = vllm
        self._files = files
        self._tokenizer, self._template = files.tokenizer, files.template
        self._llm: Any = _load(vllm, files, options)
        self._lock = threading.RLock()
        self._n_requests = 0
        self._n_adapters = 0
        self._adapters: dict[str, Any] = {}
        self._outputs: dict[str, list[Any]] = {}
        self._facts = _facts(vllm, self._llm, files, options)

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the loaded adapters."""
        return tuple(self._adapters)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Write all answers together. See `Engine.generate`."""
        streams: list[_VllmStream] = []
        try:
            for request in requests:  # all are in before the first step, so they share its batch
                streams.append(self._begin(request))
            for stream in streams:
                for _ in stream:
                    pass
        finally:
            for stream in streams:
                stream.cancel()
                self._drop(stream.number)
        return [stream.result for stream in streams]

    def stream(self, request: Request) -> GenerationStream:
        """Write one answer step by step. See `Engine.stream`."""
        return self._begin(request)

    def _begin(self, request: Request) -> "_VllmStream":
        given = request.options
        check_options(given)
        if given.is_constrained:
            raise ConstraintError(
                "the vllm engine cannot enforce a schema, regular expression or grammar",
                remedy="Use another engine for constrained output.",
            )
        check_tokens(request.token_ids, room=1, window=self._facts.window, n_vocab=self._tokenizer.n_vocab)
        steps: list[Step] = []
        writing = Writing(request, self._tokenizer, self._facts.window, steps.append)
        params = self._vllm.SamplingParams(
            max_tokens=writing.n_total - len(request.token_ids),
            temperature=given.temperature,
            top_k=given.top_k,
            top_p=given.top_p,
            min_p=given.min_p,
            repetition_penalty=given.repeat_penalty,
            seed=writing.seed,
            logprobs=given.n_best,
            stop_token_ids=sorted(self._tokenizer.stop_ids),
            detokenize=False,
        )
        number = self._add(request.token_ids, params, request.adapter)
        return _VllmStream(self, writing, steps, number, given.n_best)

    def score(self, requests: Sequence[ScoreRequest]) -> list[FloatArray]:
        """Log-probabilities of given tokens. See `Engine.score`."""
        for request in requests:
            check_score(request, window=self._facts.window - 1, n_vocab=self._tokenizer.n_vocab)
        params = self._vllm.SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=0, detokenize=False)
        numbers = [self._add(request.token_ids, params, request.adapter) for request in requests]
        scores = []
        for request, number in zip(requests, numbers, strict=True):
            rows = self._finish(number).prompt_logprobs[-request.n_scored :]
            tokens = request.token_ids[-request.n_scored :]
            values = [row[token].logprob for row, token in zip(rows, tokens, strict=True)]
            scores.append(np.array(values, np.float32))
        return scores

    def distributions(
        self, token_ids: Sequence[int], *, last: int = 1, adapter: str | None = None
    ) -> FloatArray:
        """Log-probabilities of every next token. See `Engine.distributions`."""
        n_vocab = self._tokenizer.n_vocab
        check_last(token_ids, last, window=self._facts.window - 1, n_vocab=n_vocab)
        params = self._vllm.SamplingParams(
            max_tokens=1,
            temperature=0,
            logprobs=-1,
            prompt_logprobs=-1 if last > 1 else None,
            detokenize=False,
        )
        done = self._finish(self._add(token_ids, params, adapter))
        # A prompt's row i says how token i was expected; what follows the last token is the output's row.
        before = done.prompt_logprobs[len(token_ids) - last + 1 :] if last > 1 else []
        rows = [*before, done.outputs[0].logprobs[0]]
        table = np.full((last, n_vocab), -np.inf, np.float32)
        for place, row in enumerate(rows):
            for token, entry in row.items():
                table[place, token] = entry.logprob
        return table

    def load_adapter(self, name: str, path: Path) -> None:
        """Make a PEFT LoRA folder available. See `Engine.load_adapter`."""
        from vllm.lora.request import LoRARequest

        self._files.check_adapter(path)
        with self._lock:
            self._check_open()
            # Always a new number: vLLM keeps an adapter, and known prefixes, under it.
            self._n_adapters += 1
            self._adapters[name] = LoRARequest(f"{name}-{self._n_adapters}", self._n_adapters, str(path))

    def remove_adapter(self, name: str) -> None:
        """Take an adapter away from new requests; running ones end with it."""
        with self._lock:
            if name not in self._adapters:
                raise unknown_adapter(name, self.adapters)
            del self._adapters[name]

    def close(self) -> None:
        """Free the model."""
        with self._lock:
            self._llm = None
            self._outputs.clear()

    def _add(self, token_ids: Sequence[int], params: Any, adapter: str | None) -> str:
        with self._lock:
            self._check_open()
            if adapter is not None and adapter not in self._adapters:
                raise unknown_adapter(adapter, self.adapters)
            self._n_requests += 1
            number = str(self._n_requests)
            self._outputs[number] = []
            prompt = self._vllm.TokensPrompt(prompt_token_ids=list(token_ids))
            lora = None if adapter is None else self._adapters[adapter]
            self._llm.llm_engine.add_request(number, prompt, params, lora_request=lora)
            return number

    def _next(self, number: str) -> Any:
        """The next output of a request; steps that it takes move all other requests on too."""
        with self._lock:
            while not self._outputs[number]:
                self._check_open()
                for output in self._llm.llm_engine.step():
                    if output.request_id in self._outputs:
                        self._outputs[output.request_id].append(output)
            return self._outputs[number].pop(0)

    def _finish(self, number: str) -> Any:
        output = self._next(number)
        while not output.finished:
            output = self._next(number)
        self._drop(number)
        return output

    def _drop(self, number: str) -> None:
        with self._lock:
            if self._outputs.pop(number, None) is not None and self._llm is not None:
                self._llm.llm_engine.abort_request([number])

    def _check_open(self) -> None:
        if self._llm is None:
            raise EngineError("the engine is closed")


class _VllmStream:
    """One answer; vLLM draws the tokens, and Homespun decides where the text ends."""

    def __init__(
        self, engine: VllmEngine, writing: Writing, steps: list[Step], number: str, n_best: int
    ) -> None:
        """Follow a request that was added.

        Args:
            steps: where `writing` puts them.
            number: the request's name in vLLM.
        """
        self.number = number
        self._engine = engine
        self._writing = writing
        self._steps = steps
        self._n_best = n_best
        self._n_read = 0

    def __iter__(self) -> Iterator[Step]:
        writing = self._writing
        n_given = 0
        try:
            while not (writing.is_finished or writing.is_cancelled):
                self._read(self._engine._next(self.number).outputs[0])
                while n_given < len(self._steps):
                    n_given += 1
                    yield self._steps[n_given - 1]
        finally:
            self.cancel()
            self._engine._drop(self.number)
            writing.close()

    def _read(self, output: Any) -> None:
        """Outputs are cumulative: take the tokens that are new in this one."""
        for place in range(self._n_read, len(output.token_ids)):
            if self._writing.is_finished:
                break
            token, entries = output.token_ids[place], output.logprobs[place]
            ranked = sorted(entries.items(), key=lambda item: -item[1].logprob)
            best = tuple(Candidate(other, entry.logprob) for other, entry in ranked[: self._n_best])
            self._writing.add(token, entries[token].logprob, best)
        self._n_read = len(output.token_ids)

    def cancel(self) -> None:
        """End within one step."""
        if not self._writing.is_finished:
            self._writing.is_cancelled = True

    @property
    def result(self) -> Generation:
        """The finished answer."""
        if not (self._writing.is_finished or self._writing.is_cancelled):
            raise EngineError("the answer is not finished: read the stream to its end, or cancel it")
        return self._writing.result()


def _import_vllm() -> Any:
    try:
        import vllm
    except ImportError:
        raise EngineError("the vllm engine needs vllm, which is not installed", remedy=INSTALL) from None
    return vllm


def _load(vllm: Any, files: VllmFiles, options: EngineOptions) -> Any:
    try:
        return vllm.LLM(
            model=str(files.path),
            skip_tokenizer_init=True,
            trust_remote_code=False,
            dtype="float32" if options.mode == "exact" else "auto",
            max_model_len=options.window or None,
            max_logprobs=-1,  # all tokens, for `distributions`
            enable_lora=True,
            max_lora_rank=MAX_LORA_RANK,
            disable_log_stats=True,
        )
    except (ValueError, RuntimeError, OSError, NotImplementedError) as error:
        first_line = str(error).strip().split("\n")[0]
        raise EngineError(f"vLLM does not take this model ({first_line})", where=str(files.path)) from None


def _facts(vllm: Any, llm: Any, files: VllmFiles, options: EngineOptions) -> EngineFacts:
    from vllm.platforms import current_platform

    model = llm.llm_engine.model_config
    return EngineFacts(
        engine="vllm",
        version=vllm.__version__,
        model_path=str(files.path),
        architecture=files.architecture,
        mode=options.mode,
        window=model.max_model_len,
        threads=0,
        precision=str(model.dtype).removeprefix("torch."),
        cache_precision=str(model.dtype).removeprefix("torch."),
        processor=str(current_platform.get_device_name()),
    )
