"""Values with their intervals, a panel for each measure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.pictures.canvas import canvas


@dataclass(frozen=True)
class DrawnInterval:
    """One row of a panel; `is_marked` fills its point."""

    value: float
    low: float
    high: float
    is_marked: bool = False


@dataclass(frozen=True)
class Panel:
    """A measure: its title, the unit on its axis, and a row for each name that has one."""

    title: str
    unit: str
    rows: Mapping[str, DrawnInterval]


def draw_intervals(
    panels: Sequence[Panel],
    names: Sequence[str],
    path: Path,
    *,
    title: str,
    base: str | None = None,
    note: str = "",
) -> None:
    """Draw points with intervals, the first name on top.

    Args:
        panels: at least one.
        names: of the rows, the same in all panels.
        path: .png or .svg.
        title: above all panels.
        base: the row whose value a dashed line goes on through the others.
        note: below all, what a filled point means.

    Raises:
        PictureError: another ending, or a file that cannot be written.
    """
    n_columns = min(len(panels), 4)
    n_rows = -(-len(panels) // n_columns)
    height = n_rows * (0.26 * len(names) + 1.1) + 0.9
    with canvas(path, 2.7 * n_columns + 1.2, height) as (figure, axes):
        axes.remove()
        grid = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.remove()
                continue
            _draw_panel(axes, panels[place], names, base)
        figure.suptitle(title, fontsize=11)
        if note:
            figure.supxlabel(note, fontsize=9)


def _draw_panel(axes: object, panel: Panel, names: Sequence[str], base: str | None) -> None:
    from matplotlib.axes import Axes
    from matplotlib.ticker import MaxNLocator

    assert isinstance(axes, Axes)
    if base is not None and base in panel.rows:
        axes.axvline(panel.rows[base].value, color="0.5", linestyle="--", linewidth=1)
    for place, name in enumerate(names):
        row = panel.rows.get(name)
        if row is None:
            continue
        axes.plot([row.low, row.high], [place, place], color="black", linewidth=1.3)
        face = "black" if row.is_marked else "white"
        axes.plot(row.value, place, "o", markersize=6, markeredgecolor="black", markerfacecolor=face)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.unit, fontsize=9)
