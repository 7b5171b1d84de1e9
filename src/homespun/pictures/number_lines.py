"""Which numbers a format has: the distance to the next one, over the range of magnitudes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from homespun.pictures.canvas import canvas, plain


def draw_spacing(
    formats: Mapping[str, tuple[float, float, Callable[[float], float]]], path: Path, *, title: str
) -> None:
    """The relative distance to the next number, from the least to the largest number of each format.

    Args:
        formats: by name, the least number above 0, the largest one, and the distance at a magnitude.
        path: .png or .svg.

    Raises:
        PictureError: another ending, or a file that cannot be written.
    """
    styles = ("-", "--", ":", "-.", (0, (5, 1)), (0, (1, 1)))
    with canvas(path, 8.0, 4.5) as (_, axes):
        for number, (name, (least, largest, spacing)) in enumerate(formats.items()):
            exponents = np.arange(np.ceil(np.log2(least)), np.floor(np.log2(largest)) + 1)
            places = [2.0**exponent for exponent in exponents]
            axes.plot(
                places,
                [spacing(place) / place for place in places],
                linestyle=styles[number % len(styles)],
                color=str(0.6 * number / max(len(formats) - 1, 1)),
                linewidth=1.2 + 0.3 * number,
                label=plain(name),
            )
        axes.set_xscale("log", base=10)
        axes.set_yscale("log", base=10)
        axes.set_xlabel("magnitude of a number")
        axes.set_ylabel("distance to the next one, as a share of it")
        axes.set_title(plain(title), fontsize=10)
        axes.legend(fontsize=8, loc="upper right")
