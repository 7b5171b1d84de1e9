"""Measured strategies as a picture."""

from pathlib import Path

from homespun.evaluation.strategies import BASE, MIN_PROMPTS, StrategyComparison
from homespun.evaluation.strategy_measures import MEASURES
from homespun.pictures.intervals import DrawnInterval, Panel, draw_intervals


def draw_comparison(comparison: StrategyComparison, path: Path) -> None:
    """A panel for each measure, PNG or SVG.

    Raises:
        PictureError: another ending, or a file that cannot be written.
    """
    rows = comparison.strategies
    panels = []
    for measure in MEASURES:
        found = {}
        for row in rows:
            if measure.name in row.measures:
                value = row.measures[measure.name]
                is_marked = comparison.is_clear(row, measure.name)
                found[row.strategy] = DrawnInterval(value.value, value.low, value.high, is_marked)
        if found:
            panels.append(Panel(measure.name, measure.unit, {str(k): v for k, v in found.items()}))
    draw_intervals(
        panels,
        [row.strategy for row in rows],
        path,
        title=f"Strategies on {comparison.n_prompts} prompts, 95% intervals over prompts",
        base=BASE,
        note="filled: the paired difference to greedy (dashed line) has an interval that excludes 0"
        if comparison.n_prompts >= MIN_PROMPTS
        else f"no point is filled: fewer than {MIN_PROMPTS} prompts show no difference",
    )
