"""Which servers are known by name, and what a name such as `openai:MODEL` or a URL means."""

import math
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from homespun.engines.errors import RemoteError


@dataclass(frozen=True)
class Provider:
    """A server with an OpenAI-compatible interface.

    Attributes:
        name: what stands before the colon in `--model`.
        base_url: where it is.
        key_variable: the environment variable that holds its key.
        needs_key: whether it answers nothing without one.
        limit_name: what it calls the most tokens to write.
        extras: sampling options beyond OpenAI's that it knows, by our name and its own.
        max_alternatives: most alternatives that it reports for each token; 0: none.
        ignores: our names of options that it takes without a word and does not obey.
        max_temperature: what it takes at most.
    """

    name: str
    base_url: str
    key_variable: str
    needs_key: bool = True
    limit_name: str = "max_tokens"
    extras: tuple[tuple[str, str], ...] = ()
    max_alternatives: int = 0
    ignores: tuple[str, ...] = ()
    max_temperature: float = math.inf


_VLLM = (("top_k", "top_k"), ("min_p", "min_p"), ("repeat_penalty", "repetition_penalty"))
_LLAMA_CPP = (("top_k", "top_k"), ("min_p", "min_p"), ("repeat_penalty", "repeat_penalty"))

PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(
            "openai",
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
            limit_name="max_completion_tokens",
            max_alternatives=20,
        ),
        Provider(  # as its page on compatibility with OpenAI's library says
            "anthropic",
            "https://api.anthropic.com/v1",
            "ANTHROPIC_API_KEY",
            ignores=("seed", "json_schema"),
            max_temperature=1.0,
        ),
        Provider("google", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
        Provider("cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
        Provider("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN"),
        Provider("ollama-server", "http://127.0.0.1:11434/v1", "OLLAMA_API_KEY", needs_key=False),
        Provider("lmstudio-server", "http://127.0.0.1:1234/v1", "LMSTUDIO_API_KEY", needs_key=False),
        Provider(
            "vllm", "http://127.0.0.1:8000/v1", "VLLM_API_KEY", False, extras=_VLLM, max_alternatives=20
        ),
    )
}
#: What the owner of a model in a server's own list says about the server.
_KINDS = {"llamacpp": (_LLAMA_CPP, 100), "vllm": (_VLLM, 20)}


@dataclass(frozen=True)
class RemoteModel:
    """A model on a server; `model` is empty where the server has to be asked which one it has."""

    provider: Provider
    model: str

    @property
    def shown(self) -> str:
        """The name that people gave."""
        if not self.provider.name.startswith("http"):
            return f"{self.provider.name}:{self.model}"
        return f"{self.provider.base_url}#{self.model}" if self.model else self.provider.base_url


def remote_model(name: str | None) -> RemoteModel | None:
    """What a model's name means if it is remote: a URL or `PROVIDER:MODEL`; None where it is not.

    Raises:
        RemoteError: a URL with a key in it, or a provider without a model.
    """
    if name is None:
        return None
    if name.startswith(("http://", "https://")):
        return _by_url(name)
    head, colon, model = name.partition(":")
    if not colon or head not in PROVIDERS:
        return None
    if not model:
        raise RemoteError(f"{head}: names no model", remedy=f"Write {head}:MODEL.")
    return RemoteModel(PROVIDERS[head], model)


def _by_url(url: str) -> RemoteModel:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise RemoteError(
            "a key in the model's address would be seen in lists and logs",
            remedy="Put it into the environment variable HOMESPUN_API_KEY, or run `homespun keys set URL`.",
        )
    base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
    return RemoteModel(Provider(base, base, "HOMESPUN_API_KEY", needs_key=False), parts.fragment)


def known_server(provider: Provider, owner: str) -> Provider:
    """The provider with what its kind of server can do besides, where the owner of its models tells it."""
    from dataclasses import replace

    if owner not in _KINDS or provider.extras:
        return provider
    extras, max_alternatives = _KINDS[owner]
    return replace(provider, extras=extras, max_alternatives=max_alternatives)
