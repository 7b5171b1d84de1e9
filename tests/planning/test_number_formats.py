"""Number formats: hand-computed limits, and torch's own rounding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.planning.number_formats import (
    FORMATS,
    dynamic_scale,
    format_facts,
    scaled_gradient,
    stalled_sum,
)

BY_NAME = {kind.name: kind for kind in FORMATS}


@pytest.mark.parametrize(
    ("name", "largest", "least_normal", "least", "at_1", "at_1000"),
    [
        ("float32", 3.4028234663852886e38, 2**-126, 2**-149, 2**-23, 2**-14),
        ("tf32", (2 - 2**-10) * 2.0**127, 2**-126, 2**-136, 2**-10, 0.5),
        ("bf16", 3.3895313892515355e38, 2**-126, 2**-133, 2**-7, 4),
        ("fp16", 65504, 2**-14, 2**-24, 2**-10, 0.5),
        ("fp8 e5m2", 57344, 2**-14, 2**-16, 0.25, 128),
        ("fp8 e4m3", 448, 2**-6, 2**-9, 0.125, None),
    ],
)
def test_limits_by_hand(name, largest, least_normal, least, at_1, at_1000) -> None:
    facts = format_facts(BY_NAME[name])
    found = (facts.largest, facts.least_normal, facts.least_subnormal, facts.spacing_at_1)
    assert found == (largest, least_normal, least, at_1)
    assert facts.spacing_at_1000 == at_1000


def test_sums_stall_where_a_step_is_two() -> None:
    ends = {kind.name: stalled_sum(kind, 1.0, 5000) for kind in FORMATS}
    assert ends["float32"].total == 5000
    assert ends["tf32"].total == ends["fp16"].total == 2048  # 2^11: 2049 lies half way, the even one is below
    assert ends["bf16"].total == 256
    assert ends["fp8 e4m3"].total == 16
    assert ends["fp8 e5m2"].total == 8
    assert ends["bf16"].n_counted == 256


def test_a_gradient_underflows_and_scaling_saves_it() -> None:
    gradient = 2.0**-30
    lost = scaled_gradient(BY_NAME["fp16"], gradient)
    assert (lost.plain, lost.scaled) == (0, gradient)
    kept = scaled_gradient(BY_NAME["bf16"], gradient)
    assert kept.plain == gradient
    assert scaled_gradient(BY_NAME["fp16"], 1.0).scaled == np.inf  # too much scale is no better


def test_the_scale_is_halved_after_an_overflow_and_doubled_after_good_steps() -> None:
    gradients = np.array([[1e-6], [2.0], [2.0], [0.1], [0.1]])  # 2 * 65536 and 2 * 32768 are beyond 65504
    steps = dynamic_scale(BY_NAME["fp16"], gradients, grow_after=2)
    assert steps.scales == (65536, 65536, 32768, 16384, 16384)
    assert steps.skipped == (1, 2)
    again = dynamic_scale(BY_NAME["fp16"], np.vstack([gradients, [[0.1]]]), grow_after=2)
    assert again.scales[-1] == 32768


def test_ties_go_to_the_even_number_and_what_is_too_large_is_not_kept() -> None:
    fp16, e4m3 = BY_NAME["fp16"], BY_NAME["fp8 e4m3"]
    assert fp16.round([2049.0, 2051.0]).tolist() == [2048, 2052]
    assert fp16.round([65519.0, 65520.0, -1e9]).tolist() == [65504, np.inf, -np.inf]
    assert fp16.round([2.0**-25, 2.0**-25 * 1.01, 0.0]).tolist() == [0, 2.0**-24, 0]
    assert e4m3.round([464.0]).tolist() == [448]
    assert np.isnan(e4m3.round([465.0, np.nan])).all()
    assert np.isinf(BY_NAME["bf16"].round(np.inf))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_rounding_is_numpys_for_the_formats_that_it_has(values: list[float]) -> None:
    with np.errstate(over="ignore"):
        assert BY_NAME["fp16"].round(values).tolist() == np.array(values).astype(np.float16).tolist()
    assert BY_NAME["float32"].round(values).tolist() == values


@pytest.mark.long
def test_rounding_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    values = (random.normal(size=20_000) * 10.0 ** random.uniform(-9, 4, 20_000)).astype(np.float32)
    theirs = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp8 e5m2": torch.float8_e5m2}
    for name, kind in theirs.items():
        expected = torch.from_numpy(values).to(kind).to(torch.float32).numpy()
        assert np.array_equal(BY_NAME[name].round(values), expected)
    small = values[np.abs(values) < 448]
    expected = torch.from_numpy(small).to(torch.float8_e4m3fn).to(torch.float32).numpy()
    assert np.array_equal(BY_NAME["fp8 e4m3"].round(small), expected)
