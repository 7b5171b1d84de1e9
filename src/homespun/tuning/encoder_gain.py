"""What another embedder changes in a library's search, measured without ingesting anything again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from homespun.documents.split import Passage
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder
from homespun.retrieval.fusion import fuse_scores
from homespun.retrieval.keywords import keyword_query
from homespun.retrieval.library import Library
from homespun.retrieval.nearest import nearest
from homespun.retrieval.search import SearchOptions
from homespun.tuning.encoder_pairs import PlacedQuestion, holds
from homespun.tuning.paired import PairedInterval, paired_difference

CUTS = (1, 5, 10)
#: As many passages each search offers as `search` takes for ten hits.
_CANDIDATES = 100


@dataclass(frozen=True)
class Gain:
    """The share of questions with a right passage among the first `cut`, and what changed.

    Attributes:
        way: `search` (keywords and vectors together, as libraries search) or `vectors`.
        difference: after less before, with its paired 95% interval over questions.
    """

    way: str
    cut: int
    before: float
    after: float
    difference: PairedInterval


@dataclass(frozen=True)
class _Rows:
    keys: list[tuple[str, int]]
    passages: list[Passage]
    stored: Any  # float32 (passages, dimensions)


def measure_gain(
    library: Library,
    tuned: Embedder,
    questions: Sequence[PlacedQuestion],
    progress: Progress = no_progress,
) -> tuple[Gain, ...]:
    """Both embedders on the same questions and passages, by vectors alone and fused with keywords.

    Args:
        library: opened with its embedder, whose vectors it holds.
        tuned: reads the same passages.
        questions: none of which was learnt.

    Raises:
        EmbedderError: a passage is too long for the tuned one.
    """
    rows = _read(library)
    asked = [one.question for one in questions]
    old = library.embedder.embed(asked, "query")
    matrix = tuned.embed([passage.text for passage in rows.passages], "passage", progress)
    new = tuned.embed(asked, "query")
    keywords = [_keywords(library, question) for question in asked]
    gains = []
    for way, weight in (("search", SearchOptions().keyword_weight), ("vectors", 0.0)):
        before, after = (
            [
                _rank(one, rows, vectors, vector, words, weight)
                for one, vector, words in zip(questions, queries, keywords, strict=True)
            ]
            for vectors, queries in ((rows.stored, old), (matrix, new))
        )
        for cut in CUTS:
            hits = [[float(rank <= cut) for rank in ranks] for ranks in (before, after)]
            was, now = (float(np.mean(values)) for values in hits)
            gains.append(Gain(way, cut, was, now, paired_difference(hits[0], hits[1])))
    return tuple(gains)


def _read(library: Library) -> _Rows:
    documents = library.documents_of_contents()
    keys, passages, vectors = [], [], []
    for batch in library.tables.all_passages(("content_id", "number", "start", "end", "text", "vector")):
        for row in batch.to_pylist():
            if row["content_id"] in documents:
                name = documents[row["content_id"]][0].name
                keys.append((row["content_id"], row["number"]))
                passages.append(Passage(name, row["start"], row["end"], row["text"], None, ()))
                vectors.append(row["vector"])
    return _Rows(keys, passages, np.array(vectors, np.float32))


def _keywords(library: Library, question: str) -> dict[tuple[str, int], float]:
    return library.tables.keyword_hits(keyword_query(question, library.latin_languages()), _CANDIDATES)


def _rank(
    question: PlacedQuestion,
    rows: _Rows,
    matrix: Any,
    vector: Any,
    keywords: dict[tuple[str, int], float],
    weight: float,
) -> float:
    """The place of the first passage that holds the answer, from 1; infinite beyond the candidates."""
    near, _ = nearest(matrix, vector, _CANDIDATES)
    places = {key: place for place, key in enumerate(rows.keys) if key in keywords} if weight else {}
    candidates = dict.fromkeys([*near.tolist(), *places.values()])
    similar = {place: float(matrix[place] @ vector) for place in candidates}
    by_word = {place: keywords[key] for key, place in places.items()}
    fused = fuse_scores(by_word, similar, weight)
    ordered = sorted(fused, key=lambda place: (-fused[place], place))
    for rank, place in enumerate(ordered[: max(CUTS)], 1):
        if holds(question, rows.passages[place]):
            return rank
    return float("inf")
