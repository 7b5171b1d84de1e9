"""Numbers in sentences as values with units, so that "half an hour" equals "30 minutes"."""

import re
from dataclasses import dataclass
from fractions import Fraction

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBER_WORDS = {word: value for value, word in enumerate(_ONES)} | {
    word: (place + 2) * 10 for place, word in enumerate(_TENS)
}
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "fifteenth": 15, "twentieth": 20,
}  # fmt: skip
_MONTHS = {
    name: number
    for number, names in enumerate(
        [
            "january,jan",
            "february,feb",
            "march,mar",
            "april,apr",
            "may",
            "june,jun",
            "july,jul",
            "august,aug",
            "september,sept,sep",
            "october,oct",
            "november,nov",
            "december,dec",
        ],
        start=1,
    )
    for name in names.split(",")
}
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

#: Unit spelling -> (kind, factor): values of one kind are compared after multiplying.
_UNITS: dict[str, tuple[str, Fraction]] = {}


def _unit(kind: str, factor: int | Fraction, spellings: str) -> None:
    for spelling in spellings.split():
        _UNITS[spelling] = (kind, Fraction(factor))


_unit("minute", Fraction(1, 60), "second seconds sec")
_unit("minute", 1, "minute minutes min mins")
_unit("minute", 60, "hour hours hr hrs h hourly")
_unit("minute", 1440, "day days daily")
_unit("minute", 10080, "week weeks weekly")
_unit("minute", 20160, "fortnight fortnights fortnightly")
_unit("month", 1, "month months monthly")
_unit("month", 12, "year years yr yrs yearly")
_unit("mg", Fraction(1, 1000), "microgram micrograms mcg µg μg ug")
_unit("mg", 1, "mg milligram milligrams")
_unit("mg", 1000, "g gram grams")
_unit("kg", 1, "kg kilo kilos kilogram kilograms")
_unit("ml", 1, "ml millilitre millilitres milliliter milliliters")
_unit("ml", 1000, "l litre litres liter liters")
_unit("mm", 1, "mm millimetre millimetres millimeter millimeters")
_unit("mm", 10, "cm centimetre centimetres centimeter centimeters")
_unit("mm", 1000, "metre metres meter meters m")
_unit("money", 1, "€ euro euros eur")
_unit("dollar", 1, "$ dollar dollars usd")
_unit("pound", 1, "£ pounds gbp")
_unit("percent", 1, "% percent")
_unit("degree", 1, "°c ° degrees degree celsius")

