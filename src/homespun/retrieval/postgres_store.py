"""A library's rows in a Postgres server, for those who share one library among several machines.

Vectors are compared exactly, here, from a copy in memory that is brought up to date by content; the server
needs no extension. Keywords are ranked by BM25 over a table of words, with LanceDB's constants.
"""

import contextlib
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.rows import dict_row

from homespun.documents.document import Page, Place
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.nearest import Array, PassageKey, PassageVectors, nearest
from homespun.retrieval.store import (
    DOCUMENTS,
    PASSAGE_COLUMNS,
    TEXTS,
    Group,
    pages_of,
    passages_schema,
    places_of,
)

_TABLES = """
CREATE SCHEMA IF NOT EXISTS {schema};
SET search_path TO {schema};
CREATE TABLE IF NOT EXISTS state (version bigint NOT NULL, identity text);
INSERT INTO state SELECT 0, NULL WHERE NOT EXISTS (SELECT 1 FROM state);
CREATE TABLE IF NOT EXISTS documents (
    source text PRIMARY KEY, root text, name text, digest text, content_id text, made text, status text,
    reason text, title text, size_bytes bigint, n_chars bigint, n_passages bigint, n_pages bigint);
CREATE TABLE IF NOT EXISTS texts (content_id text PRIMARY KEY, text text, places text, pages text);
CREATE TABLE IF NOT EXISTS passages (
    id bigserial PRIMARY KEY, content_id text NOT NULL, number int NOT NULL, start bigint, "end" bigint,
    page int, headings text[], text text, keywords text, vector bytea, n_words int,
    UNIQUE (content_id, number));
CREATE TABLE IF NOT EXISTS words (
    word text NOT NULL, id bigint NOT NULL REFERENCES passages ON DELETE CASCADE, n int NOT NULL);
CREATE INDEX IF NOT EXISTS words_word ON words (word);
CREATE INDEX IF NOT EXISTS words_id ON words (id);
"""
#: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; k1 1.2, b 0.75.
_BM25 = """
WITH size AS (SELECT count(*)::float AS n, avg(n_words)::float AS mean FROM passages),
found AS (SELECT word, id, n FROM words WHERE word = ANY(%s)),
rare AS (SELECT word, ln(1 + (size.n - count(*) + 0.5) / (count(*) + 0.5)) AS idf
         FROM found, size GROUP BY word, size.n)
SELECT p.content_id, p.number,
       sum(rare.idf * found.n * 2.2 / (found.n + 1.2 * (0.25 + 0.75 * p.n_words / size.mean))) AS score
FROM found JOIN rare USING (word) JOIN passages p ON p.id = found.id, size
GROUP BY p.content_id, p.number ORDER BY score DESC, p.content_id, p.number LIMIT %s
"""


