"""A cross-encoder of the user's own: a model trained to score a question and a passage read together.

Nogueira and Cho, "Passage Re-ranking with BERT" (2019). It runs from a Hugging Face folder of a BERT
or (XLM-)RoBERTa sequence classifier with one label, such as the ms-marco-MiniLM and bge-reranker families.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import read_tokenizer
from homespun.retrieval.rerank_tokens import PairFrame, pair_frame_of, plain_ids, windows

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from homespun.engines.openvino.encoder_compile import EmbedderOptions
    from homespun.engines.openvino.encoder_heads import PairClassifier

FloatArray = npt.NDArray[np.float32]

#: Tokens that neighbouring windows of a long passage share.
_OVERLAP = 32


class CrossEncoder:
    """Scores passages by a classifier's one label. See `Reranker`.

    Attributes:
        name: `cross:` and the folder's.
        weight: see `Reranker`.
        classifier: what runs it; knows the precision in force.
    """

    #: Not measured: no trained one can be fetched from the package index. They lead where they are published.
    weight = 3.0

    def __init__(self, name: str, classifier: "PairClassifier", tokenizer: "Tokenizer") -> None:
        self.name = name
        self.classifier = classifier
        self._tokenizer = tokenizer
        self._frame = pair_frame_of(tokenizer)

    @classmethod
    def open(
        cls, path: Path, options: "EmbedderOptions | None" = None, *, cache_path: Path | None = None
    ) -> "CrossEncoder":
        """Open a folder with config.json, model.safetensors and tokenizer.json.

        Raises:
            EmbedderError: a tokenizer that cannot be read.
            EngineError: another kind of model, more than one label, or damaged weights.
        """
        from homespun.engines.openvino.encoder_heads import PairClassifier

        path = Path(path)
        classifier = PairClassifier.open(path, options, cache_path)
        return cls(f"cross:{path.name}", classifier, read_tokenizer(path / "tokenizer.json"))

    def scores(self, query: str, texts: Sequence[str], progress: Progress = no_progress) -> FloatArray:
        """The classifier's logit of each text: float32 (n texts,). See `Reranker.scores`.

        A passage that does not fit beside the question is read in windows, and the best one counts. A
        question longer than half of the model's window is read in windows, and their mean counts.
        """
        if not texts:
            return np.zeros(0, np.float32)
        query_ids, *passages = plain_ids(self._tokenizer, [query, *texts])
        free = self.classifier.max_tokens - self._frame.n_tokens
        questions = windows(len(query_ids), free // 2, 0) or [(0, 0)]
        rows: list[list[int]] = []
        n_first: list[int] = []
        owners: list[tuple[int, int]] = []
        for number, ids in enumerate(passages):
            for part, (begin, end) in enumerate(questions):
                for start, stop in windows(len(ids), free - (end - begin), _OVERLAP) or [(0, 0)]:
                    row, first = _pair(self._frame, query_ids[begin:end], ids[start:stop])
                    rows.append(row)
                    n_first.append(first)
                    owners.append((number, part))
        best = np.full((len(texts), len(questions)), -np.inf, np.float32)
        np.maximum.at(best, tuple(np.array(owners).T), self.classifier.logits(rows, n_first, progress))
        return best.mean(axis=1)


def _pair(frame: PairFrame, query: Sequence[int], passage: Sequence[int]) -> tuple[list[int], int]:
    """Both texts in one row, and the number of tokens that belong to the first (BERT's way to count)."""
    first = [*frame.before, *query, *frame.between]
    return [*first, *passage, *frame.after], len(first)
