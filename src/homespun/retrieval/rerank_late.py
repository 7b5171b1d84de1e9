"""Late interaction: every token of the question looks for its best partner in the passage.

Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction
over BERT" (2020). The states come from the library's own embedder, before it pools them into one vector:
it was not trained for this, yet its states keep what the mean of a long passage washes out.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import read_tokenizer
from homespun.retrieval.rerank_tokens import frame_of, plain_ids, windows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from homespun.engines.openvino.encoder_compile import EmbedderOptions
    from homespun.engines.openvino.encoder_heads import TokenEncoder

FloatArray = npt.NDArray[np.float32]

#: How the question's tokens count: all alike, or by how few of the passages hold them.
TokenWeights = Literal["plain", "idf"]

#: Tokens of a passage among which the question's partners are looked for, for they stand together where the
#: answer is. Chosen, with the weights, by `python bench/calibrate_rerank.py DATA` on covidqa's train split.
STRETCH_TOKENS = 64

#: Tokens that neighbouring windows of a long text share, so that each token sees its surroundings.
_OVERLAP = 32


def max_sim(query: FloatArray, passage: FloatArray, weights: FloatArray, stretch: int = 0) -> float:
    """The weighted mean over the question's tokens of the best cosine to any of the passage's tokens.

    With a stretch, the partners must stand within so many tokens of each other; the best stretch counts
    (of those that begin at every half stretch).

    Args:
        query: float32 (question tokens, dimensions), rows of length 1.
        passage: float32 (passage tokens, dimensions), rows of length 1.
        weights: float32 (question tokens,), not negative.
        stretch: tokens, 2 or more; 0: the whole passage is one.

    Returns:
        -1 to 1; -1 for a passage without tokens, 0 for a question without any.
    """
    total = float(weights.sum())
    if not total:
        return 0.0
    if not len(passage):
        return -1.0
    cosines = query @ passage.T
    size = stretch or len(passage)
    step = max(1, size // 2)
    starts = range(0, max(1, len(passage) - size + step), step)
    return max(float(cosines[:, start : start + size].max(axis=1) @ weights) for start in starts) / total


def token_weights(query_ids: Sequence[int], passages: Sequence[Sequence[int]]) -> FloatArray:
    """How rare each token of the question is among the passages: float32 (question tokens,).

    The inverse document frequency of BM25 (Robertson and Zaragoza 2009, in the form that is never negative).
    """
    n = len(passages)
    holders = [set(passage) for passage in passages]
    counts = {token: sum(token in held for held in holders) for token in set(query_ids)}
    weights = [math.log(1 + (n - counts[token] + 0.5) / (counts[token] + 0.5)) for token in query_ids]
    return np.array(weights, np.float32)


class LateInteraction:
    """Scores passages by max-sim over an embedder's token states. See `Reranker`.

    Attributes:
        name: `late`.
        weight: see `Reranker`.
    """

    name = "late"
    weight = 1.5

    def __init__(
        self,
        encoder: "TokenEncoder",
        tokenizer: "Tokenizer",
        window: int,
        weights: TokenWeights = "idf",
        stretch: int = STRETCH_TOKENS,
    ) -> None:
        """Use an open encoder.

        Args:
            window: tokens that it reads at once, special ones included.
            weights: how the question's tokens count; `idf` is of the passages of one call.
            stretch: see `max_sim`.
        """
        self.encoder = encoder
        self._tokenizer = tokenizer
        self._frame = frame_of(tokenizer)
        self._room = min(window, encoder.max_tokens) - self._frame.n_tokens
        self._weights = weights
        self._stretch = stretch

    @classmethod
    def open(
        cls,
        path: Path,
        options: "EmbedderOptions | None" = None,
        *,
        cache_path: Path | None = None,
        weights: TokenWeights = "idf",
        stretch: int = STRETCH_TOKENS,
    ) -> "LateInteraction":
        """Open the folder of a sentence-transformers embedder of the BERT family.

        Raises:
            EmbedderError: a tokenizer that cannot be read.
            EngineError: weights or configuration that cannot be run.
        """
        from homespun.engines.openvino.encoder_heads import TokenEncoder

        encoder = TokenEncoder.open(Path(path), options, cache_path)
        return cls(
            encoder, read_tokenizer(Path(path) / "tokenizer.json"), encoder.max_tokens, weights, stretch
        )

    def scores(self, query: str, texts: Sequence[str], progress: Progress = no_progress) -> FloatArray:
        """Max-sim of each text: float32 (n texts,), -1 to 1. See `Reranker.scores`."""
        if not texts:
            return np.zeros(0, np.float32)
        query_ids, *passage_ids = plain_ids(self._tokenizer, [query, *texts])
        query_states, *passage_states = self._states([query_ids, *passage_ids], progress)
        weights = np.ones(len(query_ids), np.float32)
        if self._weights == "idf":
            weights = token_weights(query_ids, passage_ids)
        found = [max_sim(query_states, states, weights, self._stretch) for states in passage_states]
        return np.array(found, np.float32)

    def _states(self, texts: Sequence[Sequence[int]], progress: Progress) -> list[FloatArray]:
        """For each text one state a token; a token in two windows takes it from where it stands deeper."""
        ranges = [windows(len(ids), self._room, _OVERLAP) for ids in texts]
        before, after = list(self._frame.before), list(self._frame.after)
        pieces = [
            [*before, *ids[start:end], *after]
            for ids, spans in zip(texts, ranges, strict=True)
            for start, end in spans
        ]
        states = iter(self.encoder.states(pieces, progress))
        joined = []
        for ids, spans in zip(texts, ranges, strict=True):
            whole = np.zeros((len(ids), self.encoder.config.hidden_size), np.float32)
            for number, (start, end) in enumerate(spans):
                # Half of what is shared with the window before is still that one's.
                begin = start if number == 0 else (start + spans[number - 1][1]) // 2
                first = len(before) + begin - start
                whole[begin:end] = next(states)[first : first + end - begin]
            joined.append(whole)
        return joined