_SMALL = rf"(?:(?:{'|'.join(_TENS)})(?:[- ](?:{'|'.join(_ONES[1:10])}))?|(?:{'|'.join(_ONES)}))"
_NUMBER = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:[.,]\d+)?(?!\d)"
    rf"|(?:{_SMALL}|a) hundred(?: and (?:{_SMALL}))?\b|{_SMALL}\b"
)
_UNIT_PATTERN = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_MONTH_PATTERN = "|".join(sorted(_MONTHS, key=len, reverse=True))
_HOURS = "|".join(_ONES[1:13])
_RULES = re.compile(
    rf"(?P<iso>\b\d{{4}}-\d{{2}}-\d{{2}}\b)"
    rf"|(?P<daymonth>\b(?:the )?(?P<dm_day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<dm_month>{_MONTH_PATTERN})\b\.?"
    r"(?:,? (?P<dm_year>\d{4}))?)"
    rf"|(?P<monthday>\b(?P<md_month>{_MONTH_PATTERN}) (?P<md_day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)"
    r"(?:,? (?P<md_year>\d{4}))?)"
    r"|(?P<slash>\b\d{1,2}[/.]\d{1,2}[/.]\d{4}\b)"
    r"|(?P<clock>(?<![\d:.])(?P<c_hour>[01]?\d|2[0-4])[:.h](?P<c_min>[0-5]\d)"
    r"(?![\d:]|\.\d| ?(?:mg|ml|g|kg|°|mm|%))(?: ?(?P<c_half>am|pm|a\.m\.|p\.m\.))?)"
    r"|(?P<oclock>\b(?P<o_hour>\d{1,2}) ?(?P<o_half>am|pm|a\.m\.|p\.m\.))"
    rf"|(?P<spoken>\b(?P<s_part>half past|quarter past|quarter to) (?P<s_hour>{_HOURS}|\d{{1,2}})\b)"
    rf"|(?P<sharp>\b(?P<h_hour>{_HOURS}|\d{{1,2}}) o['’]?clock(?: in the (?P<h_half>morning|afternoon|evening))?)"
    r"|(?P<noon>\b(?:noon|midday|midnight)\b)"
    rf"|(?P<half>\bhalf (?:an? )?(?P<half_unit>{_UNIT_PATTERN})\b)"
    rf"|(?P<andhalf>\b(?P<ah_number>{_NUMBER}|an?) (?P<ah_unit>{_UNIT_PATTERN}) and a half\b)"
    rf"|(?P<quarter>\b(?:a )?(?P<q_part>quarter|three quarters) of an? (?P<q_unit>{_UNIT_PATTERN})\b)"
    r"|(?P<fortnight>\b(?:a |one )?fortnight\b)"
    r"|(?P<dozen>\b(?P<d_half>half )?a dozen\b)"
    r"|(?P<times>\b(?:once|twice|thrice)\b)"
    rf"|(?P<every>\bevery (?P<e_unit>day|week|month|year|hour)\b|\b(?P<e_adverb>daily|weekly|monthly|yearly|hourly)\b)"
    rf"|(?P<single>\b(?:an?|per) (?P<a_unit>hour|minute|day|week|month|year)\b)"
    rf"|(?P<money>[€$£] ?(?P<m_number>\d[\d,]*(?:\.\d+)?))"
    r"|(?P<ordinal>\b\d{1,3}(?:st|nd|rd|th)\b)"
    rf"|(?P<word_ordinal>\b(?:{'|'.join(_ORDINALS)})\b)"
    rf"|(?P<number>(?<![\w.,])(?P<n_number>{_NUMBER})(?:[- ]?(?P<n_unit>{_UNIT_PATTERN})(?![^\W\d_]))?)"
    rf"|(?P<weekday>\b(?:{'|'.join(_DAYS)})s?\b)"
    rf"|(?P<month>\b(?P<mo_month>{_MONTH_PATTERN.replace('|may|', '|')})\b(?: (?P<mo_year>\d{{4}}))?)"
    r"|(?P<code>\b(?=\w*\d)(?=\w*[^\W\d_])\w+\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Quantity:
    """A value in a text.

    Attributes:
        kind: what values may be equal: `number` (no unit), a unit's kind (`minute`, `mg`), `time` (minutes
            after midnight), `date` (a `*` where a part is not told), `weekday`, `ordinal`, `code`.
        value: compared exactly; times without am or pm hold both readings in `others`.
        start, end: code points in the text.
    """

    kind: str
    value: str
    start: int
    end: int
    text: str
    others: tuple[str, ...] = ()

    def equals(self, other: "Quantity") -> bool:
        """Whether the two say the same, a missing unit being compatible with any."""
        mine, theirs = {self.value, *self.others}, {other.value, *other.others}
        if self.kind == other.kind:
            if self.kind == "date":
                return _dates_agree(self.value, other.value)
            return bool(mine & theirs)
        kinds = {self.kind, other.kind}
        if "number" in kinds or kinds == {"ordinal", "number"}:
            return _bare(self) == _bare(other)
        return False


def find_quantities(text: str) -> list[Quantity]:
    """All values of a text, in order: numbers in digits or words, with units, times, dates, weekdays, codes."""
    found = []
    for match in _RULES.finditer(text):
        quantity = _quantity(match)
        if quantity is not None:
            found.append(quantity)
    return found


def _quantity(match: re.Match[str]) -> Quantity | None:
    rule = next(name for name in _READERS if match[name] is not None)
    read = _READERS[rule](match)
    if read is None:
        return None
    kind, value, *others = read
    return Quantity(kind, value, match.start(), match.end(), match[0], tuple(others))


def _number_value(text: str) -> Fraction:
    text = text.lower()
    if text in ("a", "an"):
        return Fraction(1)
    if text[0].isdigit():
        if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text):
            return Fraction(text.replace(",", ""))
        return Fraction(text.replace(",", "."))
    hundreds, has_hundred, rest = text.partition(" hundred")
    if has_hundred:
        above = Fraction(1) if hundreds == "a" else _number_value(hundreds)
        return above * 100 + (_number_value(rest.removeprefix(" and ")) if rest else 0)
    return Fraction(sum(_NUMBER_WORDS[part] for part in re.split(r"[- ]", text)))


def _with_unit(number: Fraction, unit: str | None) -> tuple[str, ...]:
    if not unit:
        return "number", str(number)
    kind, factor = _UNITS[unit.lower()]
    # What was written stays readable as a plain number: "30" beside "30 minutes".
    return kind, str(number * factor)


