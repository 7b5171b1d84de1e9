"""Right answers score, wrong ones do not, by values worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.evaluation.metrics import exact_match, normalize_answer, token_f1


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        (" comedy", "comedy"),
        ("10\n\nPassage", "10"),
        ("( B )", "(B)"),
        ("$29.00", "29"),
        ("early- life", "early-life"),
        ("The Comedy.", "comedy"),
        ("1,200 mg", "1200 mg"),
    ],
)
def test_e1_right_answers_written_otherwise_are_equal(answer: str, accepted: str) -> None:
    assert exact_match(answer, [accepted]) == 1.0
    assert token_f1(answer, [accepted]) == 1.0


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [("cat", "ct"), ("theme", "me"), ("2.5", "25"), ("1.05", "1.5"), ("10", "100"), ("29.01", "29")],
)
def test_e2_only_whole_articles_and_real_punctuation_are_removed(answer: str, accepted: str) -> None:
    assert exact_match(answer, [accepted]) == 0.0


def test_f1_counts_shared_words_once_each() -> None:
    # Shared: black, cat (2); 3 words against 4: 2 * 2 / 7.
    assert token_f1("black cat cat", ["a black dog saw cat"]) == pytest.approx(4 / 7)


def test_best_accepted_answer_counts() -> None:
    assert token_f1("12 hours", ["six hours", "12 hours"]) == 1.0
    assert exact_match("12 hours", ["six hours", "12 hours"]) == 1.0


def test_empty_answers() -> None:
    assert token_f1("", ["something"]) == 0.0
    assert token_f1("the", [""]) == 1.0
    assert token_f1("something", []) == 0.0
    assert exact_match("something", []) == 0.0


@given(st.text(max_size=60))
def test_a_text_equals_itself(text: str) -> None:
    once = normalize_answer(text)
    assert exact_match(text, [text]) == 1.0
    assert token_f1(text, [text]) == 1.0
    assert "  " not in once
    assert once == once.strip()
