"""The three LanceDB tables of a library, and everything here that knows LanceDB.

A *content* is what a file's bytes became under one way of reading and splitting; its id is a digest of
both. `passages` and `texts` belong to contents, `documents` says which file has which content. Only
contents that a row of `documents` names exist for readers, so one commit to that table makes documents
appear, change and go, and what a killed writer leaves behind is never seen.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pyarrow.compute as pc
from lancedb.index import FTS
from lancedb.query import MatchQuery

from homespun.retrieval.errors import LibraryError

_COMPRESSED = {b"lance-encoding:compression": b"zstd"}
#: Cached per open library; LanceDB would take up to 7 GiB.
_INDEX_CACHE_BYTES = 64 << 20
_METADATA_CACHE_BYTES = 32 << 20
#: Old states of the tables stay this long, for readers that opened them before.
_KEEP_VERSIONS = timedelta(hours=1)

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
TEXTS = pa.schema(
    [
        pa.field("content_id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False, metadata=_COMPRESSED),
    ]
)


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
    """Rows that are written together."""

    documents: Sequence[dict[str, Any]]
    texts: Sequence[dict[str, Any]]
    passages: Sequence[dict[str, Any]]


class Tables:
    """The tables of one library. Readers see each commit at once; writers hold the library's lock."""

    def __init__(self, path: Path, dimensions: int) -> None:
        with _named_failures(path):
            path.mkdir(parents=True, exist_ok=True)
            database = lancedb.connect(
                path,
                read_consistency_interval=timedelta(0),
                session=lancedb.Session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES),
            )
            schemas = {"documents": DOCUMENTS, "texts": TEXTS, "passages": passages_schema(dimensions)}
            tables = {
                name: database.create_table(name, schema=schema, exist_ok=True)
                for name, schema in schemas.items()
            }
        self.path = path
        self.documents = tables["documents"]
        self.texts = tables["texts"]
        self.passages = tables["passages"]

    def document_rows(self) -> list[dict[str, Any]]:
        """All rows of `documents`."""
        with _named_failures(self.path):
            rows: list[dict[str, Any]] = self.documents.to_arrow().to_pylist()
        return rows

    def text(self, content_id: str) -> str | None:
        """The text of a content; None if it has none."""
        with _named_failures(self.path):
            rows = self.texts.search().where(f"content_id = '{content_id}'").select(["text"])
            found = rows.limit(1).to_arrow()
        return str(found["text"][0].as_py()) if found.num_rows else None

    def write(self, group: Group) -> None:
        """Add contents, then name them in `documents`, in one commit for the whole group."""
        with _named_failures(self.path):
            if group.passages:
                self.passages.add(pa.Table.from_pylist(list(group.passages), self.passages.schema))
            if group.texts:
                self.texts.add(pa.Table.from_pylist(list(group.texts), TEXTS))
            if group.documents:
                rows = pa.Table.from_pylist(list(group.documents), DOCUMENTS)
                merge = self.documents.merge_insert("source")
                merge.when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def remove_documents(self, sources: Iterable[str]) -> None:
        """Forget files; their contents go with `remove_orphans`."""
        with _named_failures(self.path):
            for chunk in _chunks(sorted(sources)):
                self.documents.delete(f"source IN ({', '.join(map(_quoted, chunk))})")

    def remove_orphans(self) -> int:
        """Delete contents that no document names; the number of them."""
        n_removed = 0
        with _named_failures(self.path):
            named = set(pc.unique(self.documents.to_arrow()["content_id"]).to_pylist())
            for table in (self.passages, self.texts):
                there = table.search().select(["content_id"]).limit(table.count_rows() or 1).to_arrow()
                orphans = set(pc.unique(there["content_id"]).to_pylist()) - named
                for chunk in _chunks(sorted(orphans)):
                    table.delete(f"content_id IN ({', '.join(map(_quoted, chunk))})")
                n_removed = max(n_removed, len(orphans))
        return n_removed

    def tidy(self) -> None:
        """Index new passages for keywords and merge small files. Search finds everything without it."""
        with _named_failures(self.path):
            # An index that was made over no rows finds less, so it waits for the first ones.
            if self.passages.count_rows() and not self.passages.list_indices():
                self.passages.create_index("keywords", config=_keyword_index())
            for table in (self.passages, self.texts, self.documents):
                table.optimize(cleanup_older_than=_KEEP_VERSIONS)

    def keyword_hits(self, query: str, n: int) -> pa.Table:
        """The n best passages by BM25, the score in `_score`; none for a query without words."""
        with _named_failures(self.path):
            words = MatchQuery(query, "keywords")  # type: ignore[call-arg]
            search = self.passages.search(words, query_type="fts")
            return search.select([*_HIT_COLUMNS, "_score"]).limit(n).to_arrow()

    def vector_hits(self, vector: Any, n: int) -> pa.Table:
        """The n passages of the largest product with a vector, compared with all of them."""
        with _named_failures(self.path):
            search: Any = self.passages.search(vector, vector_column_name="vector")
            return search.distance_type("dot").select([*_HIT_COLUMNS, "_distance"]).limit(n).to_arrow()


_HIT_COLUMNS = ["content_id", "number", "start", "end", "page", "headings", "text", "vector"]


def _keyword_index() -> FTS:
    return FTS(
        language="English",
        stem=True,
        remove_stop_words=True,
        ascii_folding=True,
        lower_case=True,
        max_token_length=40,
        with_position=False,
    )


def _chunks(values: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@contextlib.contextmanager
def _named_failures(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _failure(error, path) from error


def _failure(error: Exception, path: Path) -> LibraryError:
    """What LanceDB or the system says, as one sentence with a remedy."""
    if isinstance(error, LibraryError):
        return error
    said = " ".join(str(error).split())
    if "No space left" in said or "os error 28" in said or "Disk quota" in said:
        return LibraryError(
            "The disk is full.",
            where=str(path),
            remedy="Free some space, then run the same command again: what was finished is kept.",
        )
    if "ermission denied" in said or "Read-only file system" in said:
        return LibraryError(
            "The library may not be read or written.", where=str(path), remedy="Check its access rights."
        )
    return LibraryError(
        f"The library's tables cannot be used ({said[:200]}).",
        where=str(path),
        remedy="Remove the library with `homespun libraries remove` and ingest again.",
    )
