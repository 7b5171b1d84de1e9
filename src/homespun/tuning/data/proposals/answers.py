"""What a sentence could be asked for: values with units, times, days and names, word for word."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from homespun.documents.sentences import split_sentences
from homespun.documents.split import Passage
from homespun.rag.quantities import Quantity, find_quantities
from homespun.retrieval.library import Library

_FEWEST_WORDS, _MOST_WORDS = 6, 45
#: A title and a name, or two capitalised words within a sentence.
_NAME = re.compile(
    r"\b(?:Dr|Mr|Mrs|Ms|Prof)\.?(?: (?:(?:de|van|von|der|la) )*[A-ZÄÖÜÉ][\w'’-]+)+"
    r"|(?<=[a-z,;] )[A-ZÄÖÜÉ][a-zäöüßéè'’-]+(?: (?:(?:de|van|von|der|la) )*[A-ZÄÖÜÉ][a-zäöüßéè'’-]+)+"
)
_ROW = re.compile(r"^[^.;|]{1,40}: [^;]*; |\|")
_DURATIONS = ("minute", "month")
_AMOUNTS = ("mg", "ml", "kg", "mm", "degree", "percent")


@dataclass(frozen=True)
class Asked:
    """A sentence of a document and the quote in it that is asked for.

    Attributes:
        rivals: other quotes of the sentence that could be answers.
        starters: beginnings of questions that ask for this kind of answer, in English.
    """

    passage: Passage
    sentence: str
    answer: str
    rivals: tuple[str, ...]
    starters: tuple[str, ...]


def answer_places(library: Library, seed: int) -> Iterator[Asked]:
    """Sentences with something to ask for, a document after the other in turn, at random within each."""
    drawn = random.Random(seed)
    names: list[str] = []
    contents: set[str] = set()
    for document in library.documents():
        if document.content_id and document.n_passages and document.content_id not in contents:
            contents.add(document.content_id)
            names.append(document.name)
    drawn.shuffle(names)
    waiting = []
    for name in names:
        found = [one for passage in library.passages(name) for one in _of_passage(passage, drawn)]
        # Passages may overlap: a sentence is asked for once.
        once = list({one.sentence: one for one in found}.values())
        drawn.shuffle(once)
        waiting.append(once)
    while any(waiting):
        for some in waiting:
            if some:
                yield some.pop()


def _of_passage(passage: Passage, drawn: random.Random) -> Iterator[Asked]:
    for start, end in split_sentences(passage.text):
        sentence = passage.text[start:end]
        n_words = len(sentence.split())
        if not _FEWEST_WORDS <= n_words <= _MOST_WORDS or sentence.endswith("?") or sentence.startswith("#"):
            continue
        if _ROW.search(sentence):  # a table's row says little without the others
            continue
        spans = list(_spans(sentence))
        usable = [(text, starters) for text, starters in spans if starters]
        if usable:
            answer, starters = drawn.choice(usable)
            rivals = tuple(dict.fromkeys(text for text, _ in spans if text != answer))
            yield Asked(passage, sentence, answer, rivals, starters)


def _spans(sentence: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    names = [match.span() for match in _NAME.finditer(sentence)]
    for start, end in names:
        is_place = re.search(r"\b(?:Street|Road|Row|Lane|Yard|Square|House|Hall)$", sentence[start:end])
        yield sentence[start:end], ("Where",) if is_place else ("Who",)
    for found in find_quantities(sentence):
        if not any(start < found.end and found.start < end for start, end in names):
            yield sentence[found.start : found.end], _starters(found, sentence)


def _starters(found: Quantity, sentence: str) -> tuple[str, ...]:
    if re.match(r"(?:once|twice|one)\b|\d+ [a-z]+$", found.text) and found.kind not in (
        *_DURATIONS,
        *_AMOUNTS,
        "money",
    ):
        return ()  # "16 may" is hardly a date
    if found.text.lower().startswith("every"):
        return ("How often",)
    if found.kind in _DURATIONS:
        unit = found.text.split()[-1].strip(".,")
        return ("How long", f"How many {unit}") if unit.endswith("s") else ("How long",)
    if found.kind == "time":
        return ("At what time", "When")
    if found.kind == "weekday":
        return ("On which day", "When")
    if found.kind == "date":
        return ("When",)
    if found.kind in ("money", "dollar", "pound"):
        return ("How much", "What is the price of")
    if found.kind == "percent":
        return ("What percentage",)
    if found.kind == "degree":
        return ("At what temperature", "What temperature")
    if found.kind in _AMOUNTS:
        return ("How much",)
    noun = re.match(r" ((?:[a-z]+ )?[a-z]{2,}s)\b(?<!ss)", sentence[found.end :])
    if found.kind == "number" and noun:
        return (f"How many {noun[1]}",)
    return ()
