"""The store in a folder: three LanceDB tables, and everything here that knows LanceDB."""

import contextlib
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import lancedb
import pyarrow as pa
import pyarrow.compute as pc
from lancedb.index import FTS

from homespun.documents.document import Page, Place
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.nearest import Array, PassageKey, PassageVectors
from homespun.retrieval.snapshot import Snapshot
from homespun.retrieval.store import (
    DOCUMENTS,
    PASSAGE_COLUMNS,
    TEXTS,
    Group,
    pages_of,
    passages_schema,
    places_of,
)

#: Cached per open library; LanceDB would take up to 7 GiB.
_INDEX_CACHE_BYTES = 64 << 20
_METADATA_CACHE_BYTES = 32 << 20
#: Old states of the tables stay this long, for readers that opened them before.
_KEEP_VERSIONS = timedelta(hours=1)

#: Another name for another way of cutting words: an index of an older name is made again.
_KEYWORD_INDEX = "keywords_analysed"


class LanceStore:
    """A `Store` in three tables of LanceDB.

    Args:
        path: a folder, made if it is not there; or the address of object storage.
        dimensions: of the vectors.
    """

    def __init__(self, path: Path | str, dimensions: int) -> None:
        with _named_failures(path):
            if isinstance(path, Path):
                path.mkdir(parents=True, exist_ok=True)
            self._database = lancedb.connect(
                path,
                read_consistency_interval=timedelta(0),
                session=lancedb.Session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES),
            )
            schemas = {"documents": DOCUMENTS, "texts": TEXTS, "passages": passages_schema(dimensions)}
            # Opened without their schemas: a library of an older version has other columns.
            there = set(self._database.list_tables().tables)
            tables = {
                name: self._database.open_table(name)
                if name in there and not (isinstance(path, Path) and _is_unborn(path / f"{name}.lance"))
                else self._database.create_table(name, schema=schema, exist_ok=True)
                for name, schema in schemas.items()
            }
        self.path = path
        self._documents = tables["documents"]
        self._texts = tables["texts"]
        self._passages = tables["passages"]
        self._dimensions = dimensions
        self._seen: Snapshot | None = None
        self._renewing = threading.Lock()
        self._pinned = threading.local()

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """See `Store`. Asking LanceDB for the newest version takes half a millisecond each time."""
        if getattr(self._pinned, "snapshot", None) is not None:
            yield
            return
        with _named_failures(self.path):
            self._pinned.version, self._pinned.snapshot = self.version(), self._snapshot()
        try:
            yield
        finally:
            self._pinned.version = self._pinned.snapshot = None

    def version(self) -> str:
        """See `Store`."""
        pinned: str | None = getattr(self._pinned, "version", None)
        if pinned is not None:
            return pinned
        with _named_failures(self.path):
            return f"{self._documents.version}.{self._passages.version}"

    def document_rows(self) -> list[dict[str, Any]]:
        """See `Store`."""
        with _named_failures(self.path):
            rows: list[dict[str, Any]] = self._documents.to_arrow().to_pylist()
        return rows

    def n_passages(self) -> int:
        """See `Store`."""
        with _named_failures(self.path):
            return int(self._passages.count_rows())

    def text(self, content_id: str) -> str | None:
        """See `Store`."""
        return self._of_text(content_id, "text")

    def places(self, content_id: str) -> tuple[Place, ...]:
        """See `Store`."""
        return places_of(self._of_text(content_id, "places") or "[]")

    def pages(self, content_id: str) -> tuple[Page, ...]:
        """See `Store`."""
        return pages_of(self._of_text(content_id, "pages") or "[]")

    def passages(self, content_id: str) -> pa.Table:
        """See `Store`."""
        with _named_failures(self.path):
            rows = self._passages.search().where(f"content_id = {_quoted(content_id)}")
            found = rows.limit(max(1, self._passages.count_rows())).to_arrow()
        return found.sort_by("number")

    def all_passages(self, columns: Sequence[str] = PASSAGE_COLUMNS) -> Iterator[pa.RecordBatch]:
        """See `Store`."""
        with _named_failures(self.path):
            yield from _batches(self._passages, columns)

    def all_texts(self) -> Iterator[pa.RecordBatch]:
        """See `Store`."""
        with _named_failures(self.path):
            yield from _batches(self._texts, TEXTS.names)

    def write(self, group: Group) -> None:
        """See `Store`."""
        with _named_failures(self.path):
            if group.passages:
                self._passages.add(pa.Table.from_pylist(list(group.passages), self._passages.schema))
            if group.texts:
                self._texts.add(pa.Table.from_pylist(list(group.texts), TEXTS))
            if group.documents:
                rows = pa.Table.from_pylist(list(group.documents), DOCUMENTS)
                merge = self._documents.merge_insert("source")
                merge.when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def remove_documents(self, sources: Iterable[str]) -> None:
        """See `Store`."""
        with _named_failures(self.path):
            for chunk in _chunks(sorted(sources)):
                self._documents.delete(f"source IN ({', '.join(map(_quoted, chunk))})")

    def remove_orphans(self) -> int:
        """See `Store`."""
        n_removed = 0
        with _named_failures(self.path):
            named = set(pc.unique(self._documents.to_arrow()["content_id"]).to_pylist())
            for table in (self._passages, self._texts):
                there = table.search().select(["content_id"]).limit(table.count_rows() or 1).to_arrow()
                orphans = set(pc.unique(there["content_id"]).to_pylist()) - named
                for chunk in _chunks(sorted(orphans)):
                    table.delete(f"content_id IN ({', '.join(map(_quoted, chunk))})")
                n_removed = max(n_removed, len(orphans))
        return n_removed

    def tidy(self) -> None:
        """See `Store`."""
        with _named_failures(self.path):
            self._index_keywords()
            for table in (self._passages, self._texts, self._documents):
                table.optimize(cleanup_older_than=_KEEP_VERSIONS)

    def purge(self) -> None:
        """Each table is written anew, since LanceDB only marks rows as deleted; then old states go."""
        self.remove_orphans()
        with _named_failures(self.path):
            for table in (self._documents, self._texts, self._passages):
                self._rewrite(table, table.schema, _batches(table, table.schema.names))
            self._index_keywords()
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*cleanup_older_than=0")  # that is the purpose
                for table in (self._documents, self._texts, self._passages):
                    # Nobody else writes: the library's lock is held, so no unfinished write is lost.
                    table.optimize(cleanup_older_than=timedelta(0), delete_unverified=True)

    def close(self) -> None:
        """See `Store`. LanceDB has nothing to end."""

    def claim(self, identity: str) -> str:
        """See `Store`. Nobody but the library in whose folder it lies uses it: its library.json knows."""
        return identity

    def drop(self) -> None:
        """See `Store`."""
        with _named_failures(self.path):
            for name in self._database.list_tables().tables:
                self._database.drop_table(name)

    def upgrade(self) -> None:
        """Give tables of an older version the columns that came since; see `LIBRARY_VERSION`."""
        with _named_failures(self.path):
            if "places" not in self._texts.schema.names:
                old = _batches(self._texts, ["content_id", "text"])
                self._rewrite(self._texts, TEXTS, (_without_places(batch) for batch in old))

    def _rewrite(self, table: Any, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        rows = pa.RecordBatchReader.from_batches(schema, batches)
        self._database.create_table(table.name, rows, schema=schema, mode="overwrite")
        table.checkout_latest()

    def keyword_hits(self, query: str, n: int) -> dict[PassageKey, float]:
        """See `Store`."""
        with _named_failures(self.path):
            return self._snapshot().keyword_hits(query, n)

    def vector_hits(self, vector: Array, n: int) -> dict[PassageKey, float]:
        """See `Store`."""
        with _named_failures(self.path):
            return self._snapshot().vector_hits(vector, n)

    def products(self, keys: Sequence[PassageKey], vector: Array) -> dict[PassageKey, float]:
        """See `Store`."""
        with _named_failures(self.path):
            return self._snapshot().products(keys, vector)

    def rows(self, keys: Sequence[PassageKey]) -> dict[PassageKey, dict[str, Any]]:
        """See `Store`."""
        with _named_failures(self.path):
            return self._snapshot().rows(keys)

    def _snapshot(self) -> Snapshot:
        """The passages as they are now, or as they were pinned. Several threads may search at once."""
        pinned: Snapshot | None = getattr(self._pinned, "snapshot", None)
        if pinned is not None:
            return pinned
        with self._renewing:
            if self._seen is None or self._seen.version != self._passages.version:
                before = self._seen.vectors if self._seen else PassageVectors.empty(self._dimensions)
                self._seen = Snapshot(self._database.open_table("passages"), before)
            return self._seen

    def _of_text(self, content_id: str, column: str) -> str | None:
        with _named_failures(self.path):
            rows = self._texts.search().where(f"content_id = {_quoted(content_id)}").select([column])
            found = rows.limit(1).to_arrow()
        return str(found[column][0].as_py()) if found.num_rows else None

    def _index_keywords(self) -> None:
        # An index that was made over no rows finds less, so it waits for the first ones.
        names = {index.name for index in self._passages.list_indices()}
        if not self._passages.count_rows() or _KEYWORD_INDEX in names:
            return
        for name in names:
            self._passages.drop_index(name)  # made when the index, not analysis.py, cut words
        self._passages.create_index("keywords", config=_keyword_index(), name=_KEYWORD_INDEX)


def _is_unborn(path: Path) -> bool:
    """Whether a table's folder was made by a process that ended before there was a table in it."""
    return not any((path / "_versions").glob("*.manifest")) and not any((path / "data").glob("*"))


def _batches(table: Any, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    n_rows = table.count_rows()
    if n_rows:
        yield from table.search().select(list(columns)).limit(n_rows).to_batches()


def _without_places(batch: pa.RecordBatch) -> pa.RecordBatch:
    none = pa.array(["[]"] * batch.num_rows, pa.large_string())
    return pa.RecordBatch.from_arrays([*batch.columns, none, none], schema=TEXTS)


def _keyword_index() -> FTS:
    """Words are what stands between spaces: what a word is was decided before."""
    return FTS(
        base_tokenizer="whitespace",
        stem=False,
        remove_stop_words=False,
        ascii_folding=False,
        lower_case=False,
        max_token_length=None,
        with_position=False,
    )


def _chunks(values: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


@contextlib.contextmanager
def _named_failures(path: Path | str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _failure(error, path) from error


def _failure(error: Exception, path: Path | str) -> LibraryError:
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
