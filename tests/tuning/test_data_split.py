"""What is held out was not learnt in other words: near copies, copies and groups stay on one side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.models.template import Message
from homespun.tuning.data.likeness import near_pairs, plain
from homespun.tuning.data.split import split_examples
from homespun.tuning.errors import DataError
from homespun.tuning.examples import Example


def pair(prompt, response="ok", group=""):
    return Example((Message("user", prompt), Message("assistant", response)), group=group)


def test_repeats_that_differ_in_case_and_spaces_never_leak():
    """Field case T7: 100 rows, of which each seventh is there again."""
    rows = [pair(f"question number {number} about {'abcdefg'[number % 7] * 3}") for number in range(100)]
    repeats = [pair(row.prompt.upper().replace(" ", "  ")) for row in rows[::7]]
    for seed in range(5):
        split = split_examples([*rows, *repeats], 0.2, seed)
        train = {plain(row.prompt) for row in split.train}
        assert not train & {plain(row.prompt) for row in split.heldout}
        assert 18 <= len(split.heldout) <= 23
        assert split.n_groups == 100


def test_near_copies_stay_together():
    text = "the clinic opens at nine in the morning on every day of the week but sunday when it stays closed all day"
    rows = [
        Example(text=text),
        Example(text=text + " long"),
        Example(text="something else is told in this one"),
    ]
    assert split_examples(rows, 0.4).n_groups == 2


def test_groups_stay_together_and_the_order_is_kept():
    rows = [pair(f"question {number} {number * number}", group="AB"[number % 2]) for number in range(20)]
    split = split_examples(rows, 0.5)
    assert {row.group for row in split.heldout} in ({"A"}, {"B"})
    assert [row.prompt for row in split.heldout] == sorted(
        (row.prompt for row in split.heldout), key=lambda prompt: int(prompt.split()[1])
    )


def test_shares():
    rows = [pair(f"{number} is a number of its own: {number**5}") for number in range(50)]
    assert split_examples(rows, 0).heldout == ()
    assert len(split_examples(rows, 0.1).heldout) == 5
    assert len(split_examples(rows[:2], 0.1).heldout) == 1
    assert split_examples(rows[:1], 0.5).heldout == ()
    assert split_examples(rows, 0.1, 1).heldout != split_examples(rows, 0.1, 2).heldout
    for share in (-0.1, 1.0):
        with pytest.raises(DataError, match="share"):
            split_examples(rows, share)


def test_an_added_row_moves_few_others():
    rows = [pair(f"{number} is a number of its own: {number**5}") for number in range(100)]
    before, after = split_examples(rows, 0.2, 3), split_examples([*rows, pair("one more")], 0.2, 3)
    assert len(set(before.heldout) & set(after.heldout)) >= 19


_WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"]
words = st.lists(st.sampled_from(_WORDS), min_size=1, max_size=12)


@given(st.lists(words, min_size=2, max_size=12), st.integers(0, 3), st.floats(0.05, 0.9))
def test_no_duplicate_is_ever_separated(many, seed, share):
    rows = []
    for number, some in enumerate(many):
        rows.append(pair(" ".join(some), str(number)))
        rows.append(pair(" \n ".join(some).title(), str(-number)))
    split = split_examples(rows, share, seed)
    assert not {plain(row.prompt) for row in split.train} & {plain(row.prompt) for row in split.heldout}
    assert len(split.train) + len(split.heldout) == len(rows)
    assert split.train


def test_near_pairs_are_exactly_those_that_share_enough():
    base = [f"w{number}" for number in range(40)]
    texts = [" ".join(base), " ".join([*base[:-2], "x", "y"]), " ".join([*base[:25], *(["z"] * 15)])]
    assert [(one, other) for one, other, _ in near_pairs(texts)] == [(0, 1)]
    (found,) = near_pairs(texts)
    assert found[2] == pytest.approx(36 / 40)
    assert [pair[:2] for pair in near_pairs([texts[2], texts[0]], [texts[1]])] == [(1, 0)]
