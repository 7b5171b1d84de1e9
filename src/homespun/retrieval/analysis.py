"""Text to the words that the keyword index holds, in any language: passages and questions alike.

The index itself only divides at spaces, so that what counts as a word is decided here alone. Words lose
their case, their accents and, where a Snowball stemmer knows the language, their endings (Porter, "Snowball:
A language for stemming algorithms", 2001). Scripts that are written without spaces get overlapping pairs of
characters (Nie et al., "On the use of words and n-grams for Chinese information retrieval", 2000). Codes,
measures and section numbers are kept whole beside their parts.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from homespun.retrieval.stop_words import STOP_WORDS

#: Longer words are cut, in passages and questions alike.
_MAX_CHARS = 40
#: So many of a text's words decide its language, and so large a share of them must be stop words.
_SAMPLE_WORDS = 400
_MIN_STOP_SHARE = 0.12
#: Stop words of one language must be so much more frequent than English ones to make it the language.
_MARGIN = 1.15

#: Thai, Lao, Burmese, Khmer; kana, Han, and their extensions.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f"
)
_PARTS = re.compile(f"([{_UNSPACED}]+)|((?:(?![{_UNSPACED}])\\w)+(?:['’](?![{_UNSPACED}])\\w+)?)")
_ACCENTS = re.compile("[\u0300-\u036f]")
#: Languages that own their script.
_BY_SCRIPT = (
    (re.compile("[\u0400-\u04ff]"), "russian"),
    (re.compile("[\u0370-\u03ff]"), "greek"),
    (re.compile("[\u0600-\u06ff]"), "arabic"),
    (re.compile("[\u0900-\u097f]"), "hindi"),
    (re.compile("[\u0530-\u058f]"), "armenian"),
    (re.compile("[\u0b80-\u0bff]"), "tamil"),
    (re.compile("[\u0590-\u05ff]"), ""),
    (re.compile("[\uac00-\ud7af\u1100-\u11ff]"), ""),
)
_UNITS = (
    "mg|µg|μg|mcg|ng|kg|g|ml|dl|cl|l|mm|cm|km|nm|m|mmol|mol|kcal|kj|j|kw|kwh|w|v|mv|ma|a|hz|khz|mhz|ghz"
    "|kb|mb|gb|tb|mbar|bar|pa|kpa|hpa|mmhg|iu|ie|°c|°f|°|%|‰|€|\\$|£|usd|eur|gbp|chf"
)
_CODES = re.compile(
    rf"(?P<law>§+\s*\d+\w*)"
    rf"|(?P<amount>(?<![\w.,])\d+(?:[.,]\d+)*)\s*(?P<unit>{_UNITS})(?![\w])"
    # Letters and digits in one word, or digits joined by signs: AB-1234, J45.0, 2024/117, H1N1.
    rf"|(?<![\w.,])(?=[\w./:-]*\d)(?:\w+(?:[./:-]\w+)+|[^\W\d_]+\d\w*|\d+[^\W\d_]\w*)(?!\w)",
    re.IGNORECASE,
)


def analysed(text: str, languages: Sequence[str] = ("english",)) -> list[str]:
    """The words of a text as the index holds them, in their order, stop words left out.

    Args:
        text: of a passage or question; nothing in it is an operator.
        languages: whose endings and stop words the words of the Latin script may have; with several, a
            word gives each stem once. Other scripts tell their language themselves.
    """
    clean = _normal(text)
    words: list[str] = list(codes(text))
    for unspaced, word in _PARTS.findall(clean):
        if unspaced:
            words.extend(_pairs(unspaced))
        else:
            words.extend(_stems(word, tuple(languages)))
    return words


def codes(text: str) -> list[str]:
    """The codes, measures and section numbers of a text, each written one way: "ab-1234", "0.5mg", "§823".

    Plain numbers and words are none.
    """
    found = []
    for match in _CODES.finditer(_normal(text)):
        if match["law"]:
            code = "§" + re.sub(r"[§\s]", "", match["law"])
        elif match["amount"]:
            code = match["amount"].replace(",", ".") + match["unit"].replace("μ", "µ")
        else:
            code = match[0]
        found.append(code[:_MAX_CHARS])
    return found


def phrases(query: str) -> list[str]:
    """What a question has in quotation marks: two characters or more, spaces made single, case folded."""
    quoted = re.findall(r'"([^"]+)"|“([^”]+)”|„([^“”]+)[“”]|«([^»]+)»', query)
    texts = (" ".join(_normal("".join(groups)).split()) for groups in quoted)
    return [text for text in texts if len(text) > 1]


def plain(text: str) -> str:
    """A text for comparing: case folded, spaces made single."""
    return " ".join(_normal(text).split())


def latin_language(text: str) -> str:
    """The language of a text in the Latin script by its stop words; English where they do not tell."""
    words = re.findall(r"[^\W\d_]+", text[: _SAMPLE_WORDS * 12].lower())[:_SAMPLE_WORDS]
    if not words:
        return "english"
    shares = {
        language: sum(word in stop for word in words) / len(words)
        for language, stop in STOP_WORDS.items()
        if language != "russian"
    }
    best = max(shares, key=lambda language: shares[language])
    told = shares[best] >= _MIN_STOP_SHARE and shares[best] >= _MARGIN * shares["english"]
    return best if told else "english"


def _normal(text: str) -> str:
    text = text.replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFKC", text).lower()


def _pairs(run: str) -> list[str]:
    return [run[index : index + 2] for index in range(len(run) - 1)] or [run]


@lru_cache(maxsize=1 << 16)
def _stems(word: str, languages: tuple[str, ...]) -> tuple[str, ...]:
    """The forms of one lower-case word; none if it is a stop word of the only language it may be of."""
    script = next((language for pattern, language in _BY_SCRIPT if pattern.search(word)), None)
    forms: dict[str, None] = {}
    for language in languages if script is None else (script,):
        if not any(word in STOP_WORDS.get(other, ()) for other in languages):
            forms[_folded(_stem_of(language)(word))[:_MAX_CHARS]] = None
    return tuple(forms)


def _folded(word: str) -> str:
    word = word.replace("ß", "ss").replace("ø", "o").replace("ł", "l").replace("æ", "ae").replace("œ", "oe")
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", word)))


@lru_cache
def _stem_of(language: str) -> Callable[[str], str]:
    if not language:
        return lambda word: word
    import snowballstemmer

    stemmer: Any = snowballstemmer.stemmer(language)
    return lambda word: str(stemmer.stemWord(word))
