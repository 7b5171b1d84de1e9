"""What it would cost to give a library another embedder."""

import time
from dataclasses import dataclass
from itertools import islice

from homespun.retrieval.embedder import Embedder
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.library import Library, of_another_embedder

#: Passages whose embedding is timed.
_TIMED = 16


@dataclass(frozen=True)
class ReindexCost:
    """What every passage has to be embedded again for.

    Attributes:
        n_passages: in the library now.
        seconds: at the speed measured on some of them; None where texts would have to be sent to a server
            for that, or there are none.
    """

    n_passages: int
    seconds: float | None

    @property
    def told(self) -> str:
        """For people."""
        if self.seconds is None:
            return f"{self.n_passages:,} passages would be embedded again"
        minutes = self.seconds / 60
        spent = f"{self.seconds:.0f} s" if self.seconds < 100 else f"{minutes:.0f} minutes"
        return f"{self.n_passages:,} passages would be embedded again, in about {spent}"


def other_embedder(library: Library, embedder: Embedder) -> LibraryError:
    """What is told when a library is opened with another embedder than its own; the library stays as it is."""
    facts = library.facts
    roots = sorted({document.root for document in library.documents() if document.root})
    paths = " ".join(roots[:3]) if 0 < len(roots) <= 3 else "PATHS"
    return LibraryError(
        f"{of_another_embedder(facts, embedder)} With the other one {reindex_cost(library, embedder).told}.",
        remedy=f"Use the first embedder, or make a new library: `homespun ingest {paths} --library "
        f"{facts.name}-new --embedder {embedder.name}`.",
    )


def reindex_cost(library: Library, embedder: Embedder) -> ReindexCost:
    """What re-indexing a library with another embedder costs, by timing it on some passages of the library."""
    n_passages = sum(document.n_passages for document in library.documents())
    sends_to: str = getattr(embedder, "sends_to", "")
    if not n_passages or sends_to:
        return ReindexCost(n_passages, None)
    batches = (batch["text"].to_pylist() for batch in library.tables.all_passages(["text"]))
    texts = [str(text) for text in islice((text for batch in batches for text in batch), _TIMED)]
    # Longer ones than this embedder reads would be split again: what fits of them is timed.
    limit = embedder.token_limit
    fitting = [text[: _end(limit.offsets(text), limit.max_tokens)] for text in texts]
    embedder.embed(fitting[:1], "passage")  # warm
    started = time.perf_counter()
    embedder.embed(fitting, "passage")
    return ReindexCost(n_passages, (time.perf_counter() - started) / len(fitting) * n_passages)


def _end(offsets: list[tuple[int, int]], max_tokens: int) -> int | None:
    # Some tokens fewer: cut text can have more than the same stretch of the whole.
    return None if len(offsets) <= max_tokens else offsets[max(0, max_tokens - 4)][0]
