"""One state of a LanceDB table of passages: its keywords, vectors and rows, read as they were together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lancedb.query import MatchQuery

from homespun.retrieval.nearest import Array, PassageKey, PassageVectors, nearest
from homespun.retrieval.store import PASSAGE_COLUMNS

#: Above this share of unknown rows, all are read in one go.
_FEW = 0.2


class Snapshot:
    """Passages at one version of their table.

    LanceDB moves rows when it merges files, so places of rows count only within a version.

    Args:
        table: opened for this alone; it is fixed at its version.
        before: the state before, whose vectors need not be read again.
    """

    def __init__(self, table: Any, before: PassageVectors) -> None:
        self.version = int(table.version)
        table.checkout(self.version)
        self._table = table
        found = self._scan(["content_id", "number"])
        content_ids = pc.dictionary_encode(found["content_id"]).combine_chunks()
        self.vectors = before.renewed(
            content_ids.dictionary.to_pylist(),
            content_ids.indices.to_numpy().astype(np.int64),
            found["number"].to_numpy().astype(np.int64),
            found["_rowid"].to_numpy().astype(np.int64),
            self._fetch_vectors,
        )

    def keyword_hits(self, query: str, n: int) -> dict[PassageKey, float]:
        """See `Store`."""
        words = MatchQuery(query, "keywords")  # type: ignore[call-arg]
        search = self._table.search(words, query_type="fts").select(["_score"]).with_row_id(True)
        found = search.limit(n).to_arrow()
        scores = found["_score"].to_numpy()
        rows = self.vectors.rows_of_ids(found["_rowid"].to_numpy().astype(np.int64))
        order = np.lexsort((rows, -scores))
        return dict(zip(self.vectors.keys(rows[order]), scores[order].tolist(), strict=True))

    def vector_hits(self, vector: Array, n: int) -> dict[PassageKey, float]:
        """See `Store`."""
        rows, products = nearest(self.vectors.matrix, vector, n)
        return dict(zip(self.vectors.keys(rows), products.tolist(), strict=True))

    def products(self, keys: Sequence[PassageKey], vector: Array) -> dict[PassageKey, float]:
        """See `Store`."""
        rows = self.vectors.rows(keys)
        products = (self.vectors.matrix[rows] @ vector).tolist()
        return {key: product for key, row, product in zip(keys, rows, products, strict=True) if row >= 0}

    def rows(self, keys: Sequence[PassageKey]) -> dict[PassageKey, dict[str, Any]]:
        """See `Store`."""
        rows = self.vectors.rows(keys)
        ids = self.vectors.ids[rows[rows >= 0]]
        if not len(ids):
            return {}
        found = self._table.take_row_ids(ids.tolist()).select(list(PASSAGE_COLUMNS)).to_arrow().to_pylist()
        by_key = {(row["content_id"], row["number"]): row for row in found}
        return {key: by_key[key] for key in keys if key in by_key}

    def _scan(self, columns: Sequence[str]) -> pa.Table:
        n_rows = max(1, self._table.count_rows())
        return self._table.search().select(list(columns)).with_row_id(True).limit(n_rows).to_arrow()

    def _fetch_vectors(self, ids: Array) -> Array:
        """Vectors of rows by their places, (len(ids), dimensions)."""
        if len(ids) > _FEW * self._table.count_rows():
            found = self._scan(["vector"])
        else:
            chosen = self._table.take_row_ids(ids.tolist()).select(["vector"]).with_row_id()
            found = chosen.to_arrow()
        places = found["_rowid"].to_numpy().astype(np.int64)
        order = np.argsort(places)
        matrix: Array = found["vector"].combine_chunks().flatten().to_numpy().reshape(len(places), -1)
        return matrix[order[np.searchsorted(places[order], ids)]]
