"""Which engine runs a file: chosen, explained, refused by name."""

import importlib.util
import platform

import pytest
from gguf_writer import Shape, write_random

from homespun.engines.choose import explain_choice, open_engine
from homespun.engines.engine import EngineOptions
from homespun.engines.errors import EngineError

OPTIONS = EngineOptions(mode="exact", window=256, threads=1, cache_tokens=512)


@pytest.fixture
def model(tmp_path):
    return write_random(tmp_path / "model.gguf")


@pytest.fixture
def renamed(tmp_path):
    """The same file under another architecture's name of as many letters."""

    def rename(name: str):
        raw = write_random(tmp_path / "model.gguf", Shape("qwen3")).read_bytes()
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(raw.replace(b"qwen3", name.encode()))
        return path

    return rename


def test_auto_takes_openvino_on_x86(model):
    choice = explain_choice(model)
    assert choice.engine == "openvino"
    assert {name for name, why in choice.alternatives.items() if why is None} >= {"llama.cpp", "torch"}
    with open_engine(model, OPTIONS) as engine:
        assert engine.facts.engine == "openvino"


@pytest.mark.parametrize("name", ["openvino", "llama.cpp", "torch"])
def test_an_engine_can_be_named(model, name):
    with open_engine(model, OPTIONS, engine=name) as engine:
        assert engine.facts.engine == name


def test_elsewhere_llama_cpp_runs_it(model, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    choice = explain_choice(model)
    assert choice.engine == "llama.cpp"
    assert "arm64" in choice.reason
    with pytest.raises(EngineError, match=r"openvino engine does not run it.*arm64"):
        open_engine(model, OPTIONS, engine="openvino")


def test_another_architecture_goes_to_llama_cpp(renamed):
    choice = explain_choice(renamed("gemma"))
    assert choice.engine == "llama.cpp"
    assert "'gemma'" in choice.reason and "llama, qwen2, qwen3" in choice.reason


def test_what_nothing_runs_is_refused_by_name(renamed):
    path = renamed("frob3")
    choice = explain_choice(path)
    assert choice.engine is None
    with pytest.raises(EngineError, match="architecture 'frob3', formats F32") as caught:
        open_engine(path)
    assert caught.value.remedy
    with pytest.raises(EngineError, match=r"llama\.cpp engine does not run it"):
        open_engine(path, engine="llama.cpp")


def test_without_torch_its_install_command_is_named(model, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    assert "homespun[tune]" in (explain_choice(model).alternatives["torch"] or "")
    with pytest.raises(EngineError, match="homespun\\[tune\\]"):
        open_engine(model, engine="torch")


def test_an_unknown_engine_is_refused(model):
    with pytest.raises(EngineError, match="not one of auto, openvino"):
        open_engine(model, engine="ollama")  # type: ignore[arg-type]


def test_vllm_is_named_with_how_to_install_it(model, tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else real(name))
    for path in (model, tmp_path):
        with pytest.raises(EngineError, match=r"vllm engine does not run it.*homespun\[cluster\]"):
            open_engine(path, engine="vllm")


def test_a_folder_goes_to_torch(tmp_path):
    choice = explain_choice(tmp_path)
    assert choice.engine == "torch"
    with pytest.raises(EngineError, match="openvino engine does not run it: it reads GGUF files"):
        open_engine(tmp_path, engine="openvino")
