"""What is guessed and how much: pure functions, with values worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.engines.guessing import AcceptanceRate, Offer, StepTimes, TokenIndex, choose_counts


def test_what_followed_the_last_tokens_before_is_guessed():
    index = TokenIndex([1, 2, 3, 4, 5, 9, 2, 3])
    assert index.guess(3) == [4, 5, 9]
    assert index.guess(1) == [4]
    index.extend([4])
    assert index.guess(2) == [5, 9]


def test_a_longer_match_beats_a_later_one():
    index = TokenIndex([1, 2, 3, 7, 9, 2, 3, 8, 1, 2, 3])
    assert index.guess(1) == [7]  # 1 2 3 stood once before; 2 3 alone was last followed by 8


def test_the_latest_of_equal_matches_is_taken_and_nothing_is_guessed_without_one():
    assert TokenIndex([5, 6, 1, 5, 6, 2, 5, 6]).guess(1) == [2]
    assert TokenIndex([5, 6, 7, 8]).guess(4) == []
    assert TokenIndex([5]).guess(4) == [] and TokenIndex().guess(4) == []
    assert TokenIndex([5, 6, 7, 8, 6]).guess(4) == []  # one token alone is no match


def test_a_text_that_repeats_itself_is_guessed_beyond_its_end():
    assert TokenIndex([1, 2, 1, 2, 1, 2]).guess(5) == [1, 2, 1, 2, 1]
    assert TokenIndex([7, 7, 7]).guess(4) == [7, 7, 7, 7]


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 8))
def test_the_index_agrees_with_a_scan_of_the_text(tokens, n_guesses):
    def scan() -> list[int]:
        for length in (4, 3, 2):
            for start in range(len(tokens) - length - 1, -1, -1):
                if len(tokens) > length and tokens[start : start + length] == tokens[-length:]:
                    text = list(tokens)
                    for place in range(start + length, start + length + n_guesses):
                        text.append(text[place])
                    return text[len(tokens) :]
        return []

    in_pieces = TokenIndex(tokens[:7])
    in_pieces.extend(tokens[7:])
    assert in_pieces.guess(n_guesses) == TokenIndex(tokens).guess(n_guesses) == scan()


def test_a_rate_moves_with_what_is_seen_and_forgets():
    rate = AcceptanceRate()
    assert rate.value == 0.5
    rate.learn(1, was_rejected=False)
    assert rate.value == pytest.approx((0.95 * 1 + 1) / (0.95 * 2 + 1))
    rate.learn(0, was_rejected=False)
    assert rate.n_tried == pytest.approx(2.9)
    for _ in range(100):
        rate.learn(9, was_rejected=True)
    assert rate.value == pytest.approx(0.9, abs=0.03)
    for _ in range(100):
        rate.learn(0, was_rejected=True)
    assert rate.value < 0.01


def test_an_unseen_size_counts_as_the_next_smaller_one():
    times = StepTimes()
    assert times.seconds(5) == 0.0
    times.learn(1, 0.020)
    times.learn(4, 0.030)
    assert [times.seconds(n) for n in (1, 3, 4, 11)] == [0.020, 0.020, 0.030, 0.030]
    times.learn(4, 0.034)
    assert times.seconds(4) == pytest.approx(0.031)
    times.learn(4, 9.0)  # the machine was busy: counts as twice the mean
    assert times.seconds(4) == pytest.approx(0.031 * 1.25)
    assert times.seconds(3) == 0.020


def test_a_size_not_seen_for_long_is_unknown_again():
    times = StepTimes()
    times.learn(4, 0.9)
    times.learn(1, 0.020)
    for _ in range(StepTimes.FORGOTTEN_AFTER):
        times.learn(1, 0.020)
    assert times.seconds(4) == 0.020
    times.learn(4, 0.05)
    assert times.seconds(4) == 0.05


def known(**milliseconds: float) -> StepTimes:
    times = StepTimes()
    for name, value in milliseconds.items():
        times.learn(int(name[1:]), value / 1000)
    return times


def test_the_count_that_makes_most_tokens_a_second_is_chosen():
    times = known(n1=20, n2=25, n3=30, n4=60, n5=60)
    # 1/20 = .05; (1 + .8)/25 = .072; (1 + .8 + .64)/30 = .0813; 2.952/60 = .0492; 3.36/60 = .056
    assert choose_counts([Offer(4, 0.8)], 1, 1, times) == [2]
    # 1/20 = .05; (1 + .3)/25 = .052; (1 + .3 + .09)/30 = .0463
    assert choose_counts([Offer(4, 0.3)], 1, 1, times) == [1]
    # 1/20 = .05; (1 + .2)/25 = .048
    assert choose_counts([Offer(4, 0.2)], 1, 1, times) == [0]
    assert choose_counts([Offer(0, 0.9)], 1, 1, times) == [0]
    assert choose_counts([], 0, 0, times) == []


def test_a_step_with_many_answers_guesses_less_and_where_it_is_likeliest():
    times = known(n1=20, n2=22, n3=24, n4=26, n5=40, n6=55, n7=80)
    assert choose_counts([Offer(3, 0.7)], 1, 1, times) == [3]  # 1, 1.7, 2.19, 2.533 over 20, 22, 24, 26
    # Four answers: 4/26 = .154; (4 + .9)/40 = .1225; 5.6/55 = .10; 6.4/80 = .08
    offers = [Offer(3, 0.7), Offer(3, 0.9), Offer(3, 0.1), Offer(0, 0.5)]
    assert choose_counts(offers, 4, 4, times) == [0, 0, 0, 0]
    # Cheap to 6 tokens: the two likeliest are .9 and .81, both of the second answer
    cheap = known(n4=26, n5=27, n6=28, n7=80)
    assert choose_counts(offers, 4, 4, cheap) == [0, 2, 0, 0]


def test_an_unknown_size_is_tried_and_then_known():
    times = known(n1=20)
    assert choose_counts([Offer(3, 0.1)], 1, 1, times) == [3]
    times.learn(4, 0.080)
    assert choose_counts([Offer(3, 0.1)], 1, 1, times) == [2]
    times.learn(3, 0.060)
    times.learn(2, 0.040)
    assert choose_counts([Offer(3, 0.1)], 1, 1, times) == [0]


def test_a_draft_pays_for_its_own_steps():
    times = known(n1=20, n2=21, n3=22, n4=23)
    # 1/20 = .05; 1.8/(21 + d); 2.44/(22 + 2d); 2.952/(23 + 3d)
    assert choose_counts([Offer(3, 0.8, 0.002)], 1, 1, times) == [3]  # .0783, .0938, .1018
    assert choose_counts([Offer(3, 0.8, 0.012)], 1, 1, times) == [1]  # .0545, .0530, .0500
    assert choose_counts([Offer(3, 0.8, 0.030)], 1, 1, times) == [0]
