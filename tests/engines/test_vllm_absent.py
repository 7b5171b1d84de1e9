"""Where vLLM is not installed, its engine says so in one sentence."""

import importlib.util
from pathlib import Path

import pytest

from homespun.engines.errors import EngineError


@pytest.mark.skipif(importlib.util.find_spec("vllm") is not None, reason="vLLM is installed here")
def test_without_vllm_one_sentence_says_what_to_install():
    from homespun.engines.vllm_engine import VllmEngine

    with pytest.raises(EngineError, match="not installed") as caught:
        VllmEngine(Path("model.gguf"))
    assert caught.value.sentence() == (
        'the vllm engine needs vllm, which is not installed. Run: pip install "homespun[cluster]"'
    )
