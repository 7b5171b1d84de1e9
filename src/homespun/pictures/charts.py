"""Bars, heat maps and scatter pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from homespun.pictures.canvas import COLOUR_SCALE, MARKERS, canvas, check_suffix, shown


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


def draw_heat_maps(
    matrices: Mapping[str, npt.NDArray[np.floating]], labels: Sequence[str], path: Path, *, unit: str
) -> None:
    """Square matrices side by side with the same scale and the values written in.

    Args:
        matrices: (n, n) by what people call each.
        labels: of rows and columns.
        unit: what the values are.
    """
    check_suffix(path)
    n = len(labels)
    size = max(3.2, 0.42 * n + 1.2)
    low = min(float(matrix.min()) for matrix in matrices.values())
    high = max(float(matrix.max()) for matrix in matrices.values())
    with canvas(path, (size + 0.6) * len(matrices) + 1.0, size + 0.8) as (figure, first):
        first.remove()
        all_axes = figure.subplots(1, len(matrices), squeeze=False)[0]
        for axes, (name, matrix) in zip(all_axes, matrices.items(), strict=True):
            image = axes.imshow(matrix, cmap=COLOUR_SCALE, vmin=low, vmax=high)
            axes.set_xticks(range(n), labels, rotation=60, ha="right", fontsize=8)
            axes.set_yticks(range(n), labels if axes is all_axes[0] else [""] * n, fontsize=8)
            axes.set_title(name, fontsize=10)
            if n <= 16:
                for (row, column), value in np.ndenumerate(matrix):
                    is_dark = value > low + 0.55 * (high - low)
                    axes.text(
                        column, row, f"{value:.2f}", ha="center", va="center", fontsize=7,
                        color="white" if is_dark else "black",
                    )  # fmt: skip
        figure.colorbar(image, ax=list(all_axes), label=unit, shrink=0.8)


def draw_points(
    points: npt.NDArray[np.floating],
    labels: Sequence[str],
    groups: Sequence[str],
    path: Path,
    *,
    title: str,
    axis_labels: tuple[str, str],
) -> None:
    """Labelled points in the plane; a group has its own form and shade.

    Args:
        points: (n, 2).
        labels, groups: one for each point.
    """
    with canvas(path, 8.0, 6.0) as (_, axes):
        from matplotlib import colormaps

        names = list(dict.fromkeys(groups))
        for number, name in enumerate(names):
            rows = [index for index, group in enumerate(groups) if group == name]
            axes.scatter(
                points[rows, 0], points[rows, 1], s=60, marker=MARKERS[number % len(MARKERS)], label=name,
                color=colormaps[COLOUR_SCALE](0.15 + 0.75 * number / max(len(names) - 1, 1)),
                edgecolors="black", linewidths=0.6,
            )  # fmt: skip
        for (x, y), label in zip(points, labels, strict=True):
            axes.annotate(
                shown(label).replace("␣", " "), (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8
            )
        axes.set_xlabel(axis_labels[0])
        axes.set_ylabel(axis_labels[1])
        axes.set_title(title, fontsize=10)
        axes.margins(0.15)
        if len(names) > 1:
            axes.legend(fontsize=8)
