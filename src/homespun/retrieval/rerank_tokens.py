"""Texts as token ids for models that read windows of tokens: nothing is cut off, long texts overlap."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homespun.retrieval.errors import EmbedderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer puts before and after a text."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens in all."""
        return len(self.before) + len(self.after)


def read_tokenizer(path: Path) -> "Tokenizer":
    """The tokenizer.json of a folder; it neither cuts nor pads, and takes special tokens in text as text.

    Raises:
        EmbedderError: the file is missing or no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise EmbedderError(
            f"The tokenizer cannot be read ({error}).",
            where=str(path / "tokenizer.json"),
            remedy="Fetch the model again.",
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def frame_of(tokenizer: "Tokenizer") -> Frame:
    """What the tokenizer adds around one text."""
    encoding = tokenizer.encode("a")
    ids, special = list(encoding.ids), list(encoding.special_tokens_mask)
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return Frame(tuple(ids[:first]), tuple(ids[last:]))


def plain_ids(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts, no special tokens added."""
    readable = [_SURROGATES.sub("\ufffd", text) for text in texts]
    return [list(encoding.ids) for encoding in tokenizer.encode_batch(readable, add_special_tokens=False)]


def windows(n_tokens: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """Ranges of equal length that cover all tokens, neighbours sharing at least `overlap`.

    A text that fits is one range, an empty one none.
    """
    if n_tokens <= 0:
        return []
    if n_tokens <= room:
        return [(0, n_tokens)]
    overlap = min(overlap, room - 1)
    n_windows = -(-(n_tokens - overlap) // (room - overlap))
    last_start = n_tokens - room
    starts = [round(last_start * number / (n_windows - 1)) for number in range(n_windows)]
    return [(start, start + room) for start in starts]
