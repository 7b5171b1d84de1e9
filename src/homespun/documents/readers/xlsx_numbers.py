"""Numbers of a spreadsheet as people see them: dates, times and percentages by the cell's format."""

import re
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["number", "percent", "date", "time", "datetime", "elapsed"]

_BUILT_IN: dict[int, Kind] = {
    9: "percent",
    10: "percent",
    **dict.fromkeys((14, 15, 16, 17, 27, 30, 36, 50, 57), "date"),
    **dict.fromkeys((18, 19, 20, 21, 45, 47), "time"),
    22: "datetime",
    46: "elapsed",
}
_NOT_SHOWN = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')


def kind_of_format(number: int, code: str) -> Kind:
    """What a number format shows, from its number and, for a file's own ones, its code."""
    if not code:
        return _BUILT_IN.get(number, "number")
    first = code.split(";")[0].lower()
    if re.search(r"\[(h+|m+|s+)\]", first):
        return "elapsed"
    signs = _NOT_SHOWN.sub("", first).replace("am/pm", "").replace("general", "")
    has_time = "h" in signs or "s" in signs
    has_date = "y" in signs or "d" in signs or ("m" in signs and not has_time)
    if has_date:
        return "datetime" if has_time else "date"
    if has_time:
        return "time"
    return "percent" if "%" in signs else "number"


def shown_number(value: str, kind: Kind, *, is_1904: bool) -> str:
    """A stored number as text: 0.125 as 12.5%, 45292 as 2024-01-01; up to 15 digits, as Excel keeps.

    Args:
        value: the number as it is stored.
        kind: what the cell's format shows.
        is_1904: whether days are counted from 1904, not from 1900.
    """
    try:
        number = float(value)
    except ValueError:
        return value
    if kind == "percent":
        return f"{number * 100:.15g}%"
    if kind == "elapsed":
        seconds = round(abs(number) * 86400)
        return f"{'-' if number < 0 else ''}{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if kind != "number" and 0 <= number < 2_958_466:  # the year 9999
        return _shown_date(number, kind, is_1904)
    return f"{number:.15g}"


def _shown_date(number: float, kind: Kind, is_1904: bool) -> str:
    if is_1904:
        base = datetime(1904, 1, 1)
    else:  # the 29th of February 1900 is counted, but never was
        base = datetime(1899, 12, 30 if number >= 60 else 31)
    try:
        moment = base + timedelta(seconds=round(number * 86400))
    except OverflowError:
        return f"{number:.15g}"
    time = f"{moment:%H:%M}" if moment.second == 0 else f"{moment:%H:%M:%S}"
    if kind == "time" and number < 1:
        return time
    date = f"{moment.date()}"
    return date if kind == "date" else f"{date} {time}"
