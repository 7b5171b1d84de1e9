"""What the data doctor says of one thing: how bad, which rows, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from homespun.tuning.examples import Example

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        kind: "cut", "empty", "broken", "duplicates", "near-duplicates", "leak", "conflict", "secret",
            "personal data", "language", "length", "template", "markers", "role", "same answer", "few", ...
        severity: an error spoils the tuning or its measurement; a warning may; a note is to be known.
        what: one sentence with the count.
        rows: "file:line" each; for pairs "file:line = file:line".
        verdict: what to do about it.
    """

    kind: str
    severity: Severity
    what: str
    verdict: str
    rows: tuple[str, ...] = ()


def place(example: Example) -> str:
    """Where an example stands, "file:line"."""
    return f"{example.file}:{example.line}" if example.line else example.file


def places(examples: Iterable[Example]) -> tuple[str, ...]:
    """Where some examples stand."""
    return tuple(map(place, examples))


def rows_of(count: int) -> str:
    """A count of rows in words."""
    return f"{count:,} row{'' if count == 1 else 's'}"
