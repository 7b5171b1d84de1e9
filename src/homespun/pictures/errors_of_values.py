"""What storing values in few bits leaves of them: the value on one axis, what came back on the other."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from homespun.pictures.canvas import canvas, check_suffix, plain

Values = npt.NDArray[np.floating]

#: Points drawn of a large array, chosen evenly by rank so that its tails are there.
_MOST_POINTS = 1500


def draw_restored(panels: Mapping[str, tuple[Values, Values]], path: Path, *, title: str) -> None:
    """A panel for each way; on the dashed line a value came back as it was.

    Args:
        panels: by their titles, values and what came back, of the same shape.
        path: .png or .svg.
        title: above all.

    Raises:
        PictureError: another ending, or a file that cannot be written.
    """
    check_suffix(path)
    n_columns = min(len(panels), 4)
    n_rows = -(-len(panels) // n_columns)
    with canvas(path, 3.2 * n_columns, 3.0 * n_rows + 0.5) as (figure, first):
        first.remove()
        grid = figure.subplots(n_rows, n_columns, squeeze=False)
        for axes in list(grid.flat)[len(panels) :]:
            axes.remove()
        for axes, (name, (values, restored)) in zip(grid.flat, panels.items(), strict=False):
            order = np.argsort(values, axis=None)
            chosen = order[np.linspace(0, len(order) - 1, min(len(order), _MOST_POINTS)).astype(np.intp)]
            given, left = values.reshape(-1)[chosen], restored.reshape(-1)[chosen]
            ends = [float(given[0]), float(given[-1])]
            axes.plot(ends, ends, "--", color="0.6", linewidth=1)
            axes.plot(given, left, ".", color="black", markersize=5 if len(given) < 100 else 2)
            if np.abs(given).max() > 30 * np.median(np.abs(given)) > 0:
                # an outlier would press all others into one point
                scale = float(2 * np.median(np.abs(given)))
                axes.set_xscale("symlog", linthresh=scale)
                axes.set_yscale("symlog", linthresh=scale)
            axes.set_title(plain(name), fontsize=8)
            axes.tick_params(labelsize=7)
        figure.suptitle(plain(title), fontsize=10)
        figure.supxlabel("value", fontsize=9)
        figure.supylabel("what came back", fontsize=9)
