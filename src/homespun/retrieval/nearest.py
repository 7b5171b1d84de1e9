"""All vectors of a library in memory, and the nearest of them: exact, and brought up to date in a moment.

An index of neighbours (lists, graphs) pays from about a million vectors; below, the product with all of
them is as fast, loses nothing, and needs no building. 50,000 vectors of 384 numbers take 77 MB and 8 ms.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

#: A passage: its content's id, and its number there.
PassageKey = tuple[str, int]
Array = npt.NDArray[Any]


def nearest(matrix: Array, vector: Array, n: int) -> tuple[Array, Array]:
    """The rows of the largest products with a vector.

    Args:
        matrix: float32, (n_rows, dimensions).
        vector: float32, (dimensions,).
        n: rows to give at most.

    Returns:
        Row numbers and their products, the largest first; of equal ones the lower row first.
    """
    products = matrix @ vector
    if n >= len(products):
        rows = np.arange(len(products))
    else:
        least = np.partition(products, len(products) - n)[len(products) - n]
        rows = np.flatnonzero(products >= least)
    order = np.lexsort((rows, -products[rows]))[:n]
    return rows[order], products[rows[order]]


@dataclass(frozen=True)
class PassageVectors:
    """The vectors of all passages, ordered by content and number.

    Attributes:
        contents: ids of contents.
        codes: (n,) index into `contents` of each row, rising. `numbers`: (n,) the passage's number there.
        ids: (n,) where the store keeps the row.
        matrix: float32, (n, dimensions).
    """

    contents: Sequence[str]
    codes: Array
    numbers: Array
    ids: Array
    matrix: Array

    @classmethod
    def empty(cls, dimensions: int) -> "PassageVectors":
        """No passages."""
        none = np.zeros(0, np.int64)
        return cls((), none, none, none, np.zeros((0, dimensions), np.float32))

    def renewed(
        self,
        contents: Sequence[str],
        codes: Array,
        numbers: Array,
        ids: Array,
        fetch: Callable[[Array], Array],
    ) -> "PassageVectors":
        """The same for the rows that there are now, fetching only vectors that are not known yet.

        A content never changes: its id is a digest of all that its vectors come from.

        Args:
            contents, codes, numbers, ids: of all rows, in any order.
            fetch: gives the vectors of rows by their ids, in that order.
        """
        order = np.lexsort((numbers, codes))
        codes, numbers, ids = codes[order], numbers[order], ids[order]
        known = self._known_rows(contents, codes, numbers)
        new = np.flatnonzero(known < 0)
        matrix = np.empty((len(codes), self.matrix.shape[1]), np.float32)
        old = np.flatnonzero(known >= 0)
        matrix[old] = self.matrix[known[old]]
        if len(new):
            matrix[new] = fetch(ids[new])
        return PassageVectors(tuple(contents), codes, numbers, ids, matrix)

    def keys(self, rows: Iterable[int]) -> list[PassageKey]:
        """Which passages rows are."""
        return [(self.contents[self.codes[row]], int(self.numbers[row])) for row in rows]

    def rows(self, keys: Sequence[PassageKey]) -> Array:
        """The row of each passage, -1 for those that are not here."""
        found = np.full(len(keys), -1)
        for place, (content, number) in enumerate(keys):
            start, end = self._spans.get(content, (0, 0))
            row = start + int(np.searchsorted(self.numbers[start:end], number))
            if row < end and self.numbers[row] == number:
                found[place] = row
        return found

    def rows_of_ids(self, ids: Array) -> Array:
        """The row of each place in the store; all must be here."""
        order, ordered = self._by_id
        rows: Array = order[np.searchsorted(ordered, ids)]
        return rows

    @cached_property
    def _spans(self) -> dict[str, tuple[int, int]]:
        starts = np.searchsorted(self.codes, np.arange(len(self.contents) + 1)).tolist()
        return {content: (starts[code], starts[code + 1]) for code, content in enumerate(self.contents)}

    @cached_property
    def _by_id(self) -> tuple[Array, Array]:
        order = np.argsort(self.ids)
        return order, self.ids[order]

    def _known_rows(self, contents: Sequence[str], codes: Array, numbers: Array) -> Array:
        """For each new row (ordered) the row here that is the same passage, or -1."""
        if not len(self.codes) or not len(codes):
            return np.full(len(codes), -1)
        old_starts = np.array([self._spans.get(content, (-1, -1))[0] for content in contents])
        new_starts = np.searchsorted(codes, np.arange(len(contents)))
        rows = old_starts[codes] + np.arange(len(codes)) - new_starts[codes]
        is_there = (old_starts[codes] >= 0) & (rows < len(self.codes))
        rows = np.where(is_there, rows, 0)
        old_contents = np.array([self._code_of.get(content, -1) for content in contents])
        is_same = is_there & (self.numbers[rows] == numbers) & (self.codes[rows] == old_contents[codes])
        return np.where(is_same, rows, -1)

    @cached_property
    def _code_of(self) -> dict[str, int]:
        return {content: code for code, content in enumerate(self.contents)}
