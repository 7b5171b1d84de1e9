"""Suggestions: computed by hand, whole, and sensible for 8, 16 and 32 GB."""

import re

import pytest

from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.sizing.memory import cache_bytes_per_token, kv_bytes_per_token
from homespun.sizing.suggest import MEMORY_SHARE, suggest_models

GB = 1_000_000_000


def named(name: str, memory_bytes: int = 16 * GB):
    return next(item for item in suggest_models(memory_bytes).suggestions if item.name == name)


def test_memory_is_computed():
    # 36 layers, 4 heads, 128 values of a key and 128 of a value, 2 bytes each: 73,728 bytes a token
    smol = named("SmolLM3 3B")
    assert smol.cache_bytes == 73_728 * 8192 == 603_979_776
    assert smol.needed_bytes == 1_920_000_000 + 603_979_776 + 500_000_000


def test_the_shape_gives_what_the_file_gives(starter_gguf):
    config = ModelConfig.from_gguf(read_gguf(starter_gguf))
    for precision, expected in (("f16", 23_040), ("u8", 30 * 3 * (128 + 16))):
        assert cache_bytes_per_token(config, precision) == expected
        assert kv_bytes_per_token(30, 3, 128, precision) == expected


@pytest.mark.parametrize("memory_gb", [8, 16, 32])
def test_each_size_of_machine_has_a_few(memory_gb):
    advice = suggest_models(memory_gb * GB)
    meant = [item for item in advice.suggestions if item.tier_gb == memory_gb]
    assert len(meant) >= 2
    assert all(item.fits for item in meant), [item for item in meant if not item.fits]
    fitting = [item for item in advice.suggestions if item.fits]
    assert all(item.needed_bytes <= MEMORY_SHARE * memory_gb * GB for item in fitting)
    assert fitting == sorted(fitting, key=lambda item: -item.needed_bytes)
    assert advice.suggestions[: len(fitting)] == tuple(fitting)


def test_nothing_fits_in_a_tiny_machine():
    advice = suggest_models(2 * GB)
    assert not any(item.fits for item in advice.suggestions)
    needs = [item.needed_bytes for item in advice.suggestions]
    assert needs == sorted(needs)


def test_entries_are_whole():
    advice = suggest_models()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", advice.as_of) and advice.memory_bytes > 0
    for item in advice.suggestions:
        assert re.fullmatch(r"hf:[\w.-]+/[\w.-]+:[\w.-]+", item.source)
        assert item.command == f"homespun pull {item.source}"
        assert re.fullmatch(r"\d{4}-\d\d", item.date) and item.date <= advice.as_of
        assert item.licence
        bits = 8 * item.size_bytes / item.n_parameters
        assert 4 < bits < 9, item.name
    names = [item.name for item in advice.suggestions]
    assert len(set(names)) == len(names)
    assert sum(item.is_verified for item in advice.suggestions) > 0
