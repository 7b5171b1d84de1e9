"""Word vectors of a spaCy pipeline's folder: the mean over the words of a text, read without spaCy."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from homespun.models.digest import file_digest
from homespun.retrieval.embedders.counted import CountedEmbedder, FloatArray
from homespun.retrieval.errors import EmbedderError

_WORD = re.compile(r"\w+|[^\w\s]")


class SpacyEmbedder(CountedEmbedder):
    """The mean of the vectors of a text's words; a word that the table lacks is left out.

    Only tables in the mode `default` are read (a row for each known word), not hashed ones.
    """

    def __init__(self, name: str, path: Path, language: str = "") -> None:
        """Read the table.

        Raises:
            EmbedderError: spaCy's packages that the format needs are missing, or no table is there.
        """
        folder = vectors_folder(path)
        if folder is None:
            raise EmbedderError("This folder has no word vectors (vocab/vectors).", where=str(path))
        try:
            self._rows = np.load(folder / "vectors", allow_pickle=False)
            self._row_of = _unpacked((folder / "key2row").read_bytes())
        except (OSError, ValueError) as error:
            raise EmbedderError(f"The word vectors cannot be read ({error}).", where=str(folder)) from error
        if self._rows.ndim != 2 or not isinstance(self._row_of, dict):
            raise EmbedderError("The word vectors are of a kind that is not known.", where=str(folder))
        self.languages = (language,) if language else ()
        digest = file_digest(folder / "vectors") + file_digest(folder / "key2row")
        super().__init__(name, f"spacy {digest}", int(self._rows.shape[1]), 2048)

    def _vectors(self, texts: list[str]) -> FloatArray:
        return np.stack([self._mean(text) for text in texts])

    def _mean(self, text: str) -> FloatArray:
        rows = [row for word in _WORD.findall(text) if (row := self._row(word)) >= 0]
        if not rows:
            return np.zeros(self.dimensions, np.float32)
        mean: FloatArray = self._rows[rows].astype(np.float32).mean(axis=0)
        return mean

    def _row(self, word: str) -> int:
        for form in (word, word.lower()):
            row = self._row_of.get(string_id(form), -1)
            if 0 <= row < len(self._rows):
                return int(row)
        return -1


def vectors_folder(path: Path) -> Path | None:
    """Where in a pipeline's folder the table is."""
    for folder in (path / "vocab", *sorted(path.glob("*/vocab"))):
        if (folder / "vectors").is_file() and (folder / "key2row").is_file():
            return folder
    return None


def string_id(text: str) -> int:
    """The number that spaCy has for a string: MurmurHash64A of its UTF-8 bytes with seed 1 (Appleby, 2008)."""
    data = text.encode("utf-8", "replace")
    mask, factor, shift = (1 << 64) - 1, 0xC6A4A7935BD1E995, 47
    value = (1 ^ (len(data) * factor)) & mask
    whole = len(data) // 8 * 8
    for start in range(0, whole, 8):
        part = int.from_bytes(data[start : start + 8], "little") * factor & mask
        part = (part ^ (part >> shift)) * factor & mask
        value = (value ^ part) * factor & mask
    if data[whole:]:
        value = (value ^ int.from_bytes(data[whole:], "little")) * factor & mask
    value = (value ^ (value >> shift)) * factor & mask
    return value ^ (value >> shift)


def _unpacked(data: bytes) -> Any:
    """A msgpack map of integers: the one form that spaCy writes key2row in."""
    places = {0xDE: 2, 0xDF: 4}
    sizes = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}

    def integer(at: int) -> tuple[int, int]:
        first = data[at]
        if first < 0x80:
            return first, at + 1
        if first in sizes:
            return int.from_bytes(data[at + 1 : at + 1 + sizes[first]], "big"), at + 1 + sizes[first]
        if first >= 0xE0:
            return first - 256, at + 1
        if first in (0xD0, 0xD1, 0xD2, 0xD3):
            size = 1 << (first - 0xD0)
            return int.from_bytes(data[at + 1 : at + 1 + size], "big", signed=True), at + 1 + size
        raise ValueError("key2row holds something else than whole numbers")

    try:
        if 0x80 <= data[0] < 0x90:
            n_pairs, at = data[0] & 15, 1
        elif data[0] in places:
            at = 1 + places[data[0]]
            n_pairs = int.from_bytes(data[1:at], "big")
        else:
            raise ValueError("key2row holds no map")
        found = {}
        for _ in range(n_pairs):
            key, at = integer(at)
            found[key], at = integer(at)
        return found
    except IndexError:
        raise ValueError("key2row ends too early") from None
