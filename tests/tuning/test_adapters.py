"""Adapters of a home: lineage, names, sums."""

import json
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.engines.errors import AdapterError
from homespun.engines.openvino.adapters import read_adapter_alone
from homespun.engines.openvino.bank import LowRank
from homespun.models.adapter_path import check_adapter_base
from homespun.models.errors import ModelError, UnknownModelError
from homespun.models.home import Home
from homespun.tuning.adapters import (
    BaseFacts,
    DataFacts,
    Lineage,
    Losses,
    adapters,
    find_adapter,
    read_lineage,
    remove_adapter,
    rename_adapter,
    write_lineage,
)
from homespun.tuning.combine import combine_adapters, compare_adapters, summed

SHAPE = Shape()


def put(home: Home, name: str, *, base: str = "aa" * 32, seed: int = 0, status="finished", **given) -> Path:
    """A tuned adapter of the home."""
    folder = home.adapters_path / name
    write_peft(folder, seed=seed, **given)
    write_lineage(folder, lineage(name, base, status))
    return folder


def write_peft(folder: Path, modules=("attn_q", "ffn_up"), *, rank: int = 4, seed: int = 0) -> Path:
    """A PEFT folder of random numbers, without a lineage."""
    return write_adapter(folder, adapter_tensors(SHAPE, modules, rank, seed), rank)


def lineage(name: str, base: str, status="finished") -> Lineage:
    return Lineage(
        name,
        status,
        BaseFacts("tiny", base, "/models/tiny.gguf"),
        DataFacts(("train.jsonl",), "dd" * 32, 20, 4, "question set"),
        {"rank": 4, "layers": ["all"]},
        {"torch": "2.13.0"},
        "a processor",
        Losses(3.0, 1.5, 3.1, 1.75),
        12.5,
        "2026-11-25T10:00:00+00:00",
        "2026-11-25T10:00:12+00:00",
    )


def test_a_lineage_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = lineage("clinic", "aa" * 32)
    write_lineage(tmp_path, written)
    assert read_lineage(tmp_path) == written
    raw = json.loads((tmp_path / "tuning.json").read_text())
    assert raw["version"] == 1 and raw["base"] == {
        "name": "tiny",
        "digest": "aa" * 32,
        "file": "/models/tiny.gguf",
    }


def test_a_lineage_that_is_damaged_or_newer_is_said_so(tmp_path: Path) -> None:
    assert read_lineage(tmp_path) is None
    (tmp_path / "tuning.json").write_text('{"version": 2}')
    with pytest.raises(AdapterError, match="a newer Homespun"):
        read_lineage(tmp_path)
    for text in ("{", "[]", '{"version": 1}', '{"version": 1, "name": "a", "status": "x", "base": {}}'):
        (tmp_path / "tuning.json").write_text(text)
        with pytest.raises(AdapterError, match="no lineage"):
            read_lineage(tmp_path)


def test_adapters_are_listed_with_what_they_are(home: Home) -> None:
    put(home, "b", rank=3)
    write_peft(home.adapters_path / "a", ("attn_v",))
    (home.adapters_path / "empty").mkdir()
    write_lineage(home.adapters_path / "begun", lineage("begun", "aa" * 32, "running"))
    found = {adapter.name: adapter for adapter in adapters(home)}
    assert list(found) == ["a", "b", "begun"]
    assert (found["a"].status, found["b"].status, found["begun"].status) == ("foreign", "finished", "running")
    assert found["b"].rank == 3 and found["begun"].rank == 0
    # two layers, q (64 -> 64) and up (64 -> 96), rank 3
    assert found["b"].n_parameters == 2 * 3 * ((64 + 64) + (64 + 96))


def test_an_adapter_is_renamed_and_removed(home: Home) -> None:
    put(home, "old")
    put(home, "taken")
    assert rename_adapter(home, "old", "new").lineage.name == "new"
    assert [adapter.name for adapter in adapters(home)] == ["new", "taken"]
    with pytest.raises(AdapterError, match="already"):
        rename_adapter(home, "new", "taken")
    with pytest.raises(ModelError, match="name of an adapter"):
        rename_adapter(home, "new", "../out")
    remove_adapter(home, "new")
    assert [path.name for path in home.adapters_path.iterdir()] == ["taken"]
    with pytest.raises(UnknownModelError):
        remove_adapter(home, "new")


