"""Points in the plane, in groups told apart by form and shade; panels side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.pictures.canvas import COLOUR_SCALE, MARKERS, canvas, check_suffix, plain

#: Points are smaller when they are more than these.
_MOST_LARGE = 40
#: A label that would cover others, or lie outside, by more than this share of its area is left out.
_MOST_COVERED = 0.2
_LABEL_SIZE = 8
#: Where a label can stand, by its distance from the point in points, the best place first.
_PLACES = (
    (6, 4, "left"), (6, -10, "left"), (-6, 4, "right"), (-6, -10, "right"),
    (0, 9, "center"), (0, -15, "center"), (6, 16, "left"), (-6, -22, "right"),
)  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """Points (n, 2), and what the two axes are."""

    points: npt.NDArray[np.floating]
    axis_labels: tuple[str, str]


def draw_points(
    panels: Mapping[str, Panel],
    groups: Sequence[str],
    path: Path,
    *,
    labels: Sequence[str] = (),
    order: Sequence[str] = (),
    legend: str = "",
) -> None:
    """The same points as several see them.

    Args:
        panels: by their titles.
        groups: one for each point; all empty: no groups.
        path: .png or .svg.
        labels: one for each point, or none; those without room are left out.
        order: of the groups in the legend; by default the one in which they come.
        legend: what the groups are.
    """
    check_suffix(path)
    names = list(dict.fromkeys([*order, *groups]))
    has_legend = any(names)
    with canvas(path, 7.0 * len(panels) + (2.0 if has_legend else 0.5), 6.0) as (figure, first):
        first.remove()
        all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, panel) in zip(all_axes, panels.items(), strict=True):
            _scatter(axes, panel.points, groups, names)
            axes.set_xlabel(panel.axis_labels[0])
            axes.set_ylabel(panel.axis_labels[1])
            axes.set_title(plain(title), fontsize=10)
            axes.margins(0.15 if labels else 0.05)
        if has_legend:
            beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "fontsize": 8}
            all_axes[-1].legend(title=legend or None, **beside)
        if labels:
            figure.draw_without_rendering()  # now it is known where points lie
            for axes, panel in zip(all_axes, panels.values(), strict=True):
                n_left_out = _write_labels(axes, panel.points, labels)
                if n_left_out:
                    axes.set_title(f"{axes.get_title()} ({n_left_out} labels had no room)", fontsize=10)


def _scatter(
    axes: Any, points: npt.NDArray[np.floating], groups: Sequence[str], names: Sequence[str]
) -> None:
    from matplotlib import colormaps

    size = 60 if len(points) <= _MOST_LARGE else 22
    for number, name in enumerate(names):
        rows = [index for index, group in enumerate(groups) if group == name]
        shade = 0.1 + 0.8 * number / max(len(names) - 1, 1)
        axes.scatter(
            points[rows, 0], points[rows, 1], s=size, marker=MARKERS[number % len(MARKERS)], label=plain(name),
            color=colormaps[COLOUR_SCALE](shade), edgecolors="black", linewidths=0.5,
        )  # fmt: skip


def _write_labels(axes: Any, points: npt.NDArray[np.floating], labels: Sequence[str]) -> int:
    """Each label at the place beside its point where it covers the least; how many had no room."""
    n_left_out = 0
    per_point = axes.figure.dpi / 72
    inside = tuple(axes.bbox.extents / per_point)
    shown_at = axes.transData.transform(points) / per_point
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in shown_at]
    for (x, y), place, label in zip(shown_at, points, labels, strict=True):
        width = 0.58 * _LABEL_SIZE * len(label)
        boxes = [_box(x, y, width, *offset) for offset in _PLACES]
        lost = [
            sum(_common(box, other) for other in taken) + _area(box) - _common(box, inside) for box in boxes
        ]
        best = int(np.argmin(lost))
        if lost[best] > _MOST_COVERED * _area(boxes[best]):
            n_left_out += 1
            continue
        taken.append(boxes[best])
        right, up, side = _PLACES[best]
        axes.annotate(
            plain(label), place, xytext=(right, up), textcoords="offset points", ha=side, fontsize=_LABEL_SIZE
        )
    return n_left_out


_Box = tuple[float, float, float, float]


def _box(x: float, y: float, width: float, right: float, up: float, side: str) -> _Box:
    left = x + right - {"left": 0.0, "right": width, "center": width / 2}[side]
    return (left, y + up - 2, left + width, y + up + _LABEL_SIZE)


def _area(box: _Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _common(a: _Box, b: _Box) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return wide * high if wide > 0 and high > 0 else 0.0
