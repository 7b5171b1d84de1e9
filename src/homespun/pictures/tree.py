"""The tree of choices as a picture: tokens from left to right, colour and number for the odds, the kept path thick."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.pictures.canvas import COLOUR_SCALE, canvas, shown


@dataclass(frozen=True)
class DrawnNode:
    """A node: `parent` is an index before its own, None for the root; `value` from 0 to 1 colours it."""

    parent: int | None
    text: str
    value: float
    note: str
    is_kept: bool


def draw_tree(nodes: Sequence[DrawnNode], path: Path, *, title: str, value_label: str) -> None:
    """Draw a tree.

    Args:
        nodes: parents before children; the first is the root.
        path: .png or .svg.
        title: above the picture.
        value_label: what the colours mean, with its unit.
    """
    depth, row = _places(nodes)
    n_rows, n_columns = max(row) + 1, max(depth) + 1
    with canvas(path, max(5.0, 1.35 * n_columns + 1.5), max(3.0, 0.55 * n_rows + 1.4)) as (figure, axes):
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable

        colours = colormaps[COLOUR_SCALE]
        for index, node in enumerate(nodes):
            x, y = depth[index], row[index]
            if node.parent is not None:
                xs, ys = (depth[node.parent] + 0.0, x), (row[node.parent], y)
                axes.plot(
                    xs,
                    ys,
                    color="black" if node.is_kept else "0.6",
                    lw=2.5 if node.is_kept else 0.8,
                    zorder=1,
                )
            is_dark = node.value > 0.55
            box = {
                "boxstyle": "round,pad=0.3",
                "facecolor": colours(node.value * 0.85),
                "edgecolor": "black",
                "linewidth": 2.2 if node.is_kept else 0.6,
            }
            label = f"{shown(node.text) if node.parent is not None else node.text}\n{node.note}".strip()
            axes.text(
                x, y, label, ha="center", va="center", fontsize=8, bbox=box, zorder=2,
                color="white" if is_dark else "black",
            )  # fmt: skip
        axes.set_xlim(-0.6, n_columns - 0.4)
        axes.set_ylim(max(row) + 0.6, -0.6)
        axes.set_xlabel("tokens written")
        axes.set_yticks([])
        axes.set_xticks(range(n_columns))
        axes.spines["left"].set_visible(False)
        axes.set_title(title, fontsize=10)
        figure.colorbar(ScalarMappable(cmap=colours), ax=axes, label=value_label, shrink=0.8)


def _places(nodes: Sequence[DrawnNode]) -> tuple[list[int], list[float]]:
    """Column and row of each node: leaves one below the other, parents in the middle of their children."""
    children: list[list[int]] = [[] for _ in nodes]
    depth = [0] * len(nodes)
    for index, node in enumerate(nodes):
        if node.parent is not None:
            children[node.parent].append(index)
            depth[index] = depth[node.parent] + 1
    row = [0.0] * len(nodes)
    n_leaves = 0
    waiting = [(0, False)]
    while waiting:
        index, is_done = waiting.pop()
        if not children[index]:
            row[index] = float(n_leaves)
            n_leaves += 1
        elif is_done:
            row[index] = sum(row[child] for child in children[index]) / len(children[index])
        else:
            waiting.append((index, True))
            waiting += [(child, False) for child in reversed(children[index])]
    return depth, row
