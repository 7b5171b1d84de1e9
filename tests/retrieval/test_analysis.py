"""Words of the keyword index against lists written by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.retrieval.analysis import analysed, codes, latin_language, phrases
from homespun.retrieval.duplicates import collapsed, resemblance
from homespun.retrieval.fusion import exact_first


@pytest.mark.parametrize(
    ("text", "languages", "words"),
    [
        ("The children were playing", ["english"], ["children", "play"]),
        ("Die Häuser", ["german"], ["haus"]),
        ("El niño toma", ["spanish"], ["nin", "tom"]),
        ("Принимает лекарства", ["english"], ["принима", "лекарств"]),
        ("東京の薬", ["english"], ["東京", "京の", "の薬"]),
        ("Take 0.5 mg", ["english"], ["0.5mg", "take", "0", "5", "mg"]),
        ("part AB-1234", ["english"], ["ab-1234", "part", "ab", "1234"]),
        ("x" * 50, ["english"], ["x" * 40]),
        ("\x00 \ud800 ?!", ["english"], []),
    ],
)
def test_words(text, languages, words):
    assert analysed(text, languages) == words


def test_codes_and_quotations():
    text = "ICD J45.0, § 823 BGB, H1N1, 2,5 kg, 12 % of 40 in 2019, mother-to-child."
    assert codes(text) == ["j45.0", "§823", "h1n1", "2.5kg", "12%"]
    assert phrases('say "Two  Words" or „noch eins“ and "x"') == ["two words", "noch eins"]


def test_the_language_is_told_by_stop_words():
    assert latin_language("Die Kinder spielen nicht mit dem Ball auf dem Hof.") == "german"
    assert latin_language("Le chat est dans la maison avec les enfants.") == "french"
    assert (
        latin_language("The cat sat on a mat.")
        == latin_language("Amoxicillin")
        == latin_language("")
        == "english"
    )


@given(st.text())
def test_any_text_gives_words_without_spaces_as_often_as_asked(text):
    words = analysed(text, ["english", "german"])
    assert all(word and not any(sign.isspace() for sign in word) and len(word) <= 40 for word in words)
    assert analysed(text, ["english", "german"]) == words


def test_what_is_the_same():
    # Runs of three: {abc, bcd} and {abc, bce}: one of three.
    one, other = (frozenset({("a", "b", "c"), ("b", "c", last)}) for last in "de")
    assert resemblance(one, other) == pytest.approx(1 / 3)
    long = "one two three four five six seven eight nine ten eleven twelve"
    assert collapsed([long, "other", long.upper(), "other words here now"]) == [[0, 2], [1], [3]]


def test_rare_codes_come_first_and_frequent_ones_change_nothing():
    scores = {"a": 0.9, "b": 0.1, "c": 0.5}
    assert exact_first(scores, {"b": 1}, 1) == {"a": 0.9, "b": 2.1, "c": 0.5}
    assert exact_first(scores, {"b": 1, "c": 2}, 1) == scores
