"""The passages of a library that fit a question best, by keywords and by meaning together."""

from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from homespun.documents.split import Passage
from homespun.retrieval.analysis import codes, phrases, plain
from homespun.retrieval.duplicates import collapsed
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.fusion import exact_first, fuse_scores, ranks
from homespun.retrieval.keywords import keyword_query
from homespun.retrieval.library import Library
from homespun.retrieval.nearest import PassageKey
from homespun.retrieval.rerank import Reranker, headed, rerank

#: Each search offers so many passages for each hit asked for, and at least so many in all.
_CANDIDATES_PER_HIT = 10
_MIN_CANDIDATES = 100
#: A code that more passages hold than this tells none of them apart.
_MOST_HOLDERS = 10
#: A code is also in the index of the two passages beside the one that holds it.
_READ_PER_CODE = 3 * (_MOST_HOLDERS + 1)
#: Scores of copies differ by rounding only.
_NEAR = 0.005
#: Passages that rerankers read.
_RERANKED = 20


@dataclass(frozen=True)
class SearchOptions:
    """How passages are found."""

    n_hits: int = field(default=10, metadata={"help": "passages to give at most"})
    keyword_weight: float = field(
        default=0.45, metadata={"help": "1: keywords alone; 0: meaning (vectors) alone; between: both"}
    )

    exact: bool = field(
        default=True,
        metadata={"help": "passages that hold the query's codes and quotations exactly come first"},
    )
    collapse: bool = field(default=True, metadata={"help": "give passages with nearly the same text once"})

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
        also_in: names of other documents with the same or nearly the same text.
        stages: the score that each stage gave, by its name.
    """

    passage: Passage
    score: float
    keyword_score: float
    vector_score: float
    keyword_rank: int | None
    vector_rank: int | None
    title: str = ""
    also_in: tuple[str, ...] = ()
    stages: Mapping[str, float | int] = field(default_factory=dict)


def search(
    library: Library,
    query: str,
    options: SearchOptions | None = None,
    *,
    rerankers: Sequence[Reranker] = (),
) -> list[Hit]:
    """Find passages, the best first. Any text is a query; none of it is taken as an operator.

    Nothing is left out for being unlike the question: nearest passages always exist, and whether they
    are near enough is for the caller to judge from the scores.

    Args:
        library: opened with its embedder.
        query: what to look for.
        options: which stages work, and how.
        rerankers: read the first passages again, one after the other (`retrieval.rerank_open`).

    Raises:
        LibraryError: the library cannot be read, or was opened without its embedder.
    """
    if not query.strip():
        return []
    with library.tables.reading():
        return _search(library, query, options or SearchOptions(), rerankers)


def _search(library: Library, query: str, options: SearchOptions, rerankers: Sequence[Reranker]) -> list[Hit]:
    documents = library.documents_of_contents()
    if not documents:
        return []
    found = _Candidates(library, query, max(_MIN_CANDIDATES, _CANDIDATES_PER_HIT * options.n_hits), documents)
    fused = fuse_scores(found.keyword_scores, found.vector_scores, options.keyword_weight)
    if options.keyword_weight == 1:
        fused = {key: score for key, score in fused.items() if key in found.keyword_scores}
    held = _held(library, query, found.keyword_scores) if options.exact else {}
    scores = exact_first(fused, held, _MOST_HOLDERS)
    ordered = sorted(scores, key=lambda key: (-scores[key], documents[key[0]][0].name, key[1]))
    # Some of the first may be copies of others.
    n_read = max(options.n_hits * (2 if options.collapse else 1), _RERANKED if rerankers else 0)
    rows = library.tables.rows(ordered[:n_read])
    hits = []
    for key, row in rows.items():
        stages: dict[str, float | int] = {"fused": fused[key]}
        if key in found.keyword_scores:
            stages["keywords"] = found.keyword_scores[key]
        stages["vectors"] = found.vector_scores[key]
        if held.get(key):
            stages["exact"] = held[key]
        hits.append(
            Hit(
                _passage(row, documents[key[0]][0].name),
                scores[key],
                found.keyword_scores.get(key, 0.0),
                found.vector_scores[key],
                found.keyword_ranks.get(key),
                found.vector_ranks.get(key),
                documents[key[0]][0].title,
                tuple(document.name for document in documents[key[0]][1:]),
                stages,
            )
        )
    if rerankers:
        hits = _reranked(query, hits, rerankers)
    return (_collapsed(hits) if options.collapse else hits)[: options.n_hits]


def _held(library: Library, query: str, keys: Mapping[PassageKey, float]) -> dict[PassageKey, int]:
    """How many codes and quotations of the query each of the passages found by keywords holds.

    Only those are read that the index names first for the codes and quotations alone: where more hold one,
    it tells nothing apart anyway.
    """
    wanted, quoted = dict.fromkeys(codes(query)), phrases(query)
    there: dict[PassageKey, float] = {}
    for sought in (*wanted, *quoted):
        words = keyword_query(sought, library.latin_languages())
        there |= library.tables.keyword_hits(words, _READ_PER_CODE)
    held: dict[PassageKey, int] = {}
    if not there:
        return held
    for key, row in library.tables.rows([key for key in there if key in keys]).items():
        found = set(codes(row["text"]))
        text = plain(row["text"]) if quoted else ""
        held[key] = sum(code in found for code in wanted) + sum(phrase in text for phrase in quoted)
    return held


def _reranked(query: str, hits: Sequence[Hit], rerankers: Sequence[Reranker]) -> list[Hit]:
    """The first hits in the order of search and rerankers together; scores stay falling."""
    first, rest = hits[:_RERANKED], hits[_RERANKED:]
    texts = [headed(hit.passage.headings, hit.passage.text) for hit in first]
    again = rerank(query, texts, [hit.score for hit in first], rerankers)
    falling = sorted((hit.score for hit in first), reverse=True)
    ordered = []
    for score, place in zip(falling, again.order, strict=True):
        told = {name: values[place] for name, values in again.stages.items() if place in values}
        stages = {**first[place].stages, **told, "blend": again.blend[place]}
        ordered.append(replace(first[place], score=score, stages=stages))
    return [*ordered, *rest]


def _collapsed(hits: Sequence[Hit]) -> list[Hit]:
    """Each text once, with the documents that have it too."""
    kept = []
    for group in collapsed([hit.passage.text for hit in hits]):
        best = hits[group[0]].score
        copies = [hits[place] for place in group if hits[place].score >= best - _NEAR]
        first = min(copies, key=lambda hit: (hit.passage.document, hit.passage.start))
        names = (name for place in group for name in (hits[place].passage.document, *hits[place].also_in))
        others = dict.fromkeys(name for name in names if name != first.passage.document)
        kept.append(replace(first, score=best, also_in=tuple(others)))
    return kept


class _Candidates:
    """What both searches found, each passage with both scores; their texts are not read yet."""

    def __init__(self, library: Library, query: str, n: int, names: Container[str]) -> None:
        store = library.tables
        with ThreadPoolExecutor(1) as pool:  # the embedder computes while the index is read
            embedding = pool.submit(library.embedder.embed, [query], "query")
            by_keyword = store.keyword_hits(keyword_query(query, library.latin_languages()), n)
            vector = embedding.result()[0]
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
