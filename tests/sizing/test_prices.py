"""Prices of remote models, as the user has written them down."""

import pytest

from homespun.models.errors import HomeError
from homespun.sizing.prices import read_price


def test_a_price_is_a_million_tokens(tmp_path) -> None:
    assert read_price(tmp_path, "a:b") is None
    (tmp_path / "prices.json").write_text('{"a:b": {"input": 0.5, "output": 2}}')
    price = read_price(tmp_path, "a:b")
    assert price is not None
    assert price.cost_usd(2_000_000, 500_000) == pytest.approx(2.0)
    assert read_price(tmp_path, "a:c") is None


@pytest.mark.parametrize("text", ["[]", "{", '{"a:b": {"input": 1}}', '{"a:b": 3}'])
def test_a_table_that_is_none_is_told(tmp_path, text) -> None:
    (tmp_path / "prices.json").write_text(text)
    with pytest.raises(HomeError, match="prices"):
        read_price(tmp_path, "a:b")
