"""Prices of remote models."""

import json
from pathlib import Path

import pytest

from homespun.models.errors import HomeError
from homespun.sizing.prices import PRICES, Price, read_price


def test_cost_by_hand() -> None:
    price = Price(2.0, 10.0, 0.5)
    assert price.cost_usd(1_000_000, 100_000) == pytest.approx(3.0)
    assert price.cost_usd(1_000_000, 100_000, n_cached=400_000) == pytest.approx(1.2 + 0.2 + 1.0)
    assert Price(2.0, 10.0).cost_usd(1000, 0, n_cached=1000) == pytest.approx(0.002)
    assert Price(1.0, 1.0, n_read_most=10).cost_usd(11, 1) is None


def test_built_in_prices_say_when_and_where() -> None:
    for price in PRICES.values():
        assert price.as_of.startswith("2026-") and "." in price.source
        assert 0 < price.input < price.output and (price.cached or 0) < price.input


def test_the_home_has_the_last_word(tmp_path: Path) -> None:
    name = "anthropic:claude-opus-5-5"
    assert read_price(tmp_path, name) == PRICES[name]
    assert read_price(tmp_path, "openai:unheard-of") is None
    (tmp_path / "prices.json").write_text(json.dumps({name: {"input": 1, "output": 2, "as_of": "today"}}))
    price = read_price(tmp_path, name)
    assert price is not None and (price.input, price.output, price.as_of) == (1.0, 2.0, "today")
    assert read_price(tmp_path, "openai:gpt-6-luna") == PRICES["openai:gpt-6-luna"]


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"m": {"input": 1}}', '{"m": {"input": -1, "output": 1}}', '{"m": 3}']
)
def test_a_broken_table_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.json").write_text(text)
    with pytest.raises(HomeError, match="prices"):
        read_price(tmp_path, "m")
