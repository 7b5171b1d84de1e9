"""The remote engine: a model behind an OpenAI-compatible server, with the interface of a local one.

What a server does not give (scores, whole distributions, adapters) is refused in a sentence. Prompts leave
this machine: the user asks for that by naming a remote model, and nothing else does it.
"""

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

from homespun.engines.checks import check_tokens
from homespun.engines.engine import (
    Candidate,
    EngineFacts,
    EngineOptions,
    Finish,
    FloatArray,
    Generation,
    GenerationStream,
    Request,
    ScoreRequest,
    Step,
)
from homespun.engines.errors import AdapterError, EngineError, RemoteError
from homespun.engines.loaded import LoadedModel
from homespun.engines.providers import RemoteModel
from homespun.engines.remote_client import TIMEOUT_S, RemoteClient
from homespun.engines.remote_text import RemoteTemplate, RemoteTokenizer
from homespun.engines.sampling import check_options
from homespun.engines.stopping import StopMatcher
from homespun.sizing.prices import Price

DEFAULT_WINDOW = 8192  # where the server does not tell its own
AT_ONCE = 8
_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "tool_calls": "stop"}


class RemoteEngine(LoadedModel):
    """See `homespun.engines.engine.Engine`."""

    _tokenizer: RemoteTokenizer

    def __init__(
        self,
        remote: RemoteModel,
        options: EngineOptions = EngineOptions(),
        *,
        price: Price | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Prepare a connection.

        Args:
            remote: which model where.
            options: only the window is used.
            price: what its tokens cost; None: not known.

        Raises:
            RemoteError: no key, no server, or no such model.
        """
        self._client = RemoteClient(remote, timeout_s=timeout_s)
        self._tokenizer = RemoteTokenizer()
        self._template = RemoteTemplate(self._tokenizer)
        self._price = price
        told = self._client.window
        window = options.window or told or DEFAULT_WINDOW
        notes = ["prompts leave this machine", "token counts before an answer are estimates"]
        if not told and not options.window:
            notes.append(f"the server does not tell its window: {DEFAULT_WINDOW} tokens are assumed")
        self._is_closed = False
        self._facts = EngineFacts(
            engine="remote",
            version=f"openai {metadata.version('openai')}",
            model_path=self._client.remote.shown,
            architecture="unknown",
            mode="fast",
            window=window,
            threads=0,
            precision="unknown",
            cache_precision="unknown",
            processor="the server's",
            notes=tuple(notes),
        )

    @property
    def adapters(self) -> tuple[str, ...]:
        """None: a remote model takes no adapters of ours."""
        return ()

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Write all answers, several at once. See `Engine.generate`."""
        streams = [self._begin(request) for request in requests]
        if len(streams) == 1:
            return [streams[0].run()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            futures = [pool.submit(stream.run) for stream in streams]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for stream in streams:
                    stream.cancel()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def stream(self, request: Request) -> GenerationStream:
        """Write one answer as it comes. See `Engine.stream`."""
        return self._begin(request)

    def score(self, requests: Sequence[ScoreRequest]) -> list[FloatArray]:
        """Refused: a chat server gives no scores of given texts."""
        raise RemoteError(f"{self._facts.model_path} gives no scores of given texts")

    def distributions(
        self, token_ids: Sequence[int], *, last: int = 1, adapter: str | None = None
    ) -> FloatArray:
        """Refused: a chat server gives no whole distributions."""
        raise RemoteError(f"{self._facts.model_path} gives no whole distributions; n_best asks for the best")

    def load_adapter(self, name: str, path: Path) -> None:
        """Refused."""
        raise AdapterError("a remote model takes no adapter of yours")

    def remove_adapter(self, name: str) -> None:
        """Refused."""
        raise AdapterError(f"adapter {name!r} is not loaded; loaded: none")

    def close(self) -> None:
        """Close its connections."""
        self._is_closed = True
        self._client.close()

    def _begin(self, request: Request) -> "_RemoteStream":
        if self._is_closed:
            raise EngineError("the engine is closed")
        check_options(request.options)
        check_tokens(request.token_ids, room=1, window=self._facts.window, n_vocab=self._tokenizer.n_vocab)
        if request.adapter is not None:
            raise AdapterError(f"adapter {request.adapter!r} is not loaded; loaded: none")
        self._client.check(request.options)
        return _RemoteStream(self._client, self._tokenizer, request, self._price)


class _RemoteStream:
    """One answer as its chunks come."""

    def __init__(
        self, client: RemoteClient, tokenizer: RemoteTokenizer, request: Request, price: Price | None
    ) -> None:
        self._client = client
        self._tokenizer = tokenizer
        self._request = request
        self._price = price
        self._stops = StopMatcher(request.options.stop)
        given = request.options.seed
        self._seed = secrets.randbits(31) if given is None else given
        self._steps: list[Step] = []
        self._finish: Finish | None = None
        self._is_cancelled = False
        self._n_read = len(request.token_ids)
        self._n_cached = 0
        self._n_written: int | None = None
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        self._ended_s = self._started_s

    def run(self) -> Generation:
        """Write it to its end."""
        for _ in self:
            pass
        return self.result

    def __iter__(self) -> Iterator[Step]:
        if self._finish is not None:
            return
        messages = self._tokenizer.messages(self._request.token_ids)
        chunks = self._client.stream(messages, self._request.options, self._seed)
        finish: str | None = None
        try:
            for chunk in chunks:
                if self._is_cancelled:
                    break
                self._count(getattr(chunk, "usage", None))
                for choice in chunk.choices or ():
                    finish = choice.finish_reason or finish
                    yield from self._take(choice)
                if self._stops.is_stopped:
                    break
            yield from self._end(finish)
        finally:
            chunks.close()  # type: ignore[attr-defined]
            if self._finish is None:
                self._finish = "cancelled"
            self._ended_s = time.perf_counter()

    def cancel(self) -> None:
        """End with the next chunk; the connection is closed, which ends the server's work too."""
        self._is_cancelled = True

    @property
    def result(self) -> Generation:
        """The finished answer."""
        if self._finish is None and not self._is_cancelled:
            raise EngineError("the answer is not finished: read the stream to its end, or cancel it")
        n_written = len(self._steps) if self._n_written is None else self._n_written
        first = self._first_s or self._ended_s
        cost = None if self._price is None else self._price.cost_usd(self._n_read, n_written)
        return Generation(
            token_ids=tuple(step.token_id for step in self._steps),
            text="".join(step.text for step in self._steps),
            finish=self._finish or "cancelled",
            steps=tuple(self._steps),
            n_prompt_tokens=self._n_read,
            n_cached_tokens=self._n_cached,
            seed=self._seed,
            read_s=first - self._started_s,
            write_s=self._ended_s - first,
            cost_usd=cost,
        )

    def _take(self, choice: Any) -> Iterator[Step]:
        text = choice.delta.content or ""
        told = getattr(choice.logprobs, "content", None) or () if choice.logprobs else ()
        if told and "".join(entry.token for entry in told) == text:
            for entry in told:
                best = tuple(
                    Candidate(self._tokenizer.intern(other.token), other.logprob)
                    for other in entry.top_logprobs[: self._request.options.n_best]
                )
                yield self._step(self._tokenizer.intern(entry.token), entry.token, entry.logprob, best)
        else:  # no probabilities, or of tokens that are parts of a character
            for token_id in self._tokenizer.encode(text):
                yield self._step(token_id, self._tokenizer.decode([token_id]), float("nan"))

    def _step(
        self, token_id: int, text: str, log_probability: float, best: tuple[Candidate, ...] = ()
    ) -> Step:
        self._first_s = self._first_s or time.perf_counter()
        step = Step(token_id, self._stops.push(text), log_probability, best)
        self._steps.append(step)
        return step

    def _count(self, usage: Any) -> None:
        if usage is not None:
            self._n_read, self._n_written = usage.prompt_tokens, usage.completion_tokens
            details = getattr(usage, "prompt_tokens_details", None)
            self._n_cached = int(getattr(details, "cached_tokens", None) or 0)

    def _end(self, finish: str | None) -> Iterator[Step]:
        if self._is_cancelled:
            self._finish = "cancelled"
            return
        if self._stops.is_stopped:
            self._finish = "stop"
            return
        shown = self._client.remote.shown
        if finish is None:
            raise RemoteError(
                f"{shown} ended without finishing its answer",
                remedy="The connection was cut, or it is no OpenAI-compatible server. Try again.",
            )
        if finish not in _FINISH:
            raise RemoteError(f"{shown} ended the answer for a reason of its own ({finish})")
        held = self._stops.flush()
        if held:
            step = self._step(self._tokenizer.intern(held), "", float("nan"))
            self._steps[-1] = Step(step.token_id, held, step.log_probability)
            yield self._steps[-1]
        self._finish = _FINISH[finish]
        if self._request.options.json_schema and self._finish == "stop":
            self._check_json(shown)

    def _check_json(self, shown: str) -> None:
        try:
            json.loads("".join(step.text for step in self._steps))
        except ValueError:
            raise RemoteError(
                f"{shown} did not keep to the JSON schema",
                remedy="Use a local model, which cannot but do so.",
            ) from None
