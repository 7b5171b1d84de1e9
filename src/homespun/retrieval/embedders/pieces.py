"""Counting tokens where the tokenizer is not known: never fewer than any usual one would count."""

import re
from itertools import pairwise

#: Up to three letters or digits of one word, or any other character that is not a space.
_PIECE = re.compile(r"[^\W_]{1,3}|[^\s]", re.ASCII)


def piece_offsets(text: str) -> list[tuple[int, int]]:
    """(start, end) of pieces that a text has at most as many tokens as, for tokenizers of English or code."""
    return [match.span() for match in _PIECE.finditer(text)]


def windows(text: str, max_pieces: int) -> list[str]:
    """A text in as few parts of about equal piece counts as fit."""
    offsets = piece_offsets(text)
    if len(offsets) <= max_pieces:
        return [text]
    n_parts = -(-len(offsets) // max_pieces)
    cuts = [offsets[len(offsets) * part // n_parts][0] for part in range(n_parts)] + [len(text)]
    return [text[start:end] for start, end in pairwise(cuts)]
