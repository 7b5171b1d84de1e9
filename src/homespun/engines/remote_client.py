"""One remote server through the openai package: who is there, one answer as a stream, failures as sentences."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from time import monotonic, sleep
from typing import Any

from homespun.engines.engine import GenerateOptions
from homespun.engines.errors import ConstraintError, RemoteError
from homespun.engines.keys import find_key
from homespun.engines.providers import RemoteModel, known_server
from homespun.engines.remote_schema import read_schema
from homespun.engines.remote_text import RemoteChat

TIMEOUT_S = 120.0  # without a byte
CONNECT_TIMEOUT_S = 10.0
MAX_RETRIES = 4  # of busy servers and cut connections, before the first byte; the server's wait is honoured


class RemoteClient:
    """Safe to use from several threads."""

    def __init__(
        self, remote: RemoteModel, *, timeout_s: float = TIMEOUT_S, requests_per_minute: int = 0
    ) -> None:
        """Prepare; nothing is sent unless the server has to be asked which model it has.

        Raises:
            RemoteError: no key, no such server, or several models and none named.
        """
        self._key = find_key(remote.provider)
        self._client = _opened(remote, self._key, timeout_s)
        self._pace = _Pace(requests_per_minute)
        self.remote = remote
        self.window = 0
        if not remote.provider.needs_key:
            self._look()
        self._client.max_retries = MAX_RETRIES  # a copy `with_options` would read the environment again

    def __repr__(self) -> str:
        return f"RemoteClient({self.remote.shown})"

    def stream(self, chat: RemoteChat, options: GenerateOptions, seed: int) -> Iterator[Any]:
        """The server's chunks of one answer.

        Raises:
            RemoteError: any failure, in one sentence.
        """
        self._pace.wait()
        with self.told():
            stream = self._client.chat.completions.create(**self._body(chat, options, seed))
            try:
                yield from stream
            finally:
                stream.close()

    def embeddings(self, texts: list[str]) -> list[list[float]]:
        """The server's vectors of texts, in their order.

        Raises:
            RemoteError: any failure, in one sentence.
        """
        self._pace.wait()
        with self.told():
            answer = self._client.embeddings.create(
                model=self.remote.model, input=texts, encoding_format="float"
            )
            rows = sorted(answer.data, key=lambda row: row.index)
            if [row.index for row in rows] != list(range(len(texts))):
                raise ValueError(f"{len(texts)} texts were sent, and {len(rows)} vectors came")
            return [[float(value) for value in row.embedding] for row in rows]

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def check(self, options: GenerateOptions) -> None:
        """Refuse what this server would ignore.

        Raises:
            RemoteError, ConstraintError: naming the option.
        """
        known = {ours for ours, _ in self.remote.provider.extras}
        defaults = GenerateOptions()
        for name in ("top_k", "min_p", "repeat_penalty"):
            if name not in known and getattr(options, name) != getattr(defaults, name):
                raise RemoteError(f"{name} is not known to be obeyed by {self.remote.shown}")
        if options.n_best > self.remote.provider.max_alternatives:
            most = self.remote.provider.max_alternatives
            told = f"at most {most} alternatives a token" if most else "no alternatives"
            raise RemoteError(f"{self.remote.shown} reports {told}; n_best is {options.n_best}")
        for name in ("regex", "grammar"):
            if getattr(options, name):
                raise ConstraintError(f"a {name} cannot be enforced on a remote model")
        ignored = [name for name in self.remote.provider.ignores if getattr(options, name)]
        if ignored:
            raise RemoteError(f"{self.remote.shown} ignores {' and '.join(ignored)}")
        hottest = self.remote.provider.max_temperature
        if options.temperature > hottest:
            raise RemoteError(
                f"temperature is {options.temperature}; {self.remote.shown} takes at most {hottest:g}"
            )
        if options.json_schema:
            read_schema(options.json_schema)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turns every failure of the library into one sentence without the key."""
        import httpx2
        import openai

        try:
            yield
        except openai.AuthenticationError as error:
            raise self._error("refuses the key", error, self._key_remedy()) from None
        except openai.PermissionDeniedError as error:
            raise self._error("does not allow it with this key", error, self._key_remedy()) from None
        except openai.NotFoundError as error:
            raise self._error(f"has no model {self.remote.model!r} there", error) from None
        except openai.APITimeoutError:
            raise RemoteError(
                f"{self.remote.shown} did not answer in time", remedy="Try again later."
            ) from None
        except openai.APIConnectionError as error:
            cause = error.__cause__ or error
            raise self._error(
                "cannot be reached", cause, "Is the server running, and the address right?"
            ) from None
        except openai.APIStatusError as error:
            if 300 <= error.status_code < 400:
                raise RemoteError(
                    f"{self.remote.shown} sends requests elsewhere (redirect {error.status_code})",
                    remedy="Name the address that it really has.",
                ) from None
            raise self._error(f"answered with error {error.status_code}", error) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError, AttributeError) as error:
            raise self._error("did not answer as an OpenAI-compatible server does", error) from None

    def _error(self, what: str, error: BaseException, remedy: str = "") -> RemoteError:
        body = getattr(error, "body", None)
        reason = body.get("message") if isinstance(body, dict) else None
        text = " ".join(str(reason or error).split())[:200]
        if text.startswith(("<", "Error code")) or "<html" in text.lower():
            text = "a web page, or nothing that can be read"
        if self._key:
            text = text.replace(self._key, "(the key)")
        return RemoteError(f"{self.remote.shown} {what} ({text})", remedy=remedy)

    def _key_remedy(self) -> str:
        provider = self.remote.provider
        return f"Check {provider.key_variable}, or run `homespun keys set {provider.name}` again."

    def _look(self) -> None:
        """Ask which models there are: picks the only one, and learns the window and the kind of server."""
        from dataclasses import replace

        with self.told():
            models = list(self._client.models.list())
        names = [model.id for model in models]
        if not self.remote.model and len(names) != 1:
            some = ", ".join(names[:10]) or "none"
            raise RemoteError(
                f"{self.remote.provider.base_url} has {len(names)} models ({some})",
                remedy=f"Name one: {self.remote.provider.base_url}#MODEL.",
            )
        chosen = next((model for model in models if model.id == (self.remote.model or names[0])), None)
        if chosen is None:
            raise RemoteError(
                f"{self.remote.provider.base_url} has no model {self.remote.model!r}; it has {', '.join(names[:10])}"
            )
        extra = chosen.model_extra or {}
        meta = extra.get("meta") or {}
        self.window = int(extra.get("max_model_len") or meta.get("n_ctx") or meta.get("n_ctx_train") or 0)
        provider = known_server(self.remote.provider, str(getattr(chosen, "owned_by", "")))
        self.remote = replace(self.remote, model=chosen.id, provider=provider)

    def _body(self, chat: RemoteChat, options: GenerateOptions, seed: int) -> dict[str, Any]:
        provider = self.remote.provider
        body: dict[str, Any] = {
            "model": self.remote.model,
            "messages": chat.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            provider.limit_name: options.max_new_tokens,
            "temperature": options.temperature,
            "extra_body": {theirs: getattr(options, ours) for ours, theirs in provider.extras},
        }
        if options.temperature > 0:
            body["top_p"] = options.top_p
            if "seed" not in provider.ignores:
                body["seed"] = seed % 2**31
        stops = [text for text in options.stop if text.strip()][:4]  # all are looked for here as well
        if stops:
            body["stop"] = stops
        if options.n_best or (provider.max_alternatives and not provider.needs_key):
            # elsewhere only if asked for: some models behind a key refuse to give any
            body |= {"logprobs": True, "top_logprobs": max(options.n_best, 1)}
        if chat.tools:
            body["tools"] = chat.tools
        if options.json_schema:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "strict": True, "schema": read_schema(options.json_schema)},
            }
        return body


class _Pace:
    """Lets requests begin evenly spaced."""

    def __init__(self, requests_per_minute: int) -> None:
        if requests_per_minute < 0:
            raise RemoteError(
                f"requests_per_minute is {requests_per_minute}; it must be 0 (no limit) or more"
            )
        self._gap_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._next_s = 0.0
        self._lock = Lock()

    def wait(self) -> None:
        """Until it is this request's turn."""
        with self._lock:
            now_s = monotonic()
            turn_s = max(now_s, self._next_s)
            self._next_s = turn_s + self._gap_s
        sleep(turn_s - now_s)


def _opened(remote: RemoteModel, key: str | None, timeout_s: float) -> Any:
    """The library's client. It follows no redirects: a prompt goes only to the address that was named."""
    import httpx2
    from openai import DefaultHttpxClient, OpenAI

    client = OpenAI(
        api_key=key or "none",
        base_url=remote.provider.base_url,
        timeout=httpx2.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        max_retries=1,
        http_client=DefaultHttpxClient(follow_redirects=False),
    )
    # What the library reads from OPENAI_* variables is not for other servers, and nobody asked for it.
    client.organization = client.project = client.admin_api_key = None
    client._custom_headers = {}
    return client
