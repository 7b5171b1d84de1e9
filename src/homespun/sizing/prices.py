"""What a remote model's tokens cost: a few list prices with their dates, and the user's own table before them.

Prices change and nobody tells a program when. `prices.json` in the home takes precedence, such as
{"openai:some-model": {"input": 0.25, "output": 2.0, "as_of": "2026-11-01"}}, in US dollars a million tokens.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from homespun.models.errors import HomeError


@dataclass(frozen=True)
class Price:
    """US dollars a million tokens.

    Attributes:
        input, output: of tokens read and written.
        cached: of tokens read that the server still had; None: as `input`.
        as_of: the day that it was read.
        source: where.
        n_read_most: longest prompt that it holds for; 0: any.
    """

    input: float
    output: float
    cached: float | None = None
    as_of: str = ""
    source: str = ""
    n_read_most: int = 0

    def cost_usd(self, n_read: int, n_written: int, *, n_cached: int = 0) -> float | None:
        """What a request costs; None where this price does not hold for it."""
        if self.n_read_most and n_read > self.n_read_most:
            return None
        cached = self.input if self.cached is None else self.cached
        return ((n_read - n_cached) * self.input + n_cached * cached + n_written * self.output) / 1e6


_OPENAI = ("2026-09-22", "as quoted from developers.openai.com/api/docs/pricing")
_ANTHROPIC = ("2026-09-23", "platform.claude.com/docs/about-claude/models/whats-new-opus-5")

#: List prices of the plain service, without discounts.
PRICES = {
    "openai:gpt-6-luna": Price(0.10, 0.50, 0.01, *_OPENAI, n_read_most=272_000),
    "openai:gpt-6-sol": Price(2.0, 10.0, 0.20, *_OPENAI, n_read_most=272_000),
    "anthropic:claude-opus-5-5": Price(4.0, 20.0, 0.20, *_ANTHROPIC),
    "anthropic:claude-opus-5": Price(5.0, 25.0, 0.50, *_ANTHROPIC),
}


def read_price(home_path: Path, model: str) -> Price | None:
    """The price of a model by the name that `--model` takes; None where none is known.

    Raises:
        HomeError: the home's table is there and cannot be read.
    """
    path = home_path / "prices.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8")).get(model)
        if entry is None:
            return PRICES.get(model)
        cached = entry.get("cached")
        price = Price(
            float(entry["input"]),
            float(entry["output"]),
            None if cached is None else float(cached),
            str(entry.get("as_of", "")),
            str(path),
        )
        if not (price.input >= 0 and price.output >= 0 and (price.cached or 0) >= 0):
            raise ValueError(f"a price of {model} is below 0")
        return price
    except FileNotFoundError:
        return PRICES.get(model)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HomeError(
            f"this table of prices cannot be read ({error})",
            where=str(path),
            remedy='Write {"MODEL": {"input": 0.25, "output": 2.0}}, in US dollars a million tokens.',
        ) from None
