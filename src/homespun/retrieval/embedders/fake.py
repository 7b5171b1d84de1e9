"""An embedder without a model, for tests and trials: each word has a random direction, always the same."""

import hashlib
import re

import numpy as np

from homespun.retrieval.embedders.counted import CountedEmbedder, FloatArray


class HashEmbedder(CountedEmbedder):
    """The vector of a text is the sum of its words' directions."""

    def __init__(self, name: str = "fake", dimensions: int = 64, max_tokens: int = 512) -> None:
        super().__init__(name, f"hash of words, {dimensions}", dimensions, max_tokens)

    def _vectors(self, texts: list[str]) -> FloatArray:
        return np.array([self._sum(text) for text in texts], np.float32)

    def _sum(self, text: str) -> FloatArray:
        words = re.findall(r"\w+", text.lower()) or ["\0"]  # no text without a direction
        return np.sum([self._direction(word) for word in words], axis=0, dtype=np.float32)

    def _direction(self, word: str) -> FloatArray:
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(self.dimensions).astype(np.float32)
