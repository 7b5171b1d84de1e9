"""Values in sentences, read by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.rag.quantities import find_quantities


def said(text: str) -> list[tuple[str, str]]:
    return [(found.kind, found.value) for found in find_quantities(text)]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,200 mg or 0.5 g", [("mg", "1200"), ("mg", "500")]),
        ("150 micrograms", [("mg", "3/20")]),
        ("half an hour", [("minute", "30")]),
        ("an hour and a half", [("minute", "90")]),
        ("a quarter of an hour", [("minute", "15")]),
        ("twenty-five children", [("number", "25")]),
        ("two hundred and ten", [("number", "210")]),
        ("a fortnight", [("minute", "20160")]),
        ("18-month-old", [("month", "18")]),
        ("€6 and 7 euros", [("money", "6"), ("money", "7")]),
        ("at 9.30 pm", [("time", "1290")]),
        ("1 September 2023", [("date", "2023-09-01")]),
        ("code VX3", [("code", "vx3")]),
        ("it may be so", []),
    ],
)
def test_values_in_one_unit(text: str, values: list[tuple[str, str]]) -> None:
    assert said(text) == values


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        ("half an hour", "30 minutes", True),
        ("two years", "24 months", True),
        ("half past nine", "09:30", True),
        ("half past nine", "21:30", True),
        ("9 am", "21:00", False),
        ("noon", "12:00", True),
        ("every 24 hours", "daily", True),
        ("1 September 2023", "2023-09-01", True),
        ("1 September 2023", "1 September 2024", False),
        ("September 2023", "1 September 2023", True),
        ("5 mg", "5", True),
        ("5 mg", "5 ml", False),
        ("50 mg", "5 mg", False),
        ("Tuesdays", "Tuesday", True),
        ("Tuesday", "Thursday", False),
    ],
)
def test_equal_values(one: str, other: str, are_equal: bool) -> None:
    (first,), (second,) = find_quantities(one), find_quantities(other)
    assert first.equals(second) is are_equal
    assert second.equals(first) is are_equal


@given(st.text(max_size=80))
def test_places_are_right_and_nothing_crashes(text: str) -> None:
    for found in find_quantities(text):
        assert text[found.start : found.end] == found.text
        assert found.equals(found)
