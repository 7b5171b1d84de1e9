"""A picture of what a month costs by its number of questions."""

from pathlib import Path

from homespun.pictures.lines import draw_lines
from homespun.planning.costs import CostLine, Costs


def draw_costs(costs: Costs, path: Path) -> None:
    """US dollars a month over questions a month; where a fixed price begins to pay is ringed."""
    lines = [line for line in costs.lines if not line.as_of.startswith("2023")]
    middle = max(costs.questions, 1.0)
    x = [middle * 10 ** (step / 8) for step in range(-24, 33)]
    by_name = {line.name: line for line in lines}
    rings = [
        (one.questions, by_name[one.hosted].question_usd * one.questions)
        for one in costs.break_evens
        if one.hosted in by_name and x[0] <= one.questions <= x[-1]
    ]
    draw_lines(
        x,
        {line.name: [_at(line, n) for n in x] for line in lines},
        path,
        title="What a month of questions costs; rings: from here on the fixed price pays",
        x_label=f"questions a month ({costs.read:,} tokens read, {costs.written:,} written)",
        y_label="US dollars a month",
        crossings=rings,
        marked=costs.questions or None,
    )


def _at(line: CostLine, questions: float) -> float:
    """A month's dollars with so many questions; 0 where it cannot answer them."""
    if line.most_questions is not None and questions > line.most_questions:
        return 0.0
    return line.fixed_usd + line.question_usd * questions
