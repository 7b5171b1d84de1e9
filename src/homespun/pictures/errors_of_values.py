"""What storing values in few bits leaves of them: the value on one axis, what came back on the other."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.pictures.canvas import canvas, check_suffix, plain

Values = npt.NDArray[np.floating]

#: Points drawn of a large array, chosen evenly by rank so that its tails are there.
_MOST_POINTS = 3000


def draw_restored(panels: Mapping[str, tuple[Values, Values]], path: Path, *, title: str) -> None:
    """A panel for each way; on the dashed line a value came back as it was.

    Args:
        panels: by their titles, values and what came back, of the same shape.
        path: .png or .svg.
        title: above all.

    Raises:
        PictureError: another ending, or a file that cannot be written.
    """
    with _grid(panels, path, title, "what came back") as grid:
        for axes, (values, restored) in grid:
            given, left = _chosen(values, restored)
            ends = [float(given[0]), float(given[-1])]
            axes.plot(ends, ends, "--", color="0.6", linewidth=1)
            axes.plot(given, left, ".", color="black", markersize=5)
            if np.abs(given).max() > 30 * np.median(np.abs(given)) > 0:
                # an outlier would press all others into one point
                scale = float(4 * np.median(np.abs(given)))
                axes.set_xscale("symlog", linthresh=scale)
                axes.set_yscale("symlog", linthresh=scale)


def draw_errors(panels: Mapping[str, tuple[Values, Values]], path: Path, *, title: str) -> None:
    """What came back less the value, on the same scale in all panels; the few values far out are left out.

    Args, Raises: as of `draw_restored`.
    """
    most = max(float(np.quantile(np.abs(left - given), 0.9995)) for given, left in panels.values())
    with _grid(panels, path, title, "error") as grid:
        for axes, (values, restored) in grid:
            given, left = _chosen(values, restored)
            axes.axhline(0, color="0.6", linewidth=1, linestyle="--")
            axes.plot(given, left - given, ".", color="black", markersize=2)
            axes.set_xlim(*np.quantile(values, [0.001, 0.999]))
            axes.set_ylim(-most, most)


@contextmanager
def _grid(
    panels: Mapping[str, tuple[Values, Values]], path: Path, title: str, what: str
) -> Iterator[list[tuple[Any, tuple[Values, Values]]]]:
    check_suffix(path)
    n_columns = min(len(panels), 4)
    n_rows = -(-len(panels) // n_columns)
    with canvas(path, 3.2 * n_columns, 3.0 * n_rows + 0.5) as (figure, first):
        first.remove()
        cells = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
        for axes in cells[len(panels) :]:
            axes.remove()
        yield list(zip(cells, panels.values(), strict=False))
        for axes, name in zip(cells, panels, strict=False):
            axes.set_title(plain(name), fontsize=8)
            axes.tick_params(labelsize=7)
        figure.suptitle(plain(title), fontsize=10)
        figure.supxlabel("value", fontsize=9)
        figure.supylabel(what, fontsize=9)


def _chosen(values: Values, restored: Values) -> tuple[Values, Values]:
    order = np.argsort(values, axis=None)
    chosen = order[np.linspace(0, len(order) - 1, min(len(order), _MOST_POINTS)).astype(np.intp)]
    return values.reshape(-1)[chosen], restored.reshape(-1)[chosen]
