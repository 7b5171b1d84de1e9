"""Words as they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.rag.words import WordWeights, content_terms, find_words, stem


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bites", "bite"),
        ("booking", "booked"),
        ("stopped", "stop"),
        ("children", "child"),
        ("parties", "party"),
        ("nurse's", "nurse"),
        ("kept", "keeping"),
        ("vaccinating", "vaccinations"),
    ],
)
def test_endings_do_not_count(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize(("one", "other"), [("bus", "bust"), ("card", "care"), ("dose", "door")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert stem(one) != stem(other)


def test_a_capital_letter_is_a_name_and_an_article_is_not() -> None:
    assert "a" in content_terms("Where is Fridge A?")
    assert "a" not in content_terms("Where is a fridge?")
    assert "a" not in content_terms("A fridge")


def test_scripts_without_spaces_give_pairs() -> None:
    assert [word.text for word in find_words("予防接種")] == ["予防", "防接", "接種"]


def test_rare_words_weigh_more() -> None:
    weights = WordWeights(["the cut", "the bite", "the bite of a cat"])
    assert weights["cat"] > weights["bite"] > weights["the"]
    # ln(1 + (3 - 1 + 0.5) / 1.5) and ln(1 + (3 - 0 + 0.5) / 0.5)
    assert weights["cat"] == pytest.approx(0.9808, abs=1e-4)
    assert weights["horse"] == pytest.approx(2.0794, abs=1e-4)
    assert weights.coverage(["cat", "horse"], ["cat"]) == pytest.approx(0.9808 / (0.9808 + 2.0794), abs=1e-4)
    assert weights.coverage([], ["cat"]) == 0.0


@given(st.text(max_size=60))
def test_places_are_right(text: str) -> None:
    assert all(text[word.start : word.end] == word.text for word in find_words(text))
