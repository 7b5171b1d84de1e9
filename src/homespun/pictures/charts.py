"""Bars."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from homespun.pictures.canvas import canvas, plain, shown


def draw_bars(
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    path: Path,
    *,
    title: str,
    unit: str,
    are_tokens: bool = True,
    decimals: int = 3,
) -> None:
    """Bars beside each other for each label, one for each series.

    Args:
        labels: on the axis, the first on top.
        series: values by name, as many as labels.
        path: .png or .svg.
        title: above the picture.
        unit: what the values are.
        are_tokens: spaces and line ends of the labels are marked.
        decimals: of the values that are written beside bars where there is one series.
    """
    hatches = ("", "//", "..", "xx", "\\\\", "--")
    with canvas(path, 7.5, max(3.0, 0.3 * len(labels) * len(series) + 1.5)) as (_, axes):
        height = 0.8 / len(series)
        for number, (name, values) in enumerate(series.items()):
            places = np.arange(len(labels)) + number * height
            shade = str(0.25 + 0.6 * number / max(len(series), 2))
            bars = axes.barh(
                places, values, height, label=name, color=shade, edgecolor="black", linewidth=0.5,
                hatch=hatches[number % len(hatches)],
            )  # fmt: skip
            if len(series) == 1:
                axes.bar_label(bars, fmt=f"%.{decimals}f", padding=3, fontsize=8)
        axes.set_yticks(
            np.arange(len(labels)) + 0.4 - height / 2,
            [shown(label) if are_tokens else plain(label) for label in labels],
        )
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        axes.set_title(title, fontsize=10)
        if len(series) > 1:
            axes.legend(fontsize=8)
