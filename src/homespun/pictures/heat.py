"""Heat maps: square matrices side by side, on one scale."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.pictures.canvas import COLOUR_SCALE, canvas, check_suffix, plain

#: Up to so many rows each value is written in its cell; up to so many each row has its label.
_MOST_VALUES = 16
_MOST_LABELS = 60


def draw_heat_maps(
    matrices: Mapping[str, npt.NDArray[np.floating]],
    labels: Sequence[str],
    path: Path,
    *,
    unit: str,
    dividers: Sequence[int] = (),
) -> None:
    """Square matrices side by side with the same scale, few values written in.

    Args:
        matrices: (n, n) by what people call each.
        labels: of rows and columns.
        path: .png or .svg.
        unit: what the values are.
        dividers: rows before which a line is drawn.
    """
    check_suffix(path)
    n = len(labels)
    size = min(max(2.0, 0.42 * n), 10.0)
    beside = 0.08 * max(len(label) for label in labels) if n <= _MOST_LABELS else 0.7
    low = min(float(matrix.min()) for matrix in matrices.values())
    high = max(float(matrix.max()) for matrix in matrices.values())
    edges = (0.5, n + 0.5, n + 0.5, 0.5)  # rows are counted from 1
    with canvas(path, (size + 0.4) * len(matrices) + beside + 1.5, size + beside + 0.6) as (figure, first):
        first.remove()
        all_axes = figure.subplots(1, len(matrices), squeeze=False)[0]
        for axes, (name, matrix) in zip(all_axes, matrices.items(), strict=True):
            image = axes.imshow(matrix, cmap=COLOUR_SCALE, vmin=low, vmax=high, extent=edges)
            _label(axes, labels, is_first=axes is all_axes[0])
            for row in dividers:
                axes.axhline(row + 0.5, color="black", lw=1.5)
                axes.axvline(row + 0.5, color="black", lw=1.5)
            axes.set_title(plain(name), fontsize=10)
            if n <= _MOST_VALUES:
                _write_values(axes, matrix, low + 0.55 * (high - low))
        figure.colorbar(image, ax=list(all_axes), label=unit, shrink=0.8)


def _label(axes: Any, labels: Sequence[str], *, is_first: bool) -> None:
    n = len(labels)
    if n > _MOST_LABELS:
        axes.set_xlabel("number of the row")
        if is_first:
            axes.set_ylabel("number of the row")
        return
    names = [plain(label) for label in labels]
    font = 8 if n <= 26 else 6
    axes.set_xticks(range(1, n + 1), names, rotation=60, ha="right", rotation_mode="anchor", fontsize=font)
    axes.set_yticks(range(1, n + 1), names if is_first else [""] * n, fontsize=font)


def _write_values(axes: Any, matrix: npt.NDArray[np.floating], dark_from: float) -> None:
    for (row, column), value in np.ndenumerate(matrix):
        colour = "white" if value > dark_from else "black"
        axes.text(column + 1, row + 1, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
