"""Spinning the wheel: each possible token has its part of a circle, and a pointer shows what was drawn."""

import math
from collections.abc import Sequence
from pathlib import Path

from homespun.pictures.canvas import COLOUR_SCALE, canvas, shown

_HATCHES = ("", "//", "..", "\\\\", "xx", "--", "oo", "++")


def draw_wheel(
    tokens: Sequence[str], probabilities: Sequence[float], path: Path, *, drawn_at: float | None, title: str
) -> None:
    """Draw a wheel of fortune.

    Args:
        tokens: texts of the shown tokens; what the others have together is one part, "others".
        probabilities: of the tokens, their sum at most 1.
        path: .png or .svg.
        drawn_at: the random number from 0 to 1 that was drawn, where the pointer stands; None: no pointer.
        title: above the picture.
    """
    parts = [*probabilities]
    labels = [f"{shown(token)}  {value:.3f}" for token, value in zip(tokens, probabilities, strict=True)]
    rest = 1 - sum(parts)
    if rest > 5e-4:
        parts.append(rest)
        labels.append(f"others  {rest:.3f}")
    with canvas(path, 7.5, 5.0) as (_, axes):
        from matplotlib import colormaps

        colours = [
            colormaps[COLOUR_SCALE](0.05 + 0.7 * i / max(len(parts) - 1, 1)) for i in range(len(parts))
        ]
        wedges, _ = axes.pie(
            parts, colors=colours, startangle=90, counterclock=False,
            wedgeprops={"edgecolor": "black", "linewidth": 0.8},
        )  # fmt: skip
        for index, wedge in enumerate(wedges):
            wedge.set_hatch(_HATCHES[index % len(_HATCHES)])
        axes.legend(wedges, labels, loc="center left", bbox_to_anchor=(1.05, 0.5), title="token, probability")
        if drawn_at is not None:
            angle = math.pi / 2 - 2 * math.pi * drawn_at
            tip = (0.82 * math.cos(angle), 0.82 * math.sin(angle))
            tail = (1.3 * math.cos(angle), 1.3 * math.sin(angle))
            axes.annotate(
                "", xy=tip, xytext=tail, arrowprops={"arrowstyle": "-|>", "lw": 3, "color": "black"}
            )
            axes.text(
                1.45 * math.cos(angle), 1.4 * math.sin(angle), f"{drawn_at:.3f}", ha="center", va="center"
            )
        axes.set_title(title, fontsize=10)
