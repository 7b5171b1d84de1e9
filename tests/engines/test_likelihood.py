"""Log-probabilities of given texts: against whole distributions, in any batch, on two engines."""

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.engines.engine import EngineOptions
from homespun.engines.errors import EngineError, WindowError
from homespun.engines.likelihood import log_likelihoods
from homespun.engines.openvino.engine import OpenVINOEngine

WINDOW = 128


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("models") / "random.gguf", Shape())


@pytest.fixture(scope="module")
def engine(path):
    options = EngineOptions(mode="exact", window=WINDOW, threads=1, cache_tokens=4096)
    with OpenVINOEngine(path, options) as opened:
        yield opened


def texts(n: int) -> tuple[list[list[int]], list[list[int]]]:
    rng = np.random.default_rng(3)
    prompts = [rng.integers(0, 250, rng.integers(1, 90)).tolist() for _ in range(n)]
    continuations = [rng.integers(0, 250, rng.integers(0, 30)).tolist() for _ in range(n)]
    return prompts, continuations


def test_equal_to_whole_distributions_of_torch(engine, path):
    from homespun.engines.torch_engine import TorchEngine

    prompts, continuations = texts(5)
    continuations[1] = []
    found = log_likelihoods(engine, prompts, continuations)
    with TorchEngine(path, EngineOptions(mode="exact", window=WINDOW, threads=1)) as torch_engine:
        assert_close(found, log_likelihoods(torch_engine, prompts, continuations))
        for prompt, continuation, values in zip(prompts, continuations, found, strict=True):
            assert values.shape == (len(continuation),) and values.dtype == np.float32
            for place, token in enumerate(continuation):
                rows = torch_engine.distributions([*prompt, *continuation[:place]])
                assert values[place] == pytest.approx(rows[0, token], abs=2e-4)


def test_a_batch_changes_nothing_and_is_told(engine):
    prompts, continuations = texts(40)
    told = []
    together = log_likelihoods(
        engine, prompts, continuations, progress=lambda what, done, total: told.append((done, total))
    )
    alone = [log_likelihoods(engine, [p], [c])[0] for p, c in zip(prompts, continuations, strict=True)]
    assert_close(together, alone)
    n_asked = sum(map(bool, continuations))
    assert told == [(32, n_asked), (n_asked, n_asked)]


def test_what_cannot_be_scored_is_refused(engine):
    assert log_likelihoods(engine, [], []) == []
    with pytest.raises(EngineError, match="as many continuations"):
        log_likelihoods(engine, [[1]], [])
    with pytest.raises(EngineError, match="empty"):
        log_likelihoods(engine, [[]], [[1]])
    with pytest.raises(WindowError):
        log_likelihoods(engine, [[1] * WINDOW], [[2]])


def assert_close(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)
