"""Who gets how much of a step: hand-computed shares, and nobody left out."""

from hypothesis import given
from hypothesis import strategies as st

from homespun.engines.openvino.plan import (
    STEP_ASKED,
    STEP_TOKENS,
    STEP_TOKENS_WHILE_WRITING,
    equal_shares,
    plan_step,
    share_out,
)
from homespun.engines.sequence import Reading


def reading(n_tokens: int, n_asked: int = 1) -> Reading:
    return Reading(tuple(range(n_tokens)), n_asked, None, whole=True)


def test_equal_shares_pass_on_what_is_not_wanted():
    assert equal_shares([10, 100, 100], 90) == [10, 40, 40]
    assert equal_shares([100, 5, 20], 300) == [100, 5, 20]
    assert equal_shares([], 10) == []


def test_half_goes_to_all_alike_and_half_to_the_nearest_end():
    assert share_out([2000, 300, 2000], 240) == [40, 160, 40]
    assert share_out([2000, 30, 2000], 240) == [165, 30, 45]
    assert share_out([30, 50], 240) == [30, 50]


def test_one_prompt_alone_gets_the_whole_step():
    assert [n for _, n in plan_step([reading(5000)])] == [STEP_TOKENS]


def test_writers_come_first_and_make_steps_short():
    writer, prompt = reading(1), reading(5000)
    assert plan_step([prompt, writer]) == [(writer, 1), (prompt, STEP_TOKENS_WHILE_WRITING - 1)]


def test_rows_of_logits_are_shared_too():
    many, few = reading(3000, 3000), reading(40, 40)
    assert [(n, len(s.asked(n))) for s, n in plan_step([many, few])] == [(128, 128), (40, 40)]


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000)), min_size=1, max_size=64))
def test_everybody_moves_on_in_every_step_and_nothing_is_exceeded(sizes):
    running = [reading(max(n, asked), asked) for n, asked in sizes]
    while running:
        plan = plan_step(running)
        assert {id(s) for s, _ in plan} == {id(s) for s in running}
        assert all(1 <= n <= s.n_waiting for s, n in plan)
        assert sum(n for _, n in plan) <= STEP_TOKENS
        assert sum(len(s.asked(n)) for s, n in plan) <= STEP_ASKED
        for sequence, n in plan:
            sequence.n_computed += n
        running = [s for s in running if s.n_waiting]
