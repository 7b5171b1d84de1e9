"""Texts as token ids for models that read windows of tokens: nothing is cut off, long texts overlap."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homespun.retrieval.embedder import readable
from homespun.retrieval.errors import EmbedderError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@dataclass(frozen=True)
class Frame:
    """The special tokens that a tokenizer puts before and after a text."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens in all."""
        return len(self.before) + len(self.after)


@dataclass(frozen=True)
class PairFrame:
    """The special tokens before, between and after two texts that are read together."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens in all."""
        return len(self.before) + len(self.between) + len(self.after)


def frame_of(tokenizer: "Tokenizer") -> Frame:
    """What the tokenizer adds around one text."""
    encoding = tokenizer.encode("a")
    ids, special = list(encoding.ids), list(encoding.special_tokens_mask)
    first = special.index(0)
    last = len(special) - special[::-1].index(0)
    return Frame(tuple(ids[:first]), tuple(ids[last:]))


def pair_frame_of(tokenizer: "Tokenizer") -> PairFrame:
    """What the tokenizer adds around and between two texts."""
    encoding = tokenizer.encode("a", "a")
    ids, special = list(encoding.ids), list(encoding.special_tokens_mask)
    own = [place for place, is_special in enumerate(special) if not is_special]
    gap = next((number for number in range(1, len(own)) if own[number] > own[number - 1] + 1), None)
    if gap is None:  # no tokenizer of pairs sets nothing between them
        raise EmbedderError(
            "The tokenizer does not tell two texts apart.", remedy="Use another cross-encoder."
        )
    return PairFrame(tuple(ids[: own[0]]), tuple(ids[own[gap - 1] + 1 : own[gap]]), tuple(ids[own[-1] + 1 :]))


def plain_ids(tokenizer: "Tokenizer", texts: Sequence[str]) -> list[list[int]]:
    """Token ids of texts, no special tokens added."""
    encodings = tokenizer.encode_batch([readable(text) for text in texts], add_special_tokens=False)
    return [list(encoding.ids) for encoding in encodings]


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
