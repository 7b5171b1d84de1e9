"""What a remote model's tokens cost: a few list prices with their dates, and the user's own table before them.

Prices change and nobody tells a program when. `prices.json` in the home takes precedence, such as
{"openai:some-model": {"input": 0.25, "output": 2.0, "as_of": "2026-11-01"}}, in US dollars a million tokens.
"""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

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
    return _own_price(home_path / "prices.json", model) or PRICES.get(model)


def read_prices(home_path: Path, table: Path | None = None) -> dict[str, Price]:
    """Every price that is known: the user's own before the list prices.

    Args:
        home_path: the home, whose `prices.json` is read where there is one.
        table: another file of that form instead of the home's.

    Raises:
        HomeError: the table cannot be read, or the other file is not there.
    """
    path = table or home_path / "prices.json"
    if table is not None and not table.is_file():
        raise HomeError("there is no such table of prices", where=str(table), remedy="Check the path.")
    own = {name: _own_price(path, name) for name in _entries(path)}
    return {**PRICES, **{name: price for name, price in own.items() if price is not None}}


def read_old_prices() -> dict[str, Price]:
    """What tokens cost in 2023, each with its date and source, to compare with."""
    text = resources.files("homespun.sizing").joinpath("old_prices.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    return {
        name: Price(entry["input"], entry["output"], None, entry["as_of"], stored["source"])
        for name, entry in stored["tokens"].items()
    }


@dataclass(frozen=True)
class TrainingPrice:
    """US dollars a million tokens: of training once, and of the tuned model's reading and writing."""

    training: float
    input: float
    output: float
    as_of: str
    source: str


def read_old_training_prices() -> dict[str, TrainingPrice]:
    """What hosted tuning cost in 2023."""
    text = resources.files("homespun.sizing").joinpath("old_prices.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    return {
        name: TrainingPrice(
            entry["training"], entry["input"], entry["output"], entry["as_of"], stored["source"]
        )
        for name, entry in stored["tuning"].items()
    }


@dataclass(frozen=True)
class Rent:
    """A machine with a model on it, rented: US dollars a month, between two figures where a range is told."""

    name: str
    low_usd: float
    high_usd: float
    as_of: str
    source: str


def read_rents() -> tuple[Rent, ...]:
    """What renting a machine for Llama 2 70B cost in 2023, as the talk told it."""
    text = resources.files("homespun.sizing").joinpath("old_prices.json").read_text(encoding="utf-8")
    return tuple(Rent(**entry) for entry in json.loads(text)["rents"])


def _entries(path: Path) -> dict[str, Any]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from None
    if not isinstance(stored, dict):
        raise _unreadable(path, "it is no JSON object")
    return stored


def _own_price(path: Path, model: str) -> Price | None:
    entry = _entries(path).get(model)
    if entry is None:
        return None
    try:
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
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, why: object) -> HomeError:
    return HomeError(
        f"this table of prices cannot be read ({why})",
        where=str(path),
        remedy='Write {"MODEL": {"input": 0.25, "output": 2.0}}, in US dollars a million tokens.',
    )
