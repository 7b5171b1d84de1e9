"""Examples that say the same: but for case and spaces, or nearly, by the runs of words that they share."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt

from homespun.retrieval.duplicates import SAME, resemblance, word_runs
from homespun.tuning.examples import Example

#: Candidates for nearly the same share one of 16 bands of 4 minima: found with 99.98% where 80% of the runs
#: are shared, with 64% at half (minwise hashing: Broder, 1997). Each is then compared exactly.
_N_BANDS, _BAND = 16, 4
_PRIME = np.uint64((1 << 61) - 1)
#: Texts that have so many like ones are compared with the first of them only.
_MOST_IN_A_BUCKET = 50


def plain(text: str) -> str:
    """A text without what a careless copy changes: case, kinds of spaces, widths of signs."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def asked(example: Example) -> str:
    """What an example asks, plain: all before its last turn, the system prompt too; a text is asked as a whole."""
    return plain(example.prompt) if example.messages else plain(example.text)


def answered(example: Example) -> str:
    """What is learnt as the last turn, plain; calls of tools too. Empty for a text."""
    if not example.messages:
        return ""
    last = example.messages[-1]
    calls = "".join(f" {call.name} {sorted(call.arguments.items())}" for call in last.tool_calls)
    return plain(last.content + calls)


def said(example: Example) -> str:
    """All of an example, plain."""
    return f"{asked(example)}\n{answered(example)}" if example.messages else asked(example)


def same_places(keys: Sequence[str]) -> list[list[int]]:
    """The places of keys that occur several times, by their first place."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        places[key].append(place)
    return [group for group in places.values() if len(group) > 1]


def near_pairs(texts: Sequence[str], others: Sequence[str] | None = None) -> Iterator[tuple[int, int, float]]:
    """Pairs of texts that share at least 80% of their runs of three words (Jaccard).

    Args:
        texts: plain ones, none twice.
        others: pairs are sought between the two lists; None: among the texts.

    Yields:
        place in `texts`, place in `others` (or the later place in `texts`), what is shared, 0 to 1.
    """
    runs = [word_runs(text) for text in [*texts, *(others or ())]]
    n_first = len(texts)
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    for place, one in enumerate(runs):
        for band, minima in enumerate(_minima(one).reshape(_N_BANDS, _BAND)):
            bucket = buckets[band, minima.tobytes()]
            for other in bucket[:_MOST_IN_A_BUCKET]:
                if (other, place) in seen or (others is not None and not other < n_first <= place):
                    continue
                seen.add((other, place))
                shared = resemblance(runs[other], one)
                if shared >= SAME:
                    yield other, place - (n_first if others is not None else 0), shared
            if others is None or place < n_first:
                bucket.append(place)


def _minima(runs: frozenset[tuple[str, ...]]) -> npt.NDArray[np.uint64]:
    """For each of 64 random orders of all runs, the first of these: uint64 (64,)."""
    numbers = np.array([crc32(" ".join(run).encode()) for run in runs], np.uint64)
    return ((numbers[:, None] * _FACTORS + _SUMMANDS) % _PRIME).min(axis=0)


# Products stay below 2^64, so that they are exact.
_DRAWN = np.random.default_rng(20_000_003).integers(1, 1 << 31, (2, _N_BANDS * _BAND), dtype=np.uint64)
_FACTORS, _SUMMANDS = _DRAWN