def test_what_lies_outside_of_the_home_is_never_removed(home: Home, tmp_path: Path) -> None:
    outside = write_peft(tmp_path / "mine")
    assert find_adapter(home, str(outside)).path == outside
    for name in (str(outside), "..", "", "."):
        with pytest.raises(UnknownModelError):
            remove_adapter(home, name)
    assert outside.is_dir()


def test_an_adapter_that_is_being_made_keeps_its_name(home: Home) -> None:
    put(home, "now", status="running")
    with pytest.raises(AdapterError, match="being made"):
        rename_adapter(home, "now", "later")


def test_a_sum_is_exactly_the_sum_of_the_changes(home: Home) -> None:
    put(home, "one", seed=1, rank=2, modules=("attn_q", "ffn_up"))
    put(home, "two", seed=2, rank=5, modules=("attn_q", "attn_v"))
    made = combine_adapters(home, [("one", 0.7), ("two", -0.4)], "sum")
    assert made.rank == 7 and made.lineage is not None
    assert made.lineage.options["parts"] == [
        {"name": "one", "weight": 0.7},
        {"name": "two", "weight": -0.4},
    ]
    one, two, both = (read_adapter_alone(home.adapters_path / name) for name in ("one", "two", "sum"))
    assert set(both) == {*one, *two}
    for site, pair in both.items():
        expected = np.zeros((pair.b.shape[0], pair.a.shape[1]))
        for part, weight in ((one, 0.7), (two, -0.4)):
            if site in part:
                expected += weight * part[site].b.astype(float) @ part[site].a.astype(float)
        np.testing.assert_allclose(pair.b @ pair.a, expected, atol=1e-5)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-2, 2), min_size=1, max_size=4), st.integers(0, 99))
def test_summing_is_linear(weights: list[float], seed: int) -> None:
    random = np.random.default_rng(seed)
    pairs = [
        {
            "x": LowRank(
                random.normal(size=(r + 1, 6)).astype("f4"), random.normal(size=(5, r + 1)).astype("f4")
            )
        }
        for r in range(len(weights))
    ]
    total = summed(list(zip(pairs, weights, strict=True)))["x"]
    expected = sum(w * (p["x"].b @ p["x"].a) for p, w in zip(pairs, weights, strict=True))
    np.testing.assert_allclose(total.b @ total.a, expected, atol=1e-4)


def test_adapters_of_two_bases_are_not_combined(home: Home) -> None:
    put(home, "one")
    put(home, "two", base="bb" * 32)
    with pytest.raises(AdapterError, match=r"aaaaaaaaaaaa.*bbbbbbbbbbbb.*only adapters of one base"):
        combine_adapters(home, [("one", 1), ("two", 1)], "sum")
    with pytest.raises(AdapterError, match="finite"):
        combine_adapters(home, [("one", float("nan"))], "sum")
    assert [adapter.name for adapter in adapters(home)] == ["one", "two"]
    assert len(list(home.adapters_path.iterdir())) == 2


def test_an_adapter_is_refused_for_another_model(home: Home) -> None:
    put(home, "one")
    check_adapter_base(home.adapters_path / "one", "aa" * 32, "tiny")
    with pytest.raises(ModelError, match=r"'one' was tuned on 'tiny'.*'other' is another model"):
        check_adapter_base(home.adapters_path / "one", "cc" * 32, "other")


def test_likeness_of_changes_by_hand(home: Home) -> None:
    put(home, "one", seed=1)
    put(home, "two", seed=2)
    combine_adapters(home, [("one", -3.0)], "minus")
    opposite = {
        item.kind: item for item in compare_adapters(find_adapter(home, "one"), find_adapter(home, "minus"))
    }
    assert opposite["all"].cosine == pytest.approx(-1, abs=1e-6)
    assert opposite["q_proj"].norms[1] == pytest.approx(3 * opposite["q_proj"].norms[0], rel=1e-6)
    one, two = (read_adapter_alone(home.adapters_path / name) for name in ("one", "two"))
    p = np.concatenate([(one[s].b @ one[s].a).ravel() for s in sorted(one)]).astype(float)
    q = np.concatenate([(two[s].b @ two[s].a).ravel() for s in sorted(two)]).astype(float)
    found = {
        item.kind: item for item in compare_adapters(find_adapter(home, "one"), find_adapter(home, "two"))
    }
    assert found["all"].cosine == pytest.approx(p @ q / np.linalg.norm(p) / np.linalg.norm(q), abs=1e-5)
