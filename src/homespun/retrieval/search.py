"""The passages of a library that fit a question best, by keywords and by meaning together."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
    names: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    for document in library.documents():
        names.setdefault(document.content_id, []).append(document.name)
        titles[document.content_id] = document.title
    names.pop("", None)
    if not names:
        return []
    found = _Candidates(library, query, max(_MIN_CANDIDATES, _CANDIDATES_PER_HIT * options.n_hits), names)
    scores = fuse_scores(found.keyword_scores, found.vector_scores, options.keyword_weight)
    if options.keyword_weight == 1:
        scores = {key: score for key, score in scores.items() if key in found.keyword_scores}
    best = sorted(scores, key=lambda key: (-scores[key], names[key[0]][0], key[1]))
    return [
        Hit(
            found.passage(key, names[key[0]][0]),
            scores[key],
            found.keyword_scores.get(key, 0.0),
            found.vector_scores[key],
            found.keyword_ranks.get(key),
            found.vector_ranks.get(key),
            titles[key[0]],
            tuple(names[key[0]][1:]),
        )
        for key in best[: options.n_hits]
    ]


#: A passage: its content, and its number there.
_Key = tuple[str, int]


class _Candidates:
    """What both searches found, each passage with both scores."""

    def __init__(self, library: Library, query: str, n: int, names: dict[str, list[str]]) -> None:
        vector = library.embedder.embed([query], "query")[0]
        self.keyword_scores: dict[_Key, float] = {}
        self.vector_scores: dict[_Key, float] = {}
        self._rows: dict[_Key, dict[str, Any]] = {}
        by_keyword = library.tables.keyword_hits(keyword_query(query), n)
        by_vector = library.tables.vector_hits(vector, n)
        nearest: dict[_Key, float] = {}
        for table in (by_keyword, by_vector):
            if not table.num_rows:
                continue
            matrix = table["vector"].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
            products = np.clip(matrix @ vector, -1, 1)
            scores = table["_score"].to_pylist() if table is by_keyword else None
            for row, values in enumerate(table.drop_columns(["vector"]).to_pylist()):
                key = (values["content_id"], values["number"])
                if key[0] not in names:
                    continue  # not committed yet, or left by a writer that was killed
                self._rows[key] = values
                self.vector_scores[key] = float(products[row])
                if scores:
                    self.keyword_scores[key] = float(scores[row])
                else:
                    nearest[key] = float(products[row])
        self.keyword_ranks = ranks(self.keyword_scores)
        self.vector_ranks = ranks(nearest)

    def passage(self, key: _Key, document: str) -> Passage:
        row = self._rows[key]
        headings = tuple(row["headings"])
        return Passage(document, row["start"], row["end"], row["text"], row["page"], headings)
