"""What a library needs of the place where its rows are kept, whichever database that is.

A *content* is what a file's bytes became under one way of reading and splitting; its id is a digest of
both. Passages and texts belong to contents, documents say which file has which content. Only contents
that a document names exist for readers, so one commit to the documents makes them appear, change and go,
and what a killed writer leaves behind is never seen.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from homespun.documents.document import Document, Page, Place
from homespun.retrieval.nearest import Array, PassageKey

_COMPRESSED = {b"lance-encoding:compression": b"zstd"}

DOCUMENTS = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("root", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("content_id", pa.string(), nullable=False),
        pa.field("made", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("n_chars", pa.int64(), nullable=False),
        pa.field("n_passages", pa.int64(), nullable=False),
        pa.field("n_pages", pa.int64(), nullable=False),
    ]
)
#: `places`: JSON list of [start, end, label]; `pages`: JSON list of [number, start, end].
TEXTS = pa.schema(
    [
        pa.field("content_id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False, metadata=_COMPRESSED),
        pa.field("places", pa.large_string(), nullable=False, metadata=_COMPRESSED),
        pa.field("pages", pa.large_string(), nullable=False, metadata=_COMPRESSED),
    ]
)
#: What is read of passages that were found: all but what is searched in.
PASSAGE_COLUMNS = ("content_id", "number", "start", "end", "page", "headings", "text")


def passages_schema(dimensions: int) -> pa.Schema:
    """`keywords` is what the keyword index reads; `vector` a row of length 1."""
    return pa.schema(
        [
            pa.field("content_id", pa.string(), nullable=False),
            pa.field("number", pa.int32(), nullable=False),
            pa.field("start", pa.int64(), nullable=False),
            pa.field("end", pa.int64(), nullable=False),
            pa.field("page", pa.int32()),
            pa.field("headings", pa.list_(pa.string()), nullable=False),
            pa.field("text", pa.large_string(), nullable=False, metadata=_COMPRESSED),
            pa.field("keywords", pa.large_string(), nullable=False, metadata=_COMPRESSED),
            pa.field("vector", pa.list_(pa.float32(), dimensions), nullable=False),
        ]
    )


@dataclass(frozen=True)
class Group:
    """Rows that are written together, as `DOCUMENTS`, `TEXTS` and `passages_schema` say."""

    documents: Sequence[dict[str, Any]]
    texts: Sequence[dict[str, Any]]
    passages: Sequence[dict[str, Any]]


def text_row(content_id: str, document: Document) -> dict[str, Any]:
    """A content's text with its pages and places, as a row of `TEXTS`."""
    places = [[place.start, place.end, place.label] for place in document.places]
    pages = [[page.number, page.start, page.end] for page in document.pages]
    return {
        "content_id": content_id,
        "text": document.text,
        "places": json.dumps(places, ensure_ascii=False),
        "pages": json.dumps(pages),
    }


def places_of(stored: str) -> tuple[Place, ...]:
    """The places that the column `places` of a text says."""
    return tuple(Place(start, end, label) for start, end, label in json.loads(stored))


def pages_of(stored: str) -> tuple[Page, ...]:
    """The pages that the column `pages` of a text says."""
    return tuple(Page(number, start, end) for number, start, end in json.loads(stored))


class Store(Protocol):
    """Where a library's rows are. Readers see each commit at once; writers hold the library's lock.

    Every method raises LibraryError when the rows cannot be read or written.
    """

    def reading(self) -> AbstractContextManager[None]:
        """Inside, this thread's searches see one state of the passages, the newest when the block began."""

    def version(self) -> str:
        """Differs whenever documents or passages were written or removed, by whichever process."""

    def document_rows(self) -> list[dict[str, Any]]:
        """All rows of `DOCUMENTS`."""

    def n_passages(self) -> int:
        """Passages of all contents, those that no document names yet too."""

    def text(self, content_id: str) -> str | None:
        """The text of a content; None if it has none."""

    def places(self, content_id: str) -> tuple[Place, ...]:
        """The named places of a content's text, sorted by their start."""

    def pages(self, content_id: str) -> tuple[Page, ...]:
        """The pages of a content's text."""

    def passages(self, content_id: str) -> pa.Table:
        """The passages of a content by number: all columns of `passages_schema`."""

    def all_passages(self, columns: Sequence[str] = PASSAGE_COLUMNS) -> Iterator[pa.RecordBatch]:
        """All passages in no order, in batches; those of contents that no document names too."""

    def all_texts(self) -> Iterator[pa.RecordBatch]:
        """All rows of `TEXTS` in no order, in batches; of contents that no document names too."""

    def write(self, group: Group) -> None:
        """Add contents, then name them in the documents, in one commit for the whole group."""

    def remove_documents(self, sources: Iterable[str]) -> None:
        """Forget files; their contents go with `remove_orphans`."""

    def remove_orphans(self) -> int:
        """Delete contents that no document names; the number of them."""

    def tidy(self) -> None:
        """Make searching fast again after writing. Search finds everything without it."""

    def purge(self) -> None:
        """Leave nothing of removed documents where the rows are: orphans, old states, dead index entries.

        Readers that opened an old state before lose it.
        """

    def close(self) -> None:
        """End connections; the store is of no use afterwards."""

    def claim(self, identity: str) -> str:
        """Whose vectors are kept here: the embedder's that claimed it first, which is this one if none did."""

    def drop(self) -> None:
        """Delete all rows, and what held them; the store is of no use afterwards."""

    def keyword_hits(self, query: str, n: int) -> dict[PassageKey, float]:
        """The n best passages by BM25 with their scores, the best first; none for a query without words."""

    def vector_hits(self, vector: Array, n: int) -> dict[PassageKey, float]:
        """The n passages of the largest product with a vector, compared with all of them, the best first.

        Args:
            vector: float32, (dimensions,).
            n: passages to give at most.
        """

    def products(self, keys: Sequence[PassageKey], vector: Array) -> dict[PassageKey, float]:
        """The product of each passage's vector with a vector; passages that are gone are left out."""

    def rows(self, keys: Sequence[PassageKey]) -> dict[PassageKey, dict[str, Any]]:
        """The `PASSAGE_COLUMNS` of passages, in the order of `keys`; passages that are gone are left out."""