def _clock(hour: int, minute: int, half: str | None) -> tuple[str, ...]:
    half = (half or "").lower().replace(".", "")
    if half in ("pm", "afternoon", "evening") and hour < 12:
        hour += 12
    if half in ("am", "morning") and hour == 12:
        hour = 0
    values = [hour * 60 + minute]
    if not half and hour < 12:
        values.append(values[0] + 720)
    return "time", *map(str, values)


def _hour(text: str) -> int:
    return int(text) if text.isdigit() else _NUMBER_WORDS[text.lower()]


def _spoken(match: re.Match[str]) -> tuple[str, ...]:
    part, hour = match["s_part"].lower(), _hour(match["s_hour"])
    minute = {"half past": 30, "quarter past": 15, "quarter to": 45}[part]
    return _clock(hour - 1 if part == "quarter to" else hour, minute, None)


def _date(day: str | None, month: int, year: str | None) -> tuple[str, ...]:
    return "date", f"{year or '*'}-{month:02d}-{int(day):02d}" if day else f"{year or '*'}-{month:02d}-*"


def _slash(match: re.Match[str]) -> tuple[str, ...]:
    day, month, year = re.split(r"[/.]", match[0])
    return ("date", f"{year}-{int(month):02d}-{int(day):02d}")


def _month_only(match: re.Match[str]) -> tuple[str, ...] | None:
    name = match["mo_month"].lower()
    if name in ("mar", "sep", "may", "march") and match["mo_month"].islower():
        return None  # "may" and "march" are words too
    return _date(None, _MONTHS[name], match["mo_year"])


def _dates_agree(one: str, other: str) -> bool:
    pairs = zip(one.split("-"), other.split("-"), strict=True)
    return all(a == b or "*" in (a, b) for a, b in pairs)


def _bare(quantity: Quantity) -> str:
    """The number as written, without its unit."""
    match = re.search(_NUMBER, quantity.text, re.IGNORECASE)
    if quantity.kind in ("number", "ordinal"):
        return quantity.value
    return str(_number_value(match[0])) if match else quantity.value


def _every(match: re.Match[str]) -> tuple[str, ...]:
    word = (match["e_unit"] or match["e_adverb"]).lower()
    return _with_unit(Fraction(1), word)


_READERS = {
    "iso": lambda m: ("date", m["iso"]),
    "daymonth": lambda m: _date(m["dm_day"], _MONTHS[m["dm_month"].lower()], m["dm_year"]),
    "monthday": lambda m: _date(m["md_day"], _MONTHS[m["md_month"].lower()], m["md_year"]),
    "slash": _slash,
    "clock": lambda m: _clock(int(m["c_hour"]), int(m["c_min"]), m["c_half"]),
    "oclock": lambda m: _clock(int(m["o_hour"]), 0, m["o_half"]),
    "spoken": _spoken,
    "sharp": lambda m: _clock(_hour(m["h_hour"]), 0, m["h_half"]),
    "noon": lambda m: ("time", "0", "1440") if m["noon"].lower() == "midnight" else ("time", "720"),
    "half": lambda m: _with_unit(Fraction(1, 2), m["half_unit"]),
    "andhalf": lambda m: _with_unit(_number_value(m["ah_number"]) + Fraction(1, 2), m["ah_unit"]),
    "quarter": lambda m: _with_unit(Fraction(3 if "three" in m["q_part"].lower() else 1, 4), m["q_unit"]),
    "fortnight": lambda m: ("minute", "20160"),
    "dozen": lambda m: ("number", "6" if m["d_half"] else "12"),
    "times": lambda m: ("number", {"once": "1", "twice": "2", "thrice": "3"}[m["times"].lower()]),
    "every": _every,
    "single": lambda m: _with_unit(Fraction(1), m["a_unit"]),
    "money": lambda m: _with_unit(_number_value(m["m_number"].rstrip(",")), m["money"][0]),
    "ordinal": lambda m: ("ordinal", m["ordinal"][:-2]),
    "word_ordinal": lambda m: ("ordinal", str(_ORDINALS[m["word_ordinal"].lower()])),
    "number": lambda m: _with_unit(_number_value(m["n_number"]), m["n_unit"]),
    "weekday": lambda m: ("weekday", m["weekday"].lower().removesuffix("s")),
    "month": _month_only,
    "code": lambda m: ("code", m["code"].lower()),
}
