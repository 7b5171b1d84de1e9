"""Comparisons as JSON, there and back."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from homespun.evaluation.comparison import (
    AskedQuestion,
    Cause,
    CauseCount,
    CompareOptions,
    Comparison,
    Pair,
    WayResult,
    WayRow,
)
from homespun.evaluation.intervals import Interval
from homespun.evaluation.statistics import Difference
from homespun.evaluation.way_options import WayOptions
from homespun.evaluation.ways import from_row

VERSION = 1


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Only values that JSON knows."""
    found: dict[str, Any] = {"version": VERSION, **asdict(comparison)}
    return _plain(found)  # type: ignore[no-any-return]


def from_json(found: Mapping[str, Any]) -> Comparison:
    """From `to_json`.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is of another form.
    """
    if found["version"] > VERSION:
        raise ValueError("a newer Homespun wrote it")
    values = {item.name: found[item.name] for item in fields(Comparison) if item.name in found}
    return Comparison(
        **{
            **values,
            "options": CompareOptions(**found["options"]),
            "questions": tuple(_question(one) for one in found["questions"]),
            "ways": tuple(_way(one) for one in found["ways"]),
            "pairs": tuple(
                Pair(**{**one, "difference": Difference(**one["difference"])}) for one in found["pairs"]
            ),
            "causes": tuple(CauseCount(**one) for one in found["causes"]),
            "verdict": tuple(found["verdict"]),
            "notes": tuple(found["notes"]),
        }
    )


def _question(one: Mapping[str, Any]) -> AskedQuestion:
    return AskedQuestion(
        **{**one, "answers": tuple(one["answers"]), "sources": tuple(one.get("sources", ()))}
    )


def _way(one: Mapping[str, Any]) -> WayResult:
    return WayResult(
        **{
            **one,
            "options": WayOptions(**one["options"]),
            "rows": tuple(_row(row) for row in one["rows"]),
            "correct": Interval(**one["correct"]),
            "f1": Interval(**one["f1"]),
        }
    )


def _row(one: Mapping[str, Any]) -> WayRow:
    cause = None if one["cause"] is None else Cause(**one["cause"])
    return WayRow(**{**one, "answered": from_row(one["answered"]), "cause": cause})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else math.copysign(1e308, value)  # JSON has neither
    return value
