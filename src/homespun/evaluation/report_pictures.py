"""The pictures of a comparison as SVG that stands inside of a page."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from homespun.evaluation.comparison import Comparison, Pair
from homespun.evaluation.way_options import ORACLES
from homespun.pictures.charts import draw_bars
from homespun.pictures.intervals import DrawnInterval, Panel, draw_intervals
from homespun.pictures.points import Panel as PointPanel
from homespun.pictures.points import draw_points

_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_IDS = re.compile(r'(\bid="|url\(#|href="#)')
#: More pairs than these make no picture.
_MOST_PAIRS = 21


def inline_svg(draw: Callable[[Path], None], name: str) -> str:
    """What `draw` writes to the path that it is given, as an element; its ids begin with `name`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.svg"
        draw(path)
        text = path.read_text(encoding="utf-8")
    text = _METADATA.sub("", text[text.index("<svg") :])
    return _IDS.sub(rf"\g<1>{name}-", text)


def score_picture(comparison: Comparison) -> str:
    """Each way's score with its interval."""
    by = comparison.options.by
    rows = {
        way.name: DrawnInterval(*_scaled(getattr(way, by)), is_marked=way.name == comparison.winner)
        for way in comparison.ways
    }
    title = "answers that are right" if by == "correct" else "token F1"
    unit = "% of the questions" if by == "correct" else "F1, in hundredths"

    def draw(path: Path) -> None:
        draw_intervals(
            [Panel(title, unit, rows)],
            list(rows),
            path,
            title="Scores with 95% intervals",
            note="filled: the winner" if comparison.winner else "",
        )

    return inline_svg(draw, "scores")


def difference_picture(comparison: Comparison) -> str:
    """Differences between ways with their intervals; the clearest pairs where there are many."""
    pairs = sorted(comparison.pairs, key=lambda pair: pair.p_holm)[:_MOST_PAIRS]
    rows = {_pair_name(pair): _drawn(pair) for pair in pairs}
    rows["no difference"] = DrawnInterval(0.0, 0.0, 0.0)

    def draw(path: Path) -> None:
        draw_intervals(
            [Panel("the first less the second", "points of 100", rows)],
            list(rows),
            path,
            title="Paired differences with 95% intervals",
            base="no difference",
            note="filled: shown, corrected for all pairs (Holm)",
        )

    return inline_svg(draw, "differences")


def cause_picture(comparison: Comparison) -> str:
    """Wrong answers by cause, a bar for each way but the oracles; empty where there is none."""
    ways = [way.name for way in comparison.ways if way.options.kind not in ORACLES]
    names = list(dict.fromkeys(one.name for one in comparison.causes if one.way in ways))
    if not names:
        return ""
    counts = {(one.way, one.name): one.n for one in comparison.causes}
    series = {way: [counts.get((way, name), 0) for name in names] for way in ways}

    def draw(path: Path) -> None:
        draw_bars(
            names,
            series,
            path,
            title="Wrong answers by cause",
            unit="questions",
            are_tokens=False,
            decimals=0,
        )

    return inline_svg(draw, "causes")


def cost_picture(comparison: Comparison) -> str:
    """Quality against seconds a question, and against dollars where all prices are known."""
    names = [way.name for way in comparison.ways]
    quality = [100 * getattr(way, comparison.options.by).value for way in comparison.ways]
    unit = "% right" if comparison.options.by == "correct" else "F1, in hundredths"
    panels = {
        "Time": PointPanel(
            np.array([[way.seconds for way in comparison.ways], quality]).T, ("seconds a question", unit)
        )
    }
    costs = [way.cost_usd for way in comparison.ways]
    if all(cost is not None for cost in costs):
        points = np.array([[float(cost or 0) for cost in costs], quality]).T
        panels["Price"] = PointPanel(points, ("US dollars in all", unit))

    def draw(path: Path) -> None:
        draw_points(panels, names, path, labels=names)

    return inline_svg(draw, "cost")


def _pair_name(pair: Pair) -> str:
    return f"{pair.first} − {pair.second}"


def _drawn(pair: Pair) -> DrawnInterval:
    one = pair.difference
    return DrawnInterval(100 * one.mean, 100 * one.low, 100 * one.high, pair.is_clear)


def _scaled(interval: object) -> tuple[float, float, float]:
    from homespun.evaluation.intervals import Interval

    assert isinstance(interval, Interval)
    return 100 * interval.value, 100 * interval.low, 100 * interval.high
