"""How findings of a check look."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homespun.tuning.data.finding import Finding

#: As many rows of a finding are shown; --json has all.
MOST_ROWS = 5
_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}


def print_findings(findings: "Sequence[Finding]") -> None:
    """Each finding with its rows and what to do, and their counts."""
    for finding in findings:
        _print_marked(
            f"{finding.severity.upper():8}", _COLOURS[finding.severity], f"{finding.kind}: {finding.what}"
        )
        print(f"         {finding.verdict}")
        if finding.rows:
            left = len(finding.rows) - MOST_ROWS
            rows = ", ".join(finding.rows[:MOST_ROWS])
            print(f"         {rows}" + (f" and {left:,} more" if left > 0 else ""))
    counts = {name: sum(one.severity == name for one in findings) for name in _COLOURS}
    print(", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items()) + ".")


def _print_marked(mark: str, colour: str, rest: str) -> None:
    if not sys.stdout.isatty():
        print(f"{mark} {rest}")
        return
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True, highlight=False).print(Text.assemble((mark, f"bold {colour}"), " ", rest))
