"""How results and progress look: one JSON object, or text for people on standard output; progress on
standard error, so that output can be piped."""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from homespun.progress import Progress


def print_json(value: Any) -> None:
    """One JSON object. Dataclasses become objects, paths become text."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return {name: None if _is_nan(item) else item for name, item in named.items()}  # JSON has no NaN
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "items"):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Bars with the time left, on a terminal; one line every ten seconds elsewhere."""
    if not sys.stderr.isatty():
        yield _LineProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    bars = Bars(
        *columns,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # else what is printed meanwhile would go to standard error, past a pipe
        redirect_stderr=False,
    )
    with bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: float, total: float | None) -> None:
            if what not in tasks:
                for finished in tasks.values():
                    bars.remove_task(finished)
                tasks.clear()
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield show


@contextmanager
def shown_text() -> Iterator[Callable[[str], None] | None]:
    """Text as it comes, on a terminal only; it is gone when the block ends."""
    if not sys.stdout.isatty():
        yield None
        return
    from rich.live import Live
    from rich.text import Text

    pieces: list[str] = []
    with Live(Text(""), transient=True, refresh_per_second=10) as live:

        def show(piece: str) -> None:
            pieces.append(piece)
            live.update(Text("".join(pieces), style="dim"))

        yield show


class _LineProgress:
    """Progress without a terminal: rare lines, each with the time left."""

    def __init__(self) -> None:
        self._what = ""
        self._started_s = 0.0
        self._told_s = 0.0

    def __call__(self, what: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._started_s, self._told_s = what, now, now
            return
        if now - self._told_s < 10:
            return
        self._told_s = now
        if total and done:
            left_s = (now - self._started_s) * (total - done) / done
            print(f"{what}: {done / total:.0%}, about {left_s:.0f} s left", file=sys.stderr)
        else:
            print(f"{what} ...", file=sys.stderr)


def table(rows: list[dict[str, Any]]) -> str:
    """Aligned columns under their names; numbers to the right."""
    if not rows:
        return ""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(names)]
    numeric = [all(isinstance(row[name], (int, float)) for row in rows) for name in names]
    titles = [name.replace("_", " ") for name in names]
    lines = [_line(titles, widths, numeric), _line(["-" * width for width in widths], widths, numeric)]
    lines += [_line(row, widths, numeric) for row in cells]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _line(cells: list[str], widths: list[int], numeric: list[bool]) -> str:
    padded = [
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(cells, widths, numeric, strict=True)
    ]
    return "  ".join(padded).rstrip()


def size(n_bytes: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
