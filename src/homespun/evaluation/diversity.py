"""How different the texts of one strategy are, and how much each repeats itself.

Every measure is given as what each text adds to it (`Shares`), so that intervals over texts can be had: what
a text adds depends on the others, which stay the same in all resamples.
"""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from homespun.evaluation.intervals import Shares

#: Scripts written without spaces: each character counts as a word.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(f"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\\w)+(?:['’](?![{_UNSPACED}])\\w+)?")

Gram = tuple[str, ...]

#: Added to a count of no shared n-gram (smoothing method 1 of Chen and Cherry 2014).
_EPSILON = 0.1


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; characters where a script has no spaces."""
    return _WORD.findall(text.lower())


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> Shares:
    """Distinct n-grams over all n-grams of all texts (Li et al. 2016).

    An n-gram that stands c times in all texts counts 1/c at each place, so that the sum is the number of
    distinct ones.

    Args:
        texts: their words.
        n: words in an n-gram.
    """
    grams = [_grams(text, n) for text in texts]
    counts = Counter(gram for text in grams for gram in text)
    return Shares(
        tuple(math.fsum(1 / counts[gram] for gram in text) for text in grams),
        tuple(float(len(text)) for text in grams),
    )


def repeated_share(texts: Sequence[Sequence[str]], n: int = 4) -> Shares:
    """The share of n-grams that stood in the same text before (rep-n; Welleck et al. 2020)."""
    grams = [_grams(text, n) for text in texts]
    return Shares(
        tuple(float(len(text) - len(set(text))) for text in grams), tuple(float(len(text)) for text in grams)
    )


def self_bleu(texts: Sequence[Sequence[str]], max_n: int = 4) -> Shares:
    """The mean over texts of the BLEU of each against all others (Zhu et al. 2018); low is diverse.

    BLEU after Papineni et al. (2002): clipped precisions of 1- to 4-grams, weighted evenly, times the brevity
    penalty against the closest length; no shared n-gram counts as 0.1 of one. A text shorter than 4 words is
    judged by the n-grams that it has; an empty text says nothing.
    """
    some = [number for number, text in enumerate(texts) if text]
    others = {n: _Others([_grams(texts[number], n) for number in some]) for n in range(1, max_n + 1)}
    lengths = sorted(len(texts[number]) for number in some)
    parts, weights = [0.0] * len(texts), [0.0] * len(texts)
    if len(some) < 2:
        return Shares(tuple(parts), tuple(weights))
    for place, number in enumerate(some):
        n_words = len(texts[number])
        logs = [math.log(others[n].precision(place)) for n in range(1, min(max_n, n_words) + 1)]
        brevity = min(0.0, 1 - _closest(lengths, n_words) / n_words)
        parts[number] = math.exp(brevity + math.fsum(logs) / len(logs))
        weights[number] = 1.0
    return Shares(tuple(parts), tuple(weights))


class _Others:
    """Of each n-gram the largest count in one text and the largest in another, so any text can be left out."""

    def __init__(self, texts: Sequence[Sequence[Gram]]) -> None:
        self._counts = [Counter(text) for text in texts]
        self._most: dict[Gram, tuple[int, int, int]] = {}  # largest, its text, second largest
        for place, counts in enumerate(self._counts):
            for gram, count in counts.items():
                largest, holder, second = self._most.get(gram, (0, -1, 0))
                if count > largest:
                    self._most[gram] = (count, place, largest)
                elif count > second:
                    self._most[gram] = (largest, holder, count)

    def precision(self, place: int) -> float:
        shared = 0
        for gram, count in self._counts[place].items():
            largest, holder, second = self._most[gram]
            shared += min(count, second if holder == place else largest)
        return (shared or _EPSILON) / self._counts[place].total()


def _closest(lengths: Sequence[int], own: int) -> int:
    """The length closest to a text's own among the others', the shorter of two; `lengths` hold the own one."""
    place = bisect_left(lengths, own)
    around = [*lengths[max(place - 1, 0) : place], *lengths[place + 1 : place + 2]]
    return min(around, key=lambda length: (abs(length - own), length))


def _grams(text: Sequence[str], n: int) -> list[Gram]:
    return [tuple(text[start : start + n]) for start in range(len(text) - n + 1)]
