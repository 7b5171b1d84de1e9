"""One answer of a remote server, as its chunks come."""

import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

from homespun.engines.engine import Candidate, Finish, Generation, Request, Step
from homespun.engines.errors import EngineError, RemoteError
from homespun.engines.remote_client import RemoteClient
from homespun.engines.remote_reader import ChunkReader
from homespun.engines.remote_schema import keeps_to_schema
from homespun.engines.remote_text import RemoteTokenizer
from homespun.engines.stopping import StopMatcher
from homespun.engines.tool_calls import HERMES_CLOSE, HERMES_OPEN
from homespun.sizing.prices import Price

_FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "tool_calls": "stop"}


class RemoteStream:
    """See `homespun.engines.engine.GenerationStream`. Nothing is sent before it is iterated."""

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
        self._reader: ChunkReader | None = None
        self._calls: dict[int, list[str]] = {}  # name and arguments so far, by the server's number
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
        if self._finish is not None or self._is_cancelled:
            return
        chat = self._tokenizer.chat(self._request.token_ids)
        self._reader = ChunkReader(self._client.stream(chat, self._request.options, self._seed))
        finish: str | None = None
        try:
            for chunk in self._reader:
                self._count(getattr(chunk, "usage", None))
                for choice in chunk.choices or ():
                    finish = choice.finish_reason or finish
                    yield from self._take(choice)
                if self._stops.is_stopped or self._is_cancelled:
                    break
            yield from self._end(finish)
        finally:
            self._reader.cancel()
            if self._finish is None:
                self._finish = "cancelled"
            self._ended_s = time.perf_counter()

    def cancel(self) -> None:
        """End at once; the connection is closed with the next thing that the server sends."""
        self._is_cancelled = True
        if self._reader is not None:
            self._reader.cancel()

    @property
    def result(self) -> Generation:
        """The finished answer. Without counts from the server its cost is not known."""
        if self._finish is None and not self._is_cancelled:
            raise EngineError("the answer is not finished: read the stream to its end, or cancel it")
        first = self._first_s or self._ended_s
        cost = None
        if self._price is not None and self._n_written is not None:
            cost = self._price.cost_usd(self._n_read, self._n_written, n_cached=self._n_cached)
        end_id = self._tokenizer.end_id
        return Generation(
            token_ids=tuple(step.token_id for step in self._steps if step.token_id != end_id),
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
        for part in choice.delta.tool_calls or ():
            call = self._calls.setdefault(part.index, ["", ""])
            call[0] += part.function.name or ""
            call[1] += part.function.arguments or ""
        text = choice.delta.content or ""
        told = getattr(choice.logprobs, "content", None) or () if choice.logprobs else ()
        if told and "".join(entry.token for entry in told) == text:
            for entry in told:
                best = tuple(
                    Candidate(self._tokenizer.intern(other.token), other.logprob)
                    for other in entry.top_logprobs[: self._request.options.n_best]
                )
                yield self._step(self._tokenizer.intern(entry.token), entry.token, entry.logprob, best)
                if self._is_over:
                    return
        else:  # no probabilities, or of tokens that are parts of a character
            for token_id in self._tokenizer.encode(text):
                yield self._step(token_id, self._tokenizer.decode([token_id]), float("nan"))
                if self._is_over:
                    return

    @property
    def _is_over(self) -> bool:
        return self._is_cancelled or self._stops.is_stopped

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
        for _, (name, arguments) in sorted(self._calls.items()):
            call = f'{{"name": {json.dumps(name)}, "arguments": {arguments or "{}"}}}'
            written = f"{HERMES_OPEN}\n{call}\n{HERMES_CLOSE}\n"
            for token_id in self._tokenizer.encode(written):
                yield self._step(token_id, self._tokenizer.decode([token_id]), float("nan"))
        held = self._stops.flush()
        if held:
            self._steps.append(Step(self._tokenizer.end_id, held, float("nan")))
            yield self._steps[-1]
        self._finish = _FINISH[finish]
        if self._request.options.json_schema and self._finish == "stop":
            self._check_schema(shown)

    def _check_schema(self, shown: str) -> None:
        text = "".join(step.text for step in self._steps)
        if not keeps_to_schema(text, self._request.options.json_schema):
            raise RemoteError(
                f"{shown} did not keep to the JSON schema",
                remedy="Use a local model, which cannot but do so.",
            )
