"""Who takes part in a step with how many tokens: nobody that runs is ever left out for long.

Every answer that is written gets its token. What is left of the step goes to the prompts that are read:
half of it in equal shares, so that a long one moves on whoever comes, and half to those with the least
left, so that a short one need not wait for a long one (shortest remaining first has the least mean wait,
Schrage 1968, but alone it starves the long ones).
"""

from collections.abc import Sequence

from homespun.engines.sequence import RunningSequence

STEP_TOKENS = 1024  # most tokens in one step while nobody is waiting for a next token
STEP_TOKENS_WHILE_WRITING = 256  # ... and while somebody is, so that writing does not stall
STEP_ASKED = 256  # most positions whose logits are wanted in one step (each is a row of n_vocab floats)


def plan_step(running: Sequence[RunningSequence]) -> list[tuple[RunningSequence, int]]:
    """The sequences of this step and how many of its waiting tokens each computes, at least one."""
    writing = [sequence for sequence in running if sequence.n_waiting == 1]
    reading = [sequence for sequence in running if sequence.n_waiting > 1]
    budget = (STEP_TOKENS_WHILE_WRITING if writing else STEP_TOKENS) - len(writing)
    n_asked = STEP_ASKED - sum(len(sequence.asked(1)) for sequence in writing)
    shares = share_out([sequence.n_waiting for sequence in reading], budget)
    plan = [(sequence, 1) for sequence in writing]
    for place, (sequence, share) in enumerate(zip(reading, shares, strict=True)):
        allowed = n_asked // (len(reading) - place)
        n_new = min(share, _until_asked(sequence) + allowed)
        if n_new > 0:
            plan.append((sequence, n_new))
            n_asked -= len(sequence.asked(n_new))
    return plan


def share_out(wants: Sequence[int], budget: int) -> list[int]:
    """What each gets of the budget: half in equal shares, the rest to those that lack least, first come first."""
    shares = equal_shares(wants, budget // 2)
    left = budget - sum(shares)
    for place in sorted(range(len(wants)), key=lambda place: wants[place]):
        more = min(wants[place] - shares[place], left)
        shares[place] += more
        left -= more
    return shares


def equal_shares(wants: Sequence[int], budget: int) -> list[int]:
    """Max-min fair shares: nobody gets more than it wants, and what some do not want goes to the others."""
    shares = [0] * len(wants)
    n_left = len(wants)
    for place in sorted(range(len(wants)), key=lambda place: wants[place]):
        shares[place] = min(wants[place], budget // n_left)
        budget -= shares[place]
        n_left -= 1
    return shares


def _until_asked(sequence: RunningSequence) -> int:
    """Waiting tokens before the first whose logits are wanted."""
    return max(sequence.first_asked - sequence.n_computed, 0)
