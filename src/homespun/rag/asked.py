"""What kind of answer a question asks for, and whether a sentence holds one."""

import re
from collections.abc import Sequence
from typing import Literal

from homespun.rag.quantities import Quantity, find_quantities
from homespun.rag.words import find_words, stem

AnswerKind = Literal["amount", "time", "money", "person", "place", "reason", "other"]

_AMOUNT = re.compile(
    r"\bhow (?:many|much|long|old|far|often|big|large|high|low|tall|heavy|warm|cold|wide|thick|late|early|soon"
    r"|few|deep)\b|\b(?:what|which) (?:dose|amount|age|number|size|weight|volume|temperature|percentage|limit|"
    r"range|target|extension|quantity|proportion|rate|length|interval|strength|code)\b|\bdosage\b|\bup to what\b",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"\b(?:cost|costs|price|fee|fees|charge|charges|pay|paid|salary|euros?|how expensive)\b", re.IGNORECASE
)
_TIME = re.compile(
    r"\bwhen\b|\b(?:what|which) (?:time|day|days|date|hour|hours|month|year|weekday)\b|\bhow (?:soon|late|early)\b"
    r"|\buntil when\b|\bby when\b|\bhours\b",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\bwho(?:m|se)?\b|\b(?:what|which) (?:doctor|nurse|person|company|firm|bank|brand|make|supplier)\b"
    r"|\bname of\b",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\bwhere\b|\b(?:what|which) (?:room|place|floor|address|shelf|drawer|door|city|country)\b", re.IGNORECASE
)
_REASON = re.compile(r"\bwhy\b|\bhow (?:do|does|did|can|is|are|should)\b", re.IGNORECASE)
_CALENDAR = ("time", "date", "weekday", "month", "minute")
_NAME = re.compile(r"(?<![.!?:\n] )(?<!^)(?<![#|*\-] )\b[^\W\d_a-z][\w'’]+")
_ROLE = re.compile(
    r"\b(?:doctor|nurse|manager|pharmacist|assistant|receptionist|reception|clerk|cleaner|partner|trainee|student|"
    r"parent|staff|colleague|caretaker|supplier|company|laboratory|pharmacy|driver|dr|mr|mrs|ms)s?\b",
    re.IGNORECASE,
)
_PLACE_WORD = re.compile(
    r"\b(?:room|shelf|drawer|cupboard|fridge|floor|door|desk|box|safe|street|hospital|pharmacy|yard|office|kitchen|"
    r"corridor|in|at|on|behind|beside|under|next to|from|to)\b",
    re.IGNORECASE,
)


def answer_kind(question: str) -> AnswerKind:
    """The kind of answer that a question's words ask for; `other` where they do not say."""
    if _MONEY.search(question) and re.search(
        r"\bhow much\b|\bwhat\b|\bprice\b|\bfee\b", question, re.IGNORECASE
    ):
        return "money"
    if _TIME.search(question):
        return "time"
    if _AMOUNT.search(question):
        return "amount"
    if _PERSON.search(question):
        return "person"
    if _PLACE.search(question):
        return "place"
    if _REASON.search(question):
        return "reason"
    return "other"


_HOW_MANY = re.compile(r"\b(?:how many|what number of) ([^\W\d_]+)", re.IGNORECASE)
_HOW_LONG = re.compile(
    r"\bhow (?:long|soon|often)\b|\bhow many (?:minutes|hours|days|weeks|months|years)\b", re.IGNORECASE
)
_CLOCK = re.compile(r"\b(?:what|which) (?:time|hours?)\b", re.IGNORECASE)
_AGE = re.compile(r"\b(?:what|which) age\b|\bhow old\b|\bhow young\b", re.IGNORECASE)
_DOSE = re.compile(r"\b(?:dose|dosage)\b|\bhow much\b(?!.*\b(?:cost|charge|pay|fee|price)\b)", re.IGNORECASE)
_DURATIONS = ("minute", "month")


def holds_unit(question: str, sentence: str, in_question: Sequence[Quantity]) -> float | None:
    """Whether a sentence has a value in the unit that the question asks for ("how many litres", "how long").

    Returns:
        1.0 or 0.0; None where the question asks for no particular unit.
    """
    new = [
        found for found in find_quantities(sentence) if not any(found.equals(given) for given in in_question)
    ]
    kinds: tuple[str, ...] = ()
    if answer_kind(question) == "money":
        kinds = ("money", "dollar", "pound", "percent")
        if re.search(r"\bfree\b|\b(?:without|no) charge\b|\bnothing\b|\d\.\d\d\b", sentence, re.IGNORECASE):
            return 1.0
    elif _HOW_LONG.search(question) or _AGE.search(question):
        kinds = _DURATIONS
    elif _CLOCK.search(question):
        kinds = ("time",)
    elif match := _HOW_MANY.search(question):
        noun = match[1].lower()
        unit = find_quantities(f"1 {noun}")
        if unit and unit[0].kind != "number":
            kinds = (unit[0].kind,)
        else:
            return float(any(_counts(found, sentence, noun) for found in new))
    elif _DOSE.search(question):
        kinds = ("mg", "ml", "kg", "mm", "percent", "money", "degree")
    else:
        return None
    return float(any(found.kind in kinds for found in new))


def _counts(number: Quantity, sentence: str, noun: str) -> bool:
    """Whether the noun stands within a few words of a plain number, on either side (tables name it before)."""
    if number.kind not in ("number", "code", "ordinal"):
        return False
    near = sentence[max(0, number.start - 40) : number.end + 40]
    return stem(noun) in {word.term for word in find_words(near)}


def holds_kind(kind: AnswerKind, sentence: str, in_question: Sequence[Quantity]) -> bool:
    """Whether a sentence holds something of the kind that the question itself does not hold already."""
    if kind in ("amount", "time", "money"):
        new = [
            found
            for found in find_quantities(sentence)
            if not any(found.equals(given) for given in in_question)
        ]
        if kind == "time":
            return any(found.kind in _CALENDAR for found in new)
        if kind == "money":
            return any(
                found.kind in ("money", "dollar", "pound", "percent", "number") for found in new
            ) or bool(
                re.search(r"\bfree\b|\bno charge\b|\bwithout charge\b|\bnothing\b", sentence, re.IGNORECASE)
            )
        return any(found.kind not in ("weekday", "date") for found in new)
    if kind == "person":
        return bool(_NAME.search(sentence) or _ROLE.search(sentence))
    if kind == "place":
        return bool(_PLACE_WORD.search(sentence))
    return True
