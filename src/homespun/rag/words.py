"""Words as they are compared: lower case, without endings, with numbers in one spelling."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log

_WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?")
#: Scripts written without spaces: each pair of neighbours counts as a word.
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]{2,}")


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: Words that say how a question or sentence is built, not what it is about.
STOP_WORDS = _listed(
    "a an the of to in into onto is are was were be been being am for on at and or nor but with by from as it "
    "its this that these those there here i you we he she they me him them us my your our his her their mine "
    "yours ours do does did done doing what which who whom whose how when where why can could may might must "
    "shall should will would have has had having if then than so such any some each every about also just "
    "please s t ll re ve d m not no yes one's o'clock up out off over again only own same too very per via etc "
    "i'm i've i'd we're we've you're it's that's there's what's who's where's don't doesn't didn't isn't aren't "
    "can't won't let get gets got getting go goes going went come comes take takes make makes made need needs "
    "want wants say says said tell told ask know happen happens many much"
)

_IRREGULAR = {
    "children": "child", "men": "man", "women": "woman", "people": "person", "feet": "foot", "teeth": "tooth",
    "mice": "mouse", "lives": "life", "knives": "knife", "given": "give", "gave": "give", "kept": "keep",
    "paid": "pay", "sent": "send", "held": "hold", "left": "leave", "taken": "take", "took": "take",
    "wrote": "write", "written": "write", "seen": "see", "saw": "see", "found": "find", "lost": "lose",
    "brought": "bring", "bought": "buy", "felt": "feel", "fell": "fall", "fallen": "fall", "broke": "break",
    "broken": "break", "chosen": "choose", "spoke": "speak", "spoken": "speak", "born": "birth",
    "kids": "child", "kid": "child", "worn": "wear", "wore": "wear", "rang": "ring", "rung": "ring",
    "thrown": "throw", "threw": "throw", "began": "begin", "begun": "begin", "drawn": "draw", "drew": "draw",
}  # fmt: skip

#: Shorter forms that mean the same in notices and handbooks.
_SAME = {
    "phone": "telephone", "fridge": "refrigerator", "doctor": "dr", "jab": "vaccination", "mum": "mother",
    "dad": "father", "kilo": "kg", "kilogram": "kg", "gram": "g", "milligram": "mg", "microgram": "mcg",
    "µg": "mcg", "millilitre": "ml", "milliliter": "ml", "litre": "l", "liter": "l", "hr": "hour",
    "hrs": "hour", "mins": "minute", "min": "minute", "yr": "year", "yrs": "year", "euro": "€", "eur": "€",
    "percent": "%", "vaccine": "vaccination", "vaccinate": "vaccination", "medicine": "medication",
    "appointment": "appointment", "millimetre": "mm", "centimetre": "cm", "metre": "m",
}  # fmt: skip

_VOWELS = set("aeiouy")


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A lower-case word without its ending: a light English stemmer that leaves other languages nearly whole."""
    word = word.replace("’", "'")
    if word.endswith("'s"):
        word = word[:-2]
    word = _IRREGULAR.get(word, word)
    word = _SAME.get(word, word)
    if len(word) < 4 or not word.isascii() or any(char.isdigit() for char in word):
        return word
    for ending, instead in (("sses", "ss"), ("ies", "y"), ("xes", "x"), ("ches", "ch"), ("shes", "sh")):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            word = word[: -len(ending)] + instead
            break
    else:
        if word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
    for ending in ("ing", "ed"):
        base = word[: -len(ending)]
        if word.endswith(ending) and len(base) >= 3 and _VOWELS & set(base):
            is_doubled = base[-1] == base[-2] and base[-1] not in "lsz"
            word = base[:-1] if is_doubled else base
            break
    word = _SAME.get(_IRREGULAR.get(word, word), _SAME.get(f"{word}e", word))
    if word.endswith("e") and len(word) > 4:
        word = word[:-1]
    if word.endswith("y") and len(word) > 3:
        word = word[:-1] + "i"
    return word


@dataclass(frozen=True)
class Word:
    """A word of a text: as written, as compared (`term`), and where (code points)."""

    text: str
    term: str
    start: int
    end: int

    @property
    def is_stop(self) -> bool:
        """Whether it says nothing about the subject. A capital alone inside a sentence ("Fridge A") is a name."""
        if len(self.text) == 1 and self.text.isupper() and self.start > 0 and self.text != "I":
            return False
        return self.text.lower().replace("’", "'") in STOP_WORDS

    @property
    def has_digit(self) -> bool:
        """Whether it is a number or a code."""
        return any(char.isdigit() for char in self.text)


def find_words(text: str) -> list[Word]:
    """The words of a text in order; scripts without spaces give overlapping pairs of characters."""
    words: list[Word] = []
    for match in _WORD.finditer(text):
        unspaced = _UNSPACED.search(match[0])
        if unspaced is None:
            words.append(Word(match[0], stem(match[0].lower()), match.start(), match.end()))
            continue
        first = match.start()
        for place in range(len(match[0]) - 1):
            pair = match[0][place : place + 2]
            words.append(Word(pair, pair.lower(), first + place, first + place + 2))
    return words


def content_words(text: str) -> list[Word]:
    """The words that say what a text is about."""
    return [word for word in find_words(text) if not word.is_stop]


def content_terms(text: str) -> frozenset[str]:
    """The different content words of a text, as compared."""
    return frozenset(word.term for word in content_words(text))


class WordWeights:
    """How much a word tells: its inverse document frequency (BM25's form) over some passages.

    Robertson and Spärck Jones's idf, ln(1 + (N - n + 0.5) / (n + 0.5)), N passages of which n have the word.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        n_with: Counter[str] = Counter()
        n_texts = 0
        for text in texts:
            n_texts += 1
            n_with.update({word.term for word in find_words(text)})
        self._n_with: Mapping[str, int] = n_with
        self.n_texts = n_texts

    def __getitem__(self, term: str) -> float:
        n_with = self._n_with.get(term, 0)
        return log(1 + (self.n_texts - n_with + 0.5) / (n_with + 0.5))

    def __contains__(self, term: str) -> bool:
        return term in self._n_with

    def coverage(self, wanted: Iterable[str], present: Iterable[str]) -> float:
        """The share, by weight, of `wanted` terms that are in `present`; 0 when nothing is wanted."""
        here = set(present)
        wanted = set(wanted)
        total = sum(self[term] for term in wanted)
        return sum(self[term] for term in wanted if term in here) / total if total else 0.0
