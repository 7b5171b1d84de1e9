"""Whether answers say the same in other words, by words and values (no embedder)."""

import pytest

from homespun.evaluation.likeness import AnswerLikeness, other_values

PLAIN = AnswerLikeness(None)


@pytest.mark.parametrize(
    ("text", "accepted", "same"),
    [
        ("It takes half an hour.", "30 minutes", True),
        ("5 days for the face, with adults", "face: 5 days", True),
        ("It takes 40 minutes.", "30 minutes", False),
        ("The fee is not 6 euros.", "6 euros", False),
        ("Ask Priya.", "Priya Ramanathan", False),
        ("", "6 euros", False),
    ],
)
def test_other_words_for_the_same(text: str, accepted: str, same: bool) -> None:
    assert PLAIN.says_the_same(text, (accepted,)) is same


@pytest.mark.parametrize(
    ("first", "second", "differ"),
    [
        ("Borrowing the tent costs 20 euros.", "Borrowing the tent costs 25 euros.", True),
        ("Borrowing the tent costs 20 euros.", "Borrowing the tent costs 20 euros.", False),
        ("Bites on the hand are closed.", "Bites on the hand are never closed.", True),
        ("Borrowing the tent costs 20 euros.", "The kayak is brought back after 5 days.", False),
    ],
)
def test_nearly_the_same_with_other_values(first: str, second: str, differ: bool) -> None:
    assert PLAIN.differ_in_values(first, second) is differ


def test_a_value_in_the_place_of_another() -> None:
    assert other_values("It is open for 9 days.", ("5 days",), "How long?") == "9 days"
    assert other_values("It is open for 5 days.", ("5 days",), "How long?") == ""
    assert other_values("Passage 4 says nothing of it.", ("5 days",), "How long?") == ""
    assert other_values("Of the 3 rooms, none.", ("5 days",), "Which of the 3 rooms?") == ""
    assert other_values("It is never closed.", ("it is closed",), "Is it closed?") == "the opposite"
