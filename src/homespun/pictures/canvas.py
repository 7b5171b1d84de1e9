"""One picture: a matplotlib figure without a screen, written as PNG or SVG by the file's ending."""

import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homespun.pictures.errors import PictureError

SUFFIXES = (".png", ".svg")

#: Light to dark without a change of order when printed in grey (viridis is such a scale; Smith and van
#: der Walt 2015), cut at its light end so that black text stays readable on it.
COLOUR_SCALE = "viridis_r"
#: Lines and points differ by form too.
MARKERS = "osD^vPX*<>hp"
_STYLE = {
    "font.family": ["DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei"],
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "homespun",  # the same picture is the same file
}


@contextlib.contextmanager
def canvas(path: Path, width: float, height: float) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes; what is drawn inside is written when the block ends.

    Args:
        path: ends in .png or .svg.
        width, height: in inches (a PNG has 150 dots for each).

    Raises:
        PictureError: another ending, or a file that cannot be written.
    """
    check_suffix(path)
    matplotlib = _matplotlib()
    with matplotlib.rc_context(_STYLE):
        from matplotlib.figure import Figure

        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()
        write(figure, path)


def check_suffix(path: Path) -> None:
    """Refuse what is neither PNG nor SVG before any work is done.

    Raises:
        PictureError: another ending.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise PictureError(f"{path.name!r} is no name for a picture.", remedy="Let it end in .png or .svg.")


def write(figure: Any, path: Path) -> None:
    """Write a figure whole or not at all."""
    data = io.BytesIO()
    kind = path.suffix.lower()[1:]
    metadata = {"Date": None} if kind == "svg" else {}
    figure.savefig(data, format=kind, dpi=150, metadata=metadata)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data.getvalue())
        part.replace(path)
    except OSError as error:
        raise PictureError(f"The picture cannot be written ({error.strerror}).", where=str(path)) from error


def shown(text: str) -> str:
    """A token's text where spaces, line ends and what cannot be drawn are to be seen."""
    marks = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍", "$": "\\$"}
    escaped = {c: c.encode("unicode_escape").decode("ascii") for c in text if not c.isprintable()}
    return "".join(marks.get(c) or escaped.get(c, c) for c in text) or "∅"


def plain(text: str) -> str:
    """A label on one line, whose dollar signs start no formula."""
    return " ".join(text.split()).replace("$", "\\$")


def _matplotlib() -> Any:
    # Its folder of settings is not looked at, and its font list is kept where temporary files are.
    os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / "homespun-matplotlib"))
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib
    except ImportError as error:
        raise PictureError("matplotlib is not installed.", remedy="Run: pip install matplotlib") from error
    return matplotlib
