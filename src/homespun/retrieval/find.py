"""One search from names alone: opens the library and what reranks, searches, closes what it opened."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.rerank_open import open_rerankers
from homespun.retrieval.search import Hit, SearchOptions, search


@dataclass(frozen=True)
class RerankOptions:
    """Who reads the first passages again."""

    rerank: str = field(
        default="auto",
        metadata={
            "help": "who reads the first passages again: late (the embedder's token states), model (the language "
            "model), a folder of a cross-encoder, several of them with commas, off; auto: late where it can"
        },
    )

    def kinds(self) -> list[str]:
        """What is asked for, in its order; nothing for `off`."""
        if self.rerank in ("off", ""):
            return []
        return ["late" if kind == "auto" else kind for kind in map(str.strip, self.rerank.split(",")) if kind]


def find_passages(
    home: Home,
    library: str | Library,
    query: str,
    options: SearchOptions = SearchOptions(),
    reranking: RerankOptions = RerankOptions(),
    *,
    model: str | None = None,
    progress: Progress = no_progress,
) -> list[Hit]:
    """The passages of a library that fit a query best, reranked as asked. See `open_finder` for many queries.

    Args:
        home: where libraries, embedders and models are.
        library: its name, or an open one.
        query: any text.
        options, reranking: how.
        model: the language model of the reranker `model`; None: the default one.

    Raises:
        LibraryError: no such library.
        RetrievalError: no such reranker.
    """
    with open_finder(home, library, options, reranking, model=model, progress=progress) as find:
        return find(query)


@contextmanager
def open_finder(
    home: Home,
    library: str | Library,
    options: SearchOptions = SearchOptions(),
    reranking: RerankOptions = RerankOptions(),
    *,
    model: str | None = None,
    progress: Progress = no_progress,
) -> Iterator[Callable[[str], list[Hit]]]:
    """What finds passages for one query after the other: library and rerankers are opened once.

    Raises:
        LibraryError: no such library.
        RetrievalError: no such reranker.
    """
    opened = open_library(home, library) if isinstance(library, str) else library
    kinds = reranking.kinds()
    embedder = opened.facts.embedder_name
    with ExitStack() as stack:
        opening = open_rerankers(home, kinds, embedder=embedder, model=model, progress=progress)
        try:
            rerankers = stack.enter_context(opening)
        except RetrievalError:
            if reranking.rerank != "auto":
                raise
            rerankers = []  # an embedder without token states: nothing to rerank by
        yield lambda query: search(opened, query, options, rerankers=rerankers)
