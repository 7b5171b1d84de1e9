"""What embedders without a tokenizer here have in common: long queries in windows, passages never cut."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from homespun.documents.split import TokenLimit
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Kind
from homespun.retrieval.embedders.pieces import piece_offsets, windows
from homespun.retrieval.errors import EmbedderError

FloatArray = npt.NDArray[np.float32]


class CountedEmbedder(ABC):
    """An embedder whose texts are counted in pieces; see `Embedder` for the attributes.

    Attributes:
        sends_to: the server that texts are sent to; empty where nothing leaves this machine.
        languages: codes of the languages that it was made for; () where that is not known.
    """

    sends_to = ""
    languages: tuple[str, ...] = ()
    _batch_size = 32

    def __init__(
        self, name: str, identity: str, dimensions: int, max_tokens: int, prefixes: tuple[str, str] = ("", "")
    ) -> None:
        self.name = name
        self.identity = identity
        self.dimensions = dimensions
        self.max_tokens = max_tokens - max(len(piece_offsets(prefix)) for prefix in prefixes)
        self._prefixes: dict[Kind, str] = {"query": prefixes[0], "passage": prefixes[1]}
        if self.max_tokens < 1:
            raise EmbedderError(f"A window of {max_tokens} tokens leaves no room for text.", where=name)

    @property
    def token_limit(self) -> TokenLimit:
        return TokenLimit(piece_offsets, self.max_tokens)

    def embed(self, texts: Sequence[str], kind: Kind, progress: Progress = no_progress) -> FloatArray:
        """Vectors of texts: float32 (n texts, dimensions), rows of length 1 (0 for a text without a vector).

        Raises:
            EmbedderError: a passage is longer than `max_tokens`, or what came is no vector.
        """
        parts: list[str] = []
        owners: list[int] = []
        for row, text in enumerate(texts):
            found = windows(text, self.max_tokens)
            if kind == "passage" and len(found) > 1:
                raise EmbedderError(
                    f"A passage has about {len(piece_offsets(text))} tokens, and {self.name} reads "
                    f"{self.max_tokens}.",
                    remedy="Ingest again with shorter passages (target_tokens).",
                )
            parts.extend(self._prefixes[kind] + window for window in found)
            owners.extend([row] * len(found))
        sums = np.zeros((len(texts), self.dimensions), np.float32)
        for start in range(0, len(parts), self._batch_size):
            batch = parts[start : start + self._batch_size]
            np.add.at(sums, owners[start : start + len(batch)], unit(self._checked(self._vectors(batch))))
            progress(self._doing, start + len(batch), len(parts))
        return unit(sums)

    @property
    def _doing(self) -> str:
        return f"sending passages to {self.sends_to}" if self.sends_to else "embedding passages"

    @abstractmethod
    def _vectors(self, texts: list[str]) -> FloatArray:
        """Vectors of any length of texts that fit."""

    def _checked(self, vectors: FloatArray) -> FloatArray:
        if vectors.ndim != 2 or vectors.shape[1] != self.dimensions or not np.isfinite(vectors).all():
            raise EmbedderError(
                f"{self.name} gave vectors of the shape {vectors.shape[1:]} or with numbers that are none, "
                f"where {self.dimensions} numbers were awaited."
            )
        return vectors


def unit(vectors: FloatArray) -> FloatArray:
    """Rows divided by their lengths; rows of zeros stay."""
    scaled: FloatArray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return scaled.astype(np.float32)
