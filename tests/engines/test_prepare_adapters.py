"""What the first adapter needs is made in the background, and touches nothing that runs meanwhile."""

from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.errors import EngineError
from homespun.engines.openvino.engine import OpenVINOEngine

SHAPE = Shape()
PROMPT = tuple(range(30, 110))
EXACT = EngineOptions(mode="exact", window=256, cache_tokens=1024)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_random(tmp_path_factory.mktemp("prepare") / "tiny.gguf", SHAPE)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "a", adapter_tensors(SHAPE, ("attn_q", "ffn_up"), 4, 1), 4)


def test_a_prepared_engine_says_the_same(model: Path, adapter: Path) -> None:
    with OpenVINOEngine(model, EXACT) as plain, OpenVINOEngine(model, EXACT) as prepared:
        prepared.prepare_adapters()
        prepared.prepare_adapters()
        for engine in (plain, prepared):
            engine.load_adapter("a", adapter)
        for name in (None, "a"):
            one, other = (e.distributions(PROMPT, last=40, adapter=name) for e in (plain, prepared))
            np.testing.assert_array_equal(one, other)
        assert np.abs(plain.distributions(PROMPT) - plain.distributions(PROMPT, adapter="a")).max() > 0.01


def test_what_is_prepared_beside_an_answer_does_not_touch_its_cache(model: Path, adapter: Path) -> None:
    request = Request(PROMPT, GenerateOptions(max_new_tokens=100))
    with OpenVINOEngine(model, EXACT) as engine:
        expected = engine.generate([request])[0]
    with OpenVINOEngine(model, EXACT) as engine:
        stream = engine.stream(request)
        for number, _ in enumerate(stream):
            if number == 3:
                engine.prepare_adapters()
            if number == 20:
                engine.load_adapter("a", adapter)
        assert stream.result.token_ids == expected.token_ids
        got = [step.log_probability for step in stream.result.steps]
        assert got == [step.log_probability for step in expected.steps]


def test_an_engine_may_be_closed_while_it_prepares(model: Path, adapter: Path) -> None:
    engine = OpenVINOEngine(model, EXACT)
    engine.prepare_adapters()
    engine.close()
    for prepare in (engine.prepare_adapters, lambda: engine.load_adapter("a", adapter)):
        with pytest.raises(EngineError, match="closed"):
            prepare()
