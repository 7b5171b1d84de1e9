"""The remote engine: a model behind an OpenAI-compatible server, with the interface of a local one.

What a server does not give (scores, whole distributions, adapters) is refused in a sentence. Prompts leave
this machine: the user asks for that by naming a remote model, and nothing else does it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from homespun.engines.checks import check_tokens
from homespun.engines.engine import (
    EngineFacts,
    EngineOptions,
    FloatArray,
    Generation,
    GenerationStream,
    Request,
    ScoreRequest,
)
from homespun.engines.errors import AdapterError, EngineError, RemoteError
from homespun.engines.loaded import LoadedModel
from homespun.engines.providers import RemoteModel
from homespun.engines.remote_client import TIMEOUT_S, RemoteClient
from homespun.engines.remote_stream import RemoteStream
from homespun.engines.remote_text import RemoteTemplate, RemoteTokenizer
from homespun.engines.sampling import check_options
from homespun.sizing.prices import Price

DEFAULT_WINDOW = 8192  # where the server does not tell its own
AT_ONCE = 8


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
        requests_per_minute: int = 0,
    ) -> None:
        """Prepare a connection.

        Args:
            remote: which model where.
            options: only the window is used.
            price: what its tokens cost; None: not known.
            timeout_s: longest wait for anything from the server.
            requests_per_minute: requests begun at most, evenly spaced; 0: no limit.

        Raises:
            RemoteError: no key, no server, or no such model.
        """
        self._client = RemoteClient(remote, timeout_s=timeout_s, requests_per_minute=requests_per_minute)
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
            max_alternatives=self._client.remote.provider.max_alternatives,
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

    def _begin(self, request: Request) -> RemoteStream:
        if self._is_closed:
            raise EngineError("the engine is closed")
        check_options(request.options)
        check_tokens(request.token_ids, room=1, window=self._facts.window, n_vocab=self._tokenizer.n_vocab)
        if request.adapter is not None:
            raise AdapterError(f"adapter {request.adapter!r} is not loaded; loaded: none")
        self._client.check(request.options)
        return RemoteStream(self._client, self._tokenizer, request, self._price)
