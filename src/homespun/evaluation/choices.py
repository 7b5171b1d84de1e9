"""Which choice of a multiple-choice question an answer means."""

import re
from collections.abc import Sequence

from homespun.evaluation.metrics import normalize_answer

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: A letter alone, in brackets, or before a stop: "B", "( b )", "B.", "B: the liver", "Answer: B", "option C".
_LETTER = re.compile(
    r"\A\W*(?i:(?:the )?(?:correct |right |best )?(?:answer|option|choice)?\W*(?:is )?\W*)"
    r"(?:\( ?([A-Za-z]) ?\)|([A-Z])(?![\w'’])|([a-z])(?=[.):]|\W*\Z))"
)


def chosen(text: str, choices: Sequence[str]) -> int | None:
    """The place of the choice that an answer names, from 0; None: it names none, or several.

    A choice is named by its words or by its letter at the beginning. Where both are there they must agree.
    """
    normal = f" {normalize_answer(text)} "
    plain = [f" {normalize_answer(choice)} " for choice in choices]
    named = {place for place, words in enumerate(plain) if words.strip() and words in normal}
    # "Not B" names B too; a longer choice that holds a shorter one is meant alone.
    named -= {
        place for place in named if any(other != place and plain[place] in plain[other] for other in named)
    }
    letter = letter_of(text, len(choices))
    if letter is not None and not _is_a_word(text):
        return letter if not named or letter in named else None
    return named.pop() if len(named) == 1 else None


def letter_of(text: str, n_choices: int) -> int | None:
    """The place that a letter at the beginning names; None: there is none, or none so far down."""
    match = _LETTER.match(text.strip())
    if match is None:
        return None
    place = _LETTERS.index(next(group for group in match.groups() if group).upper())
    return place if place < n_choices else None


def _is_a_word(text: str) -> bool:
    """Whether the letter at the beginning is the word "a" or "I" of a sentence."""
    return re.match(r"\W*(?:A|a|I|i) \w", text) is not None
