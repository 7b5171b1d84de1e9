"""What is said of a comparison follows its numbers."""

import pytest
from made_comparison import made_comparison, made_way

from homespun.evaluation.verdict import compared_pairs, judge

GOOD = [1.0] * 36 + [0.0] * 4
POOR = [1.0] * 8 + [0.0] * 32


def test_a_way_that_is_clearly_better_wins() -> None:
    found = made_comparison({"quote": made_way("quote", GOOD), "prompt": made_way("prompt", POOR)})
    assert found.winner == "quote"
    assert found.verdict[0].startswith("quote wins: 90% right [")
    assert "+70.0 points" in found.verdict[1] and "28 questions better and 0 worse" in found.verdict[1]


def test_no_winner_where_the_two_best_are_alike_and_it_is_said_what_would_show() -> None:
    near = [1.0] * 35 + [0.0] * 5
    ways = {
        name: made_way(name, scores)
        for name, scores in (("quote", GOOD), ("retrieve", near), ("prompt", POOR))
    }
    found = made_comparison(ways)
    assert found.winner == ""
    assert found.verdict[0].startswith("No way is shown to be better than all others; quote scores most")
    assert any(
        "No difference shown between quote and retrieve (+2.5 points" in line for line in found.verdict
    )
    assert any("more questions would show one of 5 points" in line for line in found.verdict)
    assert any(line.startswith("retrieve is better than prompt") for line in found.verdict)


def test_no_winner_while_ways_scored_different_numbers_of_questions() -> None:
    """Field case E5: failures count as wrong, and name nobody the winner."""
    broken = made_way("prompt", [1.0] * 5 + [0.0] * 35, failed=range(30, 40), crashed="It broke.")
    assert (broken.n_attempted, broken.n_scored) == (40, 30)
    assert broken.correct.value == pytest.approx(5 / 40)  # not 5 / 30
    found = made_comparison({"quote": made_way("quote", GOOD), "prompt": broken})
    assert found.winner == ""
    assert found.verdict[0].startswith("prompt answered 30 of 40 questions (It broke)")
    assert any("no winner is named while ways answered different numbers" in line for line in found.verdict)


def test_few_questions_or_one_way_conclude_nothing() -> None:
    few = made_comparison({"quote": made_way("quote", [1.0] * 19), "prompt": made_way("prompt", [0.0] * 19)})
    assert few.winner == "" and "19 questions are too few" in few.verdict[0]
    alone = made_comparison({"quote": made_way("quote", GOOD)})
    assert alone.winner == "" and alone.pairs == ()


def test_identical_ways_differ_in_nothing() -> None:
    found = made_comparison({"quote": made_way("quote", GOOD), "retrieve": made_way("retrieve", GOOD)})
    (pair,) = found.pairs
    assert pair.p_holm == 1.0 and not pair.is_clear and found.winner == ""


def test_oracles_win_nothing() -> None:
    ways = [made_way("quote", GOOD), made_way("prompt", POOR), made_way("gold-passage", [1.0] * 40)]
    pairs = compared_pairs(ways, "correct", None)
    assert len(pairs) == 1
    assert judge(ways, pairs, "correct")[0] == "quote"


def test_what_a_cause_would_bring_at_most() -> None:
    ways = {
        "quote": made_way("quote", GOOD),
        "gold-sentence": made_way("gold-sentence", [1.0] * 38 + [0.0] * 2),
    }
    found = made_comparison(ways)
    (cause,) = [one for one in found.causes if one.way == "quote"]
    assert (cause.name, cause.n) == ("ignored", 4)
    assert cause.points_at_most == pytest.approx(10.0)  # 4 of 40
    assert cause.points_oracle == pytest.approx(5.0)  # 2 of the 4 came right


def test_cost_for_each_right_answer() -> None:
    way = made_way("prompt", POOR, cost_usd=0.01)
    assert way.cost_usd == pytest.approx(0.40)
    assert way.cost_per_correct_usd == pytest.approx(0.05)  # 40 cents for 8 right answers
    assert way.seconds_per_correct == pytest.approx(2.5)  # 20 seconds for 8
    assert made_way("prompt", POOR).cost_usd is None  # not known is not 0
