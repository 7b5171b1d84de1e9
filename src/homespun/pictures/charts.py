"""Bars."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from homespun.pictures.canvas import canvas, shown


def draw_bars(
    tokens: Sequence[str], series: Mapping[str, Sequence[float]], path: Path, *, title: str, unit: str
) -> None:
    """Bars beside each other for each token, one series a stage.

    Args:
        tokens: labels on the axis, the first on top.
        series: values by name, as many as tokens.
        unit: what the values are.
    """
    hatches = ("", "//", "..", "xx", "\\\\", "--")
    with canvas(path, 7.5, max(3.0, 0.3 * len(tokens) * len(series) + 1.5)) as (_, axes):
        height = 0.8 / len(series)
        for number, (name, values) in enumerate(series.items()):
            places = np.arange(len(tokens)) + number * height
            shade = str(0.25 + 0.6 * number / max(len(series), 2))
            bars = axes.barh(
                places, values, height, label=name, color=shade, edgecolor="black", linewidth=0.5,
                hatch=hatches[number % len(hatches)],
            )  # fmt: skip
            if len(series) == 1:
                axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=8)
        axes.set_yticks(np.arange(len(tokens)) + 0.4 - height / 2, [shown(token) for token in tokens])
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.set_title(title, fontsize=10)
        if len(series) > 1:
            axes.legend(fontsize=8)
