"""Diversity and repetition by hand, and what must hold for any texts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.evaluation.diversity import distinct_n, repeated_share, self_bleu, words
from homespun.evaluation.intervals import interval

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=12), min_size=1, max_size=8)


def value(shares):
    return sum(shares.parts) / sum(shares.weights)


def test_words_are_lower_case_without_punctuation_and_characters_where_there_are_no_spaces():
    assert words("The cat's bed, 3.5 m: don't!") == ["the", "cat's", "bed", "3", "5", "m", "don't"]
    assert words("Tokyo 東京 is") == ["tokyo", "東", "京", "is"]
    assert words(" ... ") == []


def test_distinct_by_hand():
    texts = [["a", "b", "a"], ["a", "c"]]
    # Words a b a a c: 3 distinct of 5. Pairs ab ba ac: 3 of 3.
    assert value(distinct_n(texts, 1)) == pytest.approx(3 / 5)
    assert value(distinct_n(texts, 2)) == pytest.approx(1)
    # Of the three distinct words the first text brings b and two thirds of a.
    assert distinct_n(texts, 1).parts == pytest.approx((5 / 3, 4 / 3))
    assert value(distinct_n([["a", "b"], ["a", "b"]], 2)) == pytest.approx(1 / 2)


@given(TEXTS, st.integers(1, 3))
def test_distinct_counts_distinct_ones(texts, n):
    grams = [tuple(text[i : i + n]) for text in texts for i in range(len(text) - n + 1)]
    shares = distinct_n(texts, n)
    assert sum(shares.parts) == pytest.approx(len(set(grams)))
    assert sum(shares.weights) == len(grams)


def test_repetition_by_hand():
    # abab abab...: 4-grams of "a b a b a b" are abab, baba, abab: one of three stood before.
    assert repeated_share([list("ababab")]).parts == (1.0,)
    assert repeated_share([list("ababab")]).weights == (3.0,)
    assert not repeated_share([list("abc")]).says_something


def test_self_bleu_by_hand():
    # "a b c d" against "a b c e": precisions 3/4, 2/3, 1/2 and 0.1 of 1; equal lengths.
    texts = [list("abcd"), list("abce")]
    expected = (3 / 4 * 2 / 3 * 1 / 2 * 0.1) ** 0.25
    assert self_bleu(texts).parts == pytest.approx((expected, expected))
    # Clipping: "a a" against "a b" has one of two words, no pair of one; text lengths are equal.
    assert self_bleu([list("aa"), list("ab")]).parts[0] == pytest.approx(math.sqrt(1 / 2 * 0.1))
    # Brevity: "a" against "a b c" is exp(1 - 3/1).
    assert self_bleu([list("a"), list("abc")]).parts[0] == pytest.approx(math.exp(-2))
    # The closest of lengths 2 and 4 to 3 is the shorter one: no penalty.
    assert self_bleu([list("abc"), list("ab"), list("abcd")]).parts[0] == pytest.approx(1)


def test_self_bleu_of_the_same_text_is_one_and_empty_texts_say_nothing():
    assert self_bleu([list("abcde")] * 3).parts == pytest.approx((1, 1, 1))
    shares = self_bleu([list("ab"), [], list("cd")])
    assert shares.weights == (1, 0, 1)
    assert not self_bleu([list("ab"), []]).says_something


@given(TEXTS)
def test_self_bleu_is_bleu_against_each_set_of_others(texts):
    """The fast count of the largest other equals looking at every other text."""
    shares = self_bleu(texts)
    some = [number for number, text in enumerate(texts) if text]
    if len(some) < 2:
        return
    for number in some:
        others = [texts[other] for other in some if other != number]
        logs = []
        for n in range(1, min(4, len(texts[number])) + 1):
            own = [tuple(texts[number][i : i + n]) for i in range(len(texts[number]) - n + 1)]
            most = {
                gram: max(sum(tuple(o[i : i + n]) == gram for i in range(len(o) - n + 1)) for o in others)
                for gram in set(own)
            }
            shared = sum(min(own.count(gram), most[gram]) for gram in set(own))
            logs.append(math.log((shared or 0.1) / len(own)))
        own_length = len(texts[number])
        closest = min((len(o) for o in others), key=lambda length: (abs(length - own_length), length))
        brevity = min(0.0, 1 - closest / own_length)
        assert shares.parts[number] == pytest.approx(math.exp(brevity + sum(logs) / len(logs)))
        assert 0 < shares.parts[number] <= 1 + 1e-9


@given(TEXTS.filter(any))
def test_an_interval_holds_the_shares_range(texts):
    found = interval(distinct_n(texts, 1), n_resamples=50)
    assert 0 < found.low <= found.high <= 1 + 1e-9
