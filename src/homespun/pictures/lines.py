"""Lines over a logarithmic axis, with their crossings marked."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from homespun.pictures.canvas import MARKERS, canvas, plain


def draw_lines(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    path: Path,
    *,
    title: str,
    x_label: str,
    y_label: str,
    crossings: Sequence[tuple[float, float]] = (),
    marked: float | None = None,
) -> None:
    """Draw values over x, both axes logarithmic.

    Args:
        x: rising, above 0.
        series: values by name, as many as x; values of 0 or less are left out.
        path: .png or .svg.
        title, x_label, y_label: what is shown.
        crossings: points (x, y) to mark with a ring.
        marked: a place on the x axis to mark with a line.
    """
    styles = ("-", "--", "-.", ":")
    with canvas(path, 8.5, 4.8) as (_, axes):
        for number, (name, values) in enumerate(series.items()):
            points = [(a, b) for a, b in zip(x, values, strict=True) if b > 0]
            axes.plot(
                [a for a, _ in points],
                [b for _, b in points],
                styles[number % len(styles)],
                marker=MARKERS[number % len(MARKERS)],
                markevery=(number % 5, 8),
                markersize=5,
                color=str(0.75 * (number % 7) / 7),
                linewidth=1.2,
                label=plain(name),
            )
        for place, value in crossings:
            axes.plot([place], [value], "o", markersize=10, markerfacecolor="none", color="black")
        if marked is not None:
            axes.axvline(marked, color="0.5", linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        axes.set_title(title, fontsize=10)
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
