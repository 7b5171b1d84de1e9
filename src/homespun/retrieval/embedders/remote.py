"""Vectors from an OpenAI-compatible server: only where the user registered it, and said so at every ingest."""

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from homespun.engines.providers import RemoteModel, remote_model
from homespun.retrieval.embedders.counted import CountedEmbedder, FloatArray, unit
from homespun.retrieval.errors import EmbedderError

if TYPE_CHECKING:
    from homespun.engines.remote_client import RemoteClient

#: What is sent first each time, to see that the server still has the model that the library was made with.
PROBE = "The village library opens at nine on weekdays."
_SAME_COSINE = 0.99


class RemoteEmbedder(CountedEmbedder):
    """A model on a server. Nothing is sent before the first `embed`."""

    def __init__(
        self,
        name: str,
        model: str,
        probe_vector: list[float],
        max_tokens: int,
        prefixes: tuple[str, str] = ("", ""),
    ) -> None:
        """Prepare.

        Args:
            name: what people call it.
            model: `PROVIDER:MODEL` or `URL#MODEL`.
            probe_vector: what the server gave for `PROBE` when it was registered.
            max_tokens: that a text may have, counted as `piece_offsets` does.
            prefixes: before queries, before passages.

        Raises:
            RemoteError: no such provider, or a key in the address.
        """
        stated = repr((model, len(probe_vector), prefixes))
        super().__init__(
            name, hashlib.sha256(stated.encode()).hexdigest(), len(probe_vector), max_tokens, prefixes
        )
        self.remote = _remote(model)
        self.sends_to = self.remote.provider.base_url
        self._probe_vector = np.array([probe_vector], np.float32)
        self._is_checked = False

    @cached_property
    def _client(self) -> "RemoteClient":
        from homespun.engines.remote_client import RemoteClient

        return RemoteClient(self.remote)

    def _vectors(self, texts: list[str]) -> FloatArray:
        if self._is_checked:
            return np.array(self._client.embeddings(texts), np.float32)
        vectors = self._checked(np.array(self._client.embeddings([PROBE, *texts]), np.float32))
        cosine = float((unit(vectors[:1]) * unit(self._probe_vector)).sum())
        if cosine < _SAME_COSINE:
            raise EmbedderError(
                f"{self.name} gives other vectors than when it was added (cosine {cosine:.3f}): the server "
                "has another model now.",
                where=self.sends_to,
                remedy="Add it again under another name, and ingest into a new library.",
            )
        self._is_checked = True
        return vectors[1:]


def probe_vector(model: str) -> list[float]:
    """What a server gives for `PROBE`; this sends that one sentence to it.

    Raises:
        RemoteError: any failure, in one sentence.
    """
    from homespun.engines.remote_client import RemoteClient

    client = RemoteClient(_remote(model))
    try:
        (vector,) = client.embeddings([PROBE])
        return vector
    finally:
        client.close()


def _remote(model: str) -> RemoteModel:
    remote = remote_model(model)
    if remote is None:
        raise EmbedderError(f"{model!r} is no server: write PROVIDER:MODEL or http://ADDRESS/v1#MODEL.")
    return remote
