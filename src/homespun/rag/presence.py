"""Which words of a question a passage has, a word of near meaning counting by its nearness."""

from collections.abc import Sequence

import numpy as np

from homespun.rag.embeds import Embeds, FloatArray
from homespun.rag.words import Word, content_words


class WordVectors:
    """Vectors of single words, each embedded once."""

    def __init__(self, embedder: Embeds) -> None:
        self._embedder = embedder
        self._vectors: dict[str, FloatArray] = {}

    def of(self, words: Sequence[str]) -> FloatArray:
        """Unit rows (n words, dimensions); case does not count."""
        lower = [word.lower() for word in words]
        missing = sorted(set(lower) - self._vectors.keys())
        if missing:
            vectors = self._embedder.embed(missing, "query")
            self._vectors.update(zip(missing, vectors, strict=True))
        if not lower:
            return np.zeros((0, 1), dtype=np.float32)
        return np.stack([self._vectors[word] for word in lower])


def word_presence(words: Sequence[Word], texts: Sequence[str], vectors: WordVectors) -> FloatArray:
    """How far each text has each word: float32 (n texts, n words).

    1 where the text has the word itself (endings aside), else the cosine of its nearest word; a number
    or code is there or is not.
    """
    presence = np.zeros((len(texts), len(words)), dtype=np.float32)
    for row, text in enumerate(texts):
        others = {word.term: word.text for word in content_words(text) if not word.has_digit}
        terms = {word.term for word in content_words(text)}
        missing = [
            column for column, word in enumerate(words) if word.term not in terms and not word.has_digit
        ]
        presence[row] = [float(word.term in terms) for word in words]
        if missing and others:
            cosines = (
                vectors.of([words[column].text for column in missing]) @ vectors.of(list(others.values())).T
            )
            presence[row, missing] = np.clip(cosines.max(axis=1), 0, 1)
    return presence
