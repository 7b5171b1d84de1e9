"""Figures of the tokens of one text, below each other along the text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from homespun.pictures.canvas import canvas, shown

#: More labels than this cannot be read in one picture.
N_TOKENS = 60


def draw_token_rows(
    tokens: Sequence[str],
    rows: Mapping[str, Sequence[float]],
    path: Path,
    *,
    title: str,
    marked: Sequence[bool] = (),
    changes: Mapping[str, Sequence[float]] | None = None,
    change_unit: str = "nats",
) -> None:
    """Bars of each quantity above each other, the tokens along the bottom; then changes as a map with numbers.

    Args:
        tokens: the first `N_TOKENS` are drawn.
        rows: values by what they are, unit included; NaN draws nothing.
        marked: tokens whose bars are dark and hatched.
        changes: values around 0 by name, each a row of the map.
    """
    n = min(len(tokens), N_TOKENS)
    changes = changes or {}
    heights = [1.6] * len(rows) + ([0.45 * len(changes) + 0.5] if changes else [])
    with canvas(path, max(6.0, 0.28 * n + 2), sum(heights) + 1.2) as (figure, first):
        first.remove()
        axes = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        places = np.arange(n)
        dark = np.array([*marked[:n], *[False] * (n - len(marked[:n]))], bool)
        for axis, (name, values) in zip(axes, rows.items(), strict=False):
            bars = axis.bar(
                places, np.asarray(values[:n], float), color="0.8", edgecolor="black", linewidth=0.5
            )
            for bar, is_dark in zip(bars, dark, strict=True):
                if is_dark:
                    bar.set(facecolor="0.4", hatch="//")
            axis.set_ylabel(name, fontsize=9)
        if changes:
            _map(axes[-1], {name: values[:n] for name, values in changes.items()}, change_unit, figure)
        axes[-1].set_xticks(places, [shown(token) for token in tokens[:n]], rotation=90, fontsize=8)
        axes[-1].set_xlabel(
            "tokens of the answer" + (f", the first {n} of {len(tokens)}" if n < len(tokens) else "")
        )
        figure.suptitle(title, fontsize=10)


def _map(axis: Any, changes: Mapping[str, Sequence[float]], unit: str, figure: Any) -> None:
    values = np.array(list(changes.values()), float)
    most = max(float(np.abs(values).max(initial=0.0)), 1e-6)
    image = axis.imshow(values, cmap="PuOr", vmin=-most, vmax=most, aspect="auto")
    for row, column in zip(*np.nonzero(np.abs(values) >= 0.5), strict=True):
        value = values[row, column]
        colour = "white" if abs(value) > 0.6 * most else "black"
        axis.text(column, row, f"{value:+.0f}" if abs(value) >= 9.5 else f"{value:+.1f}", ha="center",
                  va="center", fontsize=6, color=colour)  # fmt: skip
    axis.set_yticks(range(len(changes)), [name[:40] for name in changes], fontsize=8)
    figure.colorbar(image, ax=axis, label=unit, fraction=0.03)
