"""Texts that are nearly the same, found among a few."""

import re
from collections.abc import Sequence

#: Texts that share so much of their words in order are one (runs of three words; Broder, "On the resemblance
#: and containment of documents", 1997).
SAME = 0.8
_RUN = 3


def collapsed(texts: Sequence[str]) -> list[list[int]]:
    """The places of the texts, those of nearly the same text together; groups in the order of their first."""
    groups: list[tuple[frozenset[tuple[str, ...]], list[int]]] = []
    for place, text in enumerate(texts):
        runs = word_runs(text)
        same = next((group for first, group in groups if _is_same(first, runs)), None)
        if same is None:
            groups.append((runs, [place]))
        else:
            same.append(place)
    return [group for _, group in groups]


def _is_same(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> bool:
    # Sets of too different sizes cannot share so much, which costs nothing to see.
    sizes = sorted((len(one), len(other)))
    return sizes[0] >= SAME * sizes[1] and resemblance(one, other) >= SAME


def resemblance(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """What two sets share of all that they have, 0 to 1; 1 for two empty ones."""
    return len(one & other) / len(one | other) if one or other else 1.0


def word_runs(text: str) -> frozenset[tuple[str, ...]]:
    """The runs of three words in a text, in any case; a shorter text is one run."""
    # Signs count too: "a > b" and "a < b" are not the same text.
    words = re.findall(r"\w+|[^\w\s]", text.lower())
    if len(words) <= _RUN:
        return frozenset([tuple(words)])
    return frozenset(zip(*(words[start:] for start in range(_RUN)), strict=False))
