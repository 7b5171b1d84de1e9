"""What a remote model's tokens cost, as far as the user has written it down.

Prices change and nobody tells a program when, so none is built in: `prices.json` in the home holds them, such
as {"openai:some-model": {"input": 0.25, "output": 2.0, "as_of": "2026-11-01"}}, in US dollars a million tokens.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from homespun.models.errors import HomeError


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens, and when that was read."""

    input: float
    output: float
    as_of: str = ""

    def cost_usd(self, n_read: int, n_written: int) -> float:
        """What a request costs."""
        return (n_read * self.input + n_written * self.output) / 1e6


def read_price(home_path: Path, model: str) -> Price | None:
    """The price of a model by the name that `--model` takes; None where it is not written down.

    Raises:
        HomeError: the file is there and is no such table.
    """
    path = home_path / "prices.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        entry = json.loads(text).get(model)
        return (
            None
            if entry is None
            else Price(float(entry["input"]), float(entry["output"]), str(entry.get("as_of", "")))
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HomeError(
            f"this table of prices cannot be read ({error})",
            where=str(path),
            remedy='Write {"MODEL": {"input": 0.25, "output": 2.0}}, in US dollars a million tokens.',
        ) from None