class PostgresStore:
    """A `Store` in a schema of a Postgres database, named after the library.

    Args:
        url: postgresql://user@host:port/database. A password comes from PGPASSWORD or ~/.pgpass, as
            everywhere with Postgres, and is never kept here.
        name: of the library.
        dimensions: of the vectors.
    """

    def __init__(self, url: str, name: str, dimensions: int) -> None:
        self.url = url
        self._dimensions = dimensions
        self._lock = threading.RLock()
        self._vectors = PassageVectors.empty(dimensions)
        self._vectors_version = -1
        self._schema = "homespun_" + re.sub(r"[^a-z0-9]", lambda match: f"_{ord(match[0]):x}_", name.lower())
        with self._named_failures():
            self._connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
            self._connection.execute(sql.SQL(_TABLES).format(schema=sql.Identifier(self._schema)))

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def reading(self) -> AbstractContextManager[None]:
        """See `Store`."""
        return self._transaction()

    def version(self) -> str:
        """See `Store`."""
        return str(self._one("SELECT version FROM state")["version"])

    def document_rows(self) -> list[dict[str, Any]]:
        """See `Store`."""
        return self._all(f"SELECT {', '.join(DOCUMENTS.names)} FROM documents")

    def n_passages(self) -> int:
        """See `Store`."""
        return int(self._one("SELECT count(*) AS n FROM passages")["n"])

    def text(self, content_id: str) -> str | None:
        """See `Store`."""
        found = self._all("SELECT text FROM texts WHERE content_id = %s", content_id)
        return str(found[0]["text"]) if found else None

    def places(self, content_id: str) -> tuple[Place, ...]:
        """See `Store`."""
        found = self._all("SELECT places FROM texts WHERE content_id = %s", content_id)
        return places_of(found[0]["places"]) if found else ()

    def pages(self, content_id: str) -> tuple[Page, ...]:
        """See `Store`."""
        found = self._all("SELECT pages FROM texts WHERE content_id = %s", content_id)
        return pages_of(found[0]["pages"]) if found else ()

    def passages(self, content_id: str) -> pa.Table:
        """See `Store`."""
        rows = self._all(f"{self._select()} WHERE content_id = %s ORDER BY number", content_id)
        return pa.Table.from_pylist([_with_vector(row) for row in rows], passages_schema(self._dimensions))

    def all_passages(self, columns: Sequence[str] = PASSAGE_COLUMNS) -> Iterator[pa.RecordBatch]:
        """See `Store`."""
        schema = passages_schema(self._dimensions)
        wanted = pa.schema([schema.field(name) for name in columns])
        rows = [_with_vector(row) for row in self._all(f"{self._select()} ORDER BY id")]
        if rows:
            yield from pa.Table.from_pylist(rows, schema).select(list(columns)).cast(wanted).to_batches()

    def all_texts(self) -> Iterator[pa.RecordBatch]:
        """See `Store`."""
        rows = self._all(f"SELECT {', '.join(TEXTS.names)} FROM texts")
        if rows:
            yield from pa.Table.from_pylist(rows, TEXTS).to_batches()

    def write(self, group: Group) -> None:
        """See `Store`."""
        with self._changing() as cursor:
            for row in group.passages:
                self._write_passage(cursor, row)
            for row in group.texts:
                _insert(cursor, "texts", TEXTS.names, row, "ON CONFLICT DO NOTHING")
            renewed = ", ".join(f"{name} = excluded.{name}" for name in DOCUMENTS.names[1:])
            for row in group.documents:
                _insert(
                    cursor, "documents", DOCUMENTS.names, row, f"ON CONFLICT (source) DO UPDATE SET {renewed}"
                )

    def remove_documents(self, sources: Iterable[str]) -> None:
        """See `Store`."""
        with self._changing() as cursor:
            cursor.execute("DELETE FROM documents WHERE source = ANY(%s)", (sorted(sources),))

    def remove_orphans(self) -> int:
        """See `Store`."""
        unnamed = "WHERE content_id NOT IN (SELECT content_id FROM documents)"
        with self._changing() as cursor:
            cursor.execute(f"SELECT count(DISTINCT content_id) AS n FROM passages {unnamed}")
            of_passages = cursor.fetchone()
            cursor.execute(f"DELETE FROM passages {unnamed}")
            cursor.execute(f"DELETE FROM texts {unnamed}")
            return max(cursor.rowcount, int(of_passages["n"]) if of_passages else 0)

    def tidy(self) -> None:
        """See `Store`."""
        with self._named_failures():
            self._connection.execute("ANALYZE")

    def purge(self) -> None:
        """Tables are written anew; the server's own logs and backups are not ours."""
        self.remove_orphans()
        with self._named_failures(), self._lock:
            for table in ("documents", "texts", "passages", "words"):
                self._connection.execute(sql.SQL("VACUUM FULL {}").format(sql.Identifier(table)))

    def claim(self, identity: str) -> str:
        """See `Store`."""
        with self._changing() as cursor:
            cursor.execute(
                "UPDATE state SET identity = coalesce(identity, %s) RETURNING identity", (identity,)
            )
            return str(cursor.fetchone()["identity"])

    def drop(self) -> None:
        """See `Store`."""
        with self._named_failures(), self._lock:
            self._connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(self._schema)))

    def keyword_hits(self, query: str, n: int) -> dict[PassageKey, float]:
        """See `Store`."""
        words = list(dict.fromkeys(query.split()))
        rows = self._all(_BM25, words, n) if words else []
        return {(row["content_id"], row["number"]): float(row["score"]) for row in rows}

    def vector_hits(self, vector: Array, n: int) -> dict[PassageKey, float]:
        """See `Store`."""
        vectors = self._present()
        rows, products = nearest(vectors.matrix, vector, n)
        return dict(zip(vectors.keys(rows), products.tolist(), strict=True))

    def products(self, keys: Sequence[PassageKey], vector: Array) -> dict[PassageKey, float]:
        """See `Store`."""
        vectors = self._present()
        rows = vectors.rows(keys)
        products = (vectors.matrix[rows] @ vector).tolist() if len(keys) else []
        return {key: p for key, row, p in zip(keys, rows, products, strict=True) if row >= 0}

    def rows(self, keys: Sequence[PassageKey]) -> dict[PassageKey, dict[str, Any]]:
        """See `Store`."""
        if not keys:
            return {}
        columns = ", ".join(f'p."{name}"' for name in PASSAGE_COLUMNS)
        contents, numbers = [key[0] for key in keys], [key[1] for key in keys]
        found = self._all(
            f"SELECT {columns} FROM passages p JOIN unnest(%s::text[], %s::int[]) AS w (content_id, number) "
            "ON p.content_id = w.content_id AND p.number = w.number",
            contents,
            numbers,
        )
        there = {(row["content_id"], row["number"]): row for row in found}
        return {key: there[key] for key in keys if key in there}

    def _write_passage(self, cursor: Any, row: dict[str, Any]) -> None:
        words = Counter(str(row["keywords"]).split())
        vector = np.asarray(row["vector"], np.float32).tobytes()
        values = {**row, "vector": vector, "n_words": sum(words.values())}
        names = [*passages_schema(self._dimensions).names, "n_words"]
        _insert(cursor, "passages", names, values, "ON CONFLICT DO NOTHING RETURNING id")
        made = cursor.fetchone()
        if made is not None:  # else a writer before us was there
            cursor.executemany(
                "INSERT INTO words (word, id, n) VALUES (%s, %s, %s)",
                [(word, made["id"], n) for word, n in words.items()],
            )

    def _present(self) -> PassageVectors:
        """The vectors as they are now."""
        with self._lock, self._transaction():
            version = int(self.version())
            if version != self._vectors_version:
                rows = self._all("SELECT id, content_id, number FROM passages")
                contents = list(dict.fromkeys(row["content_id"] for row in rows))
                code_of = {content: code for code, content in enumerate(contents)}
                self._vectors = self._vectors.renewed(
                    contents,
                    np.array([code_of[row["content_id"]] for row in rows], np.int64),
                    np.array([row["number"] for row in rows], np.int64),
                    np.array([row["id"] for row in rows], np.int64),
                    self._fetch_vectors,
                )
                self._vectors_version = version
            return self._vectors

    def _fetch_vectors(self, ids: Array) -> Array:
        rows = self._all("SELECT id, vector FROM passages WHERE id = ANY(%s)", ids.tolist())
        by_id = {row["id"]: np.frombuffer(row["vector"], np.float32) for row in rows}
        return np.array([by_id[int(number)] for number in ids], np.float32)

    def _select(self) -> str:
        return "SELECT " + ", ".join(f'"{name}"' for name in passages_schema(1).names) + " FROM passages"

    def _all(self, query: str, *values: Any) -> list[dict[str, Any]]:
        with self._named_failures(), self._lock, self._connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(query.encode(), values or None)
            return cursor.fetchall()

    def _one(self, query: str) -> dict[str, Any]:
        return self._all(query)[0]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """Inside, all reads see one state."""
        with self._lock, self._named_failures(), self._connection.transaction():
            yield

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Any]:
        """A transaction whose end readers see at once, as a new version. One writer at a time."""
        with self._transaction(), self._connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute("UPDATE state SET version = version + 1")
            yield cursor

    @contextlib.contextmanager
    def _named_failures(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            said = " ".join(str(error).split())[:200]
            raise LibraryError(
                f"The library's server says: {said or type(error).__name__}.",
                where=self.url,
                remedy="Is it running, and is the password in PGPASSWORD or ~/.pgpass?",
            ) from error


def _with_vector(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "vector": np.frombuffer(row["vector"], np.float32)}


def _insert(cursor: Any, table: str, names: Sequence[str], row: dict[str, Any], more: str) -> None:
    columns = ", ".join(f'"{name}"' for name in names)
    holes = ", ".join(["%s"] * len(names))
    cursor.execute(f"INSERT INTO {table} ({columns}) VALUES ({holes}) {more}", [row[name] for name in names])
