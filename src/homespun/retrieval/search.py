"""The passages of a library that fit a question best, by keywords and by meaning together."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from homespun.documents.split import Passage
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.fusion import fuse_scores, ranks
from homespun.retrieval.keywords import keyword_query
from homespun.retrieval.library import Library

#: Each search offers so many passages for each hit asked for, and at least so many in all.
_CANDIDATES_PER_HIT = 10
_MIN_CANDIDATES = 100


@dataclass(frozen=True)
class SearchOptions:
    """How passages are found."""

    n_hits: int = field(default=10, metadata={"help": "passages to give at most"})
    keyword_weight: float = field(
        default=0.45, metadata={"help": "1: keywords alone; 0: meaning (vectors) alone; between: both"}
    )

    def __post_init__(self) -> None:
        if self.n_hits < 1:
            raise RetrievalError(f"n_hits is {self.n_hits}; it must be 1 or more.")
        if not 0 <= self.keyword_weight <= 1:
            raise RetrievalError(f"keyword_weight is {self.keyword_weight}; it must be from 0 to 1.")


@dataclass(frozen=True)
class Hit:
    """A passage that was found.

    Attributes:
        score: what hits are ordered by, comparable only within one search.
        keyword_score: BM25, 0 if keywords did not find it. `keyword_rank`: its place there from 1, or None.
        vector_score: the cosine to the question, -1 to 1. `vector_rank`: its place among all vectors from
            1, or None beyond the candidates.
        title: of its document.
        also_in: names of other documents with the same content.
    """

    passage: Passage
    score: float
    keyword_score: float
    vector_score: float
    keyword_rank: int | None
    vector_rank: int | None
    title: str = ""
    also_in: tuple[str, ...] = ()


def search(library: Library, query: str, options: SearchOptions | None = None) -> list[Hit]:
    """Find passages, the best first. Any text is a query; none of it is taken as an operator.

    Nothing is left out for being unlike the question: nearest passages always exist, and whether they
    are near enough is for the caller to judge from the scores.

    Raises:
        LibraryError: the library cannot be read, or was opened without its embedder.
    """
    options = options or SearchOptions()
    if not query.strip():
        return []
    documents = library.documents_of_contents()
    if not documents:
        return []
    found = _Candidates(library, query, max(_MIN_CANDIDATES, _CANDIDATES_PER_HIT * options.n_hits), documents)
    scores = fuse_scores(found.keyword_scores, found.vector_scores, options.keyword_weight)
    if options.keyword_weight == 1:
        scores = {key: score for key, score in scores.items() if key in found.keyword_scores}
    ordered = sorted(scores, key=lambda key: (-scores[key], documents[key[0]][0].name, key[1]))
    rows = library.tables.rows(ordered[: options.n_hits])
    return [
        Hit(
            _passage(row, documents[key[0]][0].name),
            scores[key],
            found.keyword_scores.get(key, 0.0),
            found.vector_scores[key],
            found.keyword_ranks.get(key),
            found.vector_ranks.get(key),
            documents[key[0]][0].title,
            tuple(document.name for document in documents[key[0]][1:]),
        )
        for key, row in rows.items()
    ]


class _Candidates:
    """What both searches found, each passage with both scores; their texts are not read yet."""

    def __init__(self, library: Library, query: str, n: int, names: Container[str]) -> None:
        vector = library.embedder.embed([query], "query")[0]
        store = library.tables
        by_keyword = store.keyword_hits(keyword_query(query), n)
        by_vector = store.vector_hits(vector, n)
        only_keyword = [key for key in by_keyword if key not in by_vector]
        products = by_vector | store.products(only_keyword, vector)
        # Others are not committed yet, or were left by a writer that was killed.
        self.keyword_scores = {
            key: score for key, score in by_keyword.items() if key[0] in names and key in products
        }
        self.vector_scores = {
            key: min(1.0, max(-1.0, product)) for key, product in products.items() if key[0] in names
        }
        self.keyword_ranks = ranks(self.keyword_scores)
        self.vector_ranks = ranks(
            {key: score for key, score in self.vector_scores.items() if key in by_vector}
        )


def _passage(row: Mapping[str, Any], document: str) -> Passage:
    return Passage(document, row["start"], row["end"], row["text"], row["page"], tuple(row["headings"]))
