"""Before an engine serves a model, its numbers are compared with the reference's."""

import dataclasses
import json

import numpy as np
import pytest
from gguf_writer import Shape, write_random
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.engines import choose
from homespun.engines.choose import open_engine
from homespun.engines.engine import EngineOptions
from homespun.engines.errors import CheckError
from homespun.engines.probe import mean_kl_nats
from homespun.engines.probe_check import bound_nats, check_engine
from homespun.models.gguf import read_gguf

EXACT = EngineOptions(mode="exact", window=256, threads=1, cache_tokens=512)
FAST = dataclasses.replace(EXACT, mode="fast")


@pytest.fixture
def model(tmp_path):
    return write_random(tmp_path / "model.gguf", Shape(ggml_type="Q8_0"))


def with_other_base(path, folder):
    """The same model with another rotary base: every position turns differently."""
    raw = path.read_bytes()
    base = np.float32(10_000).tobytes()
    key = b"llama.rope.freq_base"
    place = raw.index(base, raw.index(key))
    changed = folder / "other-base.gguf"
    changed.write_bytes(raw[:place] + np.float32(1_000).tobytes() + raw[place + 4 :])
    return changed


@pytest.mark.parametrize("name", ["openvino", "llama.cpp", "torch"])
def test_an_engine_says_how_far_it_is_from_the_reference(model, name):
    for options in (EXACT, FAST):
        with open_engine(model, options, engine=name) as engine:
            assert 0 <= engine.facts.checked_nats <= bound_nats(engine.facts)


@pytest.mark.parametrize("name", ["openvino", "llama.cpp"])
def test_an_engine_that_computes_other_numbers_is_refused_with_both(model, tmp_path, name):
    """A broken engine, for the file: it runs the model with another rotary base."""
    other = with_other_base(model, tmp_path)
    with open_engine(other, EXACT, engine=name) as engine:
        with pytest.raises(CheckError) as caught:
            check_engine(engine, read_gguf(model), tmp_path / "cache", others=["torch"])
        bound = bound_nats(engine.facts)
    message = caught.value.sentence()
    found = float(message.split(" nats from the reference")[0].split()[-1])
    assert found > bound
    assert f"{bound:g} are allowed" in message and name in message and "--engine torch" in message
    assert not [path for path in (tmp_path / "cache" / "checks").iterdir() if path.suffix == ".json"]


def test_a_refused_engine_is_closed(model, tmp_path, monkeypatch):
    opened = []
    real = choose.open_unchecked

    def broken(name, path, *rest):
        opened.append(real(name, with_other_base(model, tmp_path), *rest))
        return opened[-1]

    monkeypatch.setattr(choose, "open_unchecked", broken)
    with pytest.raises(CheckError, match=r"--engine llama\.cpp"):
        open_engine(model, EXACT, engine="openvino")
    with pytest.raises(Exception, match="closed"):
        opened[0].distributions([1, 2, 3])


def test_a_pass_is_remembered_and_a_damaged_note_is_not_believed(model, tmp_path, monkeypatch):
    with open_engine(model, EXACT, engine="openvino", cache_path=tmp_path) as engine:
        checked = engine.facts.checked_nats
    (note,) = (tmp_path / "checks").glob("*.json")
    note.write_text(json.dumps({"kl_nats": 7e-7}))
    with open_engine(model, EXACT, engine="openvino", cache_path=tmp_path) as engine:
        assert engine.facts.checked_nats == 7e-7
    note.write_text("{")
    (reference,) = (tmp_path / "checks").glob("*.npy")
    reference.write_bytes(reference.read_bytes()[:50])
    with open_engine(model, EXACT, engine="openvino", cache_path=tmp_path) as engine:
        assert engine.facts.checked_nats == pytest.approx(checked, abs=1e-9)
    assert not list((tmp_path / "checks").glob("*.tmp"))


def test_another_file_or_mode_is_checked_again(model, tmp_path):
    open_engine(model, EXACT, engine="openvino", cache_path=tmp_path).close()
    open_engine(model, FAST, engine="llama.cpp", cache_path=tmp_path).close()
    open_engine(model, EXACT, engine="llama.cpp", cache_path=tmp_path).close()
    assert len(list((tmp_path / "checks").glob("*.json"))) == 3
    assert len(list((tmp_path / "checks").glob("*.npy"))) == 1


def test_a_cache_that_cannot_be_written_loses_only_the_memory(model, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with open_engine(model, EXACT, engine="llama.cpp", cache_path=blocked) as engine:
        assert engine.facts.checked_nats is not None


def test_without_a_reference_it_is_said(model, monkeypatch):
    monkeypatch.setattr("homespun.engines.reference.REFERENCE_ARCHITECTURES", ("qwen2",))
    with open_engine(model, EXACT, engine="openvino") as engine:
        assert engine.facts.checked_nats is None
        assert engine.facts.notes == (
            "its numbers were not checked: the architecture 'llama' has no reference",
        )


def test_kl_by_hand():
    one = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
    other = np.log(np.array([[0.25, 0.75], [0.25, 0.75]]))
    expected = (0.5 * np.log(2) + 0.5 * np.log(2 / 3)) / 2
    assert mean_kl_nats(one, other) == pytest.approx(expected, abs=1e-12)
    certain = np.array([[0.0, -np.inf]])
    assert mean_kl_nats(certain, one[:1]) == pytest.approx(np.log(2))
    assert mean_kl_nats(one[:1], certain) == np.inf


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 20))
def test_kl_is_never_negative_and_0_for_the_same(seed, scale):
    logits = scale * np.random.default_rng(seed).standard_normal((2, 3, 50))
    one, other = (rows - np.log(np.exp(rows).sum(-1, keepdims=True)) for rows in logits)
    assert mean_kl_nats(one, other) > 0
    assert abs(mean_kl_nats(one, one.astype(np.float32))) < 1e-6
