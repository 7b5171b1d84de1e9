"""Whether a short answer is right: SQuAD's exact match and token F1 (Rajpurkar et al. 2016).

The rules before comparing are SQuAD's with three repairs, for cases where they score right answers 0:
only the first paragraph counts, numbers are written in one way, and a hyphen parts words.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

#: What is done to both texts before they are compared, to be shown beside scores.
RULES = (
    "only the text before the first empty line",
    "compatibility characters, case and surrounding space do not count",
    "currency signs are dropped, 1,200 is 1200 and 29.00 is 29",
    "hyphens, dashes and slashes part words; other punctuation is dropped",
    "the words a, an and the are dropped",
)

_PARAGRAPH_END = re.compile(r"(?:\r\n|\r|\n)[^\S\r\n]*(?:\r\n|\r|\n)")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_DECIMAL_ZEROS = re.compile(r"(?<![\d.])(\d+)\.0+(?![\d.])")
_CURRENCY = re.compile(r"[$€£¥]")
_PARTING = re.compile(r"[-‐‑‒–—/]+")
_DECIMAL_POINT = re.compile(r"(?<=\d)\.(?=\d)")
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_POINT = "\ue000"


def normalize_answer(text: str) -> str:
    """A text after `RULES`, its words divided by single spaces."""
    text = _PARAGRAPH_END.split(text.strip(), maxsplit=1)[0]
    text = unicodedata.normalize("NFKC", text).lower()
    text = _CURRENCY.sub("", text)
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    text = _DECIMAL_ZEROS.sub(r"\1", text)
    text = _PARTING.sub(" ", text)
    text = _DECIMAL_POINT.sub(_POINT, text)
    text = "".join(char for char in text if not unicodedata.category(char).startswith("P"))
    return " ".join(_ARTICLES.sub(" ", text).replace(_POINT, ".").split())


def exact_match(answer: str, accepted: Iterable[str]) -> float:
    """1.0 if the answer equals one of the accepted ones after `RULES`, else 0.0."""
    normal = normalize_answer(answer)
    return float(any(normal == normalize_answer(text) for text in accepted))


def token_f1(answer: str, accepted: Iterable[str]) -> float:
    """The harmonic mean of precision and recall of shared words, for the best of the accepted answers.

    Two texts that are empty after `RULES` agree fully; one empty and one not, not at all.

    Returns:
        0 to 1; 0 where nothing is accepted.
    """
    return max(
        (_f1(normalize_answer(answer).split(), normalize_answer(text).split()) for text in accepted),
        default=0.0,
    )


def _f1(words: list[str], accepted: list[str]) -> float:
    if not words or not accepted:
        return float(words == accepted)
    n_shared = sum((Counter(words) & Counter(accepted)).values())
    return 2 * n_shared / (len(words) + len(accepted))
