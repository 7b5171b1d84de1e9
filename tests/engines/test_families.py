"""What is refused, because the graph would give other numbers; and fast mode where nothing fast is right."""

from dataclasses import replace

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.engines.families import unknown_structure
from homespun.engines.openvino.measure import MAX_LOSS_NATS, Measured, fastest_allowed
from homespun.engines.probe import mean_kl_nats
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf

GEMMA = Shape("gemma3", n_layers=1, head_size=32, sliding_window=32)


def reason(path, **entries) -> str | None:
    file = read_gguf(path)
    file = replace(file, metadata={**file.metadata, **entries})
    return unknown_structure(file, ModelConfig.from_gguf(file))


@pytest.fixture(scope="module")
def gemma(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("gemma") / "model.gguf", GEMMA)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ({"gemma3.final_logit_softcapping": 30.0}, "final_logit_softcapping"),
        ({"gemma3.attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ({"gemma3.block_count": 62}, "27B"),
        ({"gemma3.rope.scaling.type": "yarn", "gemma3.rope.scaling.factor": 4.0}, "yarn"),
        ({"gemma3.rope.dimension_count": 16}, "rotated in part"),
    ],
)
def test_what_would_change_the_numbers_is_refused(gemma, entries, says):
    assert reason(gemma) is None
    assert says in (reason(gemma, **entries) or "")


def test_a_window_in_a_family_without_one_is_refused(tmp_path):
    path = write_random(tmp_path / "model.gguf", Shape("qwen3", n_layers=1))
    assert reason(path) is None
    assert "sliding window of 128" in (reason(path, **{"qwen3.attention.sliding_window": 128}) or "")


def test_rotary_factors_in_a_gemma_file_are_refused(tmp_path):
    path = write_random(tmp_path / "model.gguf", replace(GEMMA, has_rope_freqs=True))
    assert "rotary factors" in (reason(path) or "")


def test_fast_mode_takes_the_cheapest_that_loses_little():
    exact = Measured("f32", 100.0, 10.0, 0.0)
    quick = Measured("int8", 200.0, 20.0, MAX_LOSS_NATS)
    wrong = Measured("bf16", 400.0, 40.0, MAX_LOSS_NATS * 1.01)
    nothing = Measured("bf16", 400.0, 40.0, float("nan"))
    assert fastest_allowed([exact, quick, wrong])[0].name == "int8"
    assert fastest_allowed([exact, wrong, nothing])[0].name == "f32"
    for measured in ([wrong, nothing], []):
        precision, loss = fastest_allowed(measured)
        assert (precision.name, loss) == ("f32", None)


def test_mean_kl_by_hand():
    reference = np.log(np.array([[0.5, 0.5], [0.25, 0.75]], np.float32))
    other = np.log(np.array([[0.25, 0.75], [0.25, 0.75]], np.float32))
    want = (0.5 * np.log(2) + 0.5 * np.log(2 / 3)) / 2
    assert mean_kl_nats(reference, other) == pytest.approx(want, rel=1e-6)
