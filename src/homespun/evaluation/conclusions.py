"""Sentences about measured strategies that say no more than their intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homespun.evaluation.intervals import Interval
from homespun.evaluation.strategies import (
    BASE,
    MIN_PROMPTS,
    MeasuredStrategy,
    StrategyComparison,
)
from homespun.evaluation.strategy_measures import MEASURES

_DECIMALS = {measure.name: measure.decimals for measure in MEASURES}


@dataclass(frozen=True)
class _Question:
    """What measures speak of: its name, the words for more and for less of it, and which sign is more."""

    name: str
    more: str
    less: str
    signs: Mapping[str, int]


_QUESTIONS = (
    _Question("diversity", "more diverse", "less diverse", {"distinct-1": 1, "distinct-2": 1, "self-BLEU": -1}),
    _Question("repetition", "more repetitive", "less repetitive", {"repetition": 1}),
    _Question("likelihood", "likelier under the model", "less likely under the model", {"log-likelihood": 1}),
    _Question("agreement with references", "closer to the references", "farther from the references",
              {"token F1": 1}),
    _Question("coherence", "closer to the prompt", "farther from the prompt", {"coherence": 1}),
    _Question("speed", "faster", "slower", {"speed": 1}),
)  # fmt: skip


def conclusions(comparison: StrategyComparison) -> list[str]:
    """One sentence for each strategy against greedy, and what all of them are worth.

    A strategy is called more or less of something only where the 95% interval of the paired difference
    excludes 0, and where no other measure of the same thing says the opposite.
    """
    n = comparison.n_prompts
    if n < MIN_PROMPTS:
        return [
            f"{n} prompt{'s are' if n != 1 else ' is'} too few: nothing is concluded from fewer than {MIN_PROMPTS}."
        ]
    others = [row for row in comparison.strategies if row.strategy != BASE]
    found = [_sentence(row) for row in others]
    n_differences = sum(len(row.differences) for row in others)
    if n_differences:
        found.append(
            f"Each interval holds for itself: of {n_differences} differences about {n_differences * 0.05:.0f} "
            "would exclude 0 by chance if no strategy differed from greedy."
        )
    return found


def _sentence(row: MeasuredStrategy) -> str:
    said: list[str] = []
    torn: list[str] = []
    open_: list[str] = []
    for question in _QUESTIONS:
        told = {name: row.differences[name] for name in question.signs if name in row.differences}
        clear = {name: value for name, value in told.items() if value.excludes_zero}
        ways = {question.signs[name] * (1 if value.low > 0 else -1) for name, value in clear.items()}
        if len(ways) == 1:
            said.append(f"{question.more if ways == {1} else question.less} ({_numbers(clear)})")
        elif ways:
            torn.append(f"its measures of {question.name} disagree ({_numbers(clear)})")
        elif told:
            open_.append(question.name)
    head = f"{row.strategy}: " + (
        f"{_listed(said)} than greedy" if said else "no difference to greedy is shown"
    )
    rest = [f"no difference is shown in {_listed(open_, 'or')}"] if said and open_ else []
    return "; ".join([head, *torn, *rest]) + "."


def _numbers(values: Mapping[str, Interval]) -> str:
    return ", ".join(f"{name} {_signed(value, _DECIMALS[name])}" for name, value in values.items())


def _signed(value: Interval, decimals: int) -> str:
    low, high = f"{value.low:+.{decimals}f}", f"{value.high:+.{decimals}f}"
    return f"{value.value:+.{decimals}f} [{low} to {high}]".replace("-", "\N{MINUS SIGN}")


def _listed(parts: Sequence[str], last: str = "and") -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"
