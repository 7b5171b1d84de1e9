"""Folders as Ollama and LM Studio keep them."""

import hashlib
import json
from pathlib import Path

import pytest

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.load import load_engine, model_path
from homespun.models.errors import UnknownModelError
from homespun.models.found import found_model, found_models
from homespun.models.gguf import read_gguf


@pytest.fixture(autouse=True)
def user_folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    return tmp_path


@pytest.fixture
def gguf_bytes(byte_level_gguf) -> bytes:
    return byte_level_gguf("gpt-2", r"\s*\S+\s*").read_bytes()


def write_ollama(
    folder: Path, name: str, payload: bytes, *, digest: str = "", size: int | None = None
) -> Path:
    """A manifest and its blob; the blob's path."""
    sha256 = hashlib.sha256(payload).hexdigest()
    blob = folder / "blobs" / f"sha256-{sha256}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(payload)
    weights = {
        "mediaType": "application/vnd.ollama.image.model",
        "digest": digest or f"sha256:{sha256}",
        "size": len(payload) if size is None else size,
    }
    other = {"mediaType": "application/vnd.ollama.image.template", "digest": "sha256:" + "0" * 64, "size": 3}
    manifest = folder / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": [other, weights]}))
    return blob


def test_nothing_is_there(home):
    assert found_models() == []
    assert found_model("smollm2") is None and found_model("ollama:") is None


def test_ollama(user_folder, gguf_bytes, home):
    folder = user_folder / ".ollama" / "models"
    blob = write_ollama(folder, "registry.ollama.ai/library/smollm2/135m", gguf_bytes)
    write_ollama(folder, "registry.ollama.ai/me/mine/latest", gguf_bytes + b"\0")
    write_ollama(folder, "hf.co/them/theirs/Q8_0", gguf_bytes + b"\0\0")
    names = [model.name for model in found_models()]
    assert names == ["ollama:hf.co/them/theirs:Q8_0", "ollama:me/mine:latest", "ollama:smollm2:135m"]
    assert found_models()[2].size_bytes == len(gguf_bytes)
    assert found_model("ollama:smollm2:135m") == blob == model_path(home, "ollama:smollm2:135m")
    assert found_model("ollama:me/mine") == found_model("ollama:me/mine:latest")
    assert model_path(home, "ollama:me/mine").name.startswith("sha256-")
    assert read_gguf(blob).architecture == "llama"


@pytest.mark.parametrize("engine", ["openvino", "llama.cpp"])
def test_a_blob_without_an_ending_runs(user_folder, gguf_bytes, home, engine):
    write_ollama(user_folder / ".ollama" / "models", "registry.ollama.ai/library/tiny/latest", gguf_bytes)
    with load_engine(home, "ollama:tiny", EngineOptions(window=64, threads=1), engine=engine) as loaded:
        answer = loaded.generate([Request((5, 6, 7), GenerateOptions(max_new_tokens=3))])[0]
    assert loaded.facts.engine == engine and len(answer.steps) >= 1
    assert home.models() == []


def test_ollama_elsewhere(user_folder, gguf_bytes, monkeypatch):
    write_ollama(user_folder / ".ollama" / "models", "registry.ollama.ai/library/hidden/latest", gguf_bytes)
    monkeypatch.setenv("OLLAMA_MODELS", str(user_folder / "elsewhere"))
    write_ollama(user_folder / "elsewhere", "registry.ollama.ai/library/seen/latest", gguf_bytes)
    assert [model.name for model in found_models()] == ["ollama:seen:latest"]


def test_what_ollama_left_unfinished_or_is_hostile_is_no_model(user_folder, gguf_bytes):
    folder = user_folder / ".ollama" / "models"
    library = "registry.ollama.ai/library"
    write_ollama(folder, f"{library}/cut/latest", gguf_bytes[:-1], size=len(gguf_bytes))
    write_ollama(folder, f"{library}/other/latest", b"not a model")
    write_ollama(folder, f"{library}/outside/latest", gguf_bytes, digest="sha256:../../../secret")
    (folder / "manifests" / library / "broken").mkdir()
    (folder / "manifests" / library / "broken" / "latest").write_text('{"layers": 3')
    (folder / "manifests" / library / "list").mkdir()
    (folder / "manifests" / library / "list" / "latest").write_text("[1]")
    (folder / "manifests" / "stray").write_text("{}")
    assert found_models() == []


@pytest.mark.parametrize("place", [".lmstudio/models", ".cache/lm-studio/models"])
def test_lm_studio(user_folder, gguf_bytes, home, place):
    folder = user_folder / place / "owner" / "repo-GGUF"
    folder.mkdir(parents=True)
    for name in (
        "Model-Q8_0.gguf",
        "mmproj-Model.gguf",
        "Big-00001-of-00002.gguf",
        "Big-00002-of-00002.gguf",
    ):
        (folder / name).write_bytes(gguf_bytes)
    (folder / "README.md").write_text("hello")
    (folder / "half.gguf").write_bytes(b"")
    names = [model.name for model in found_models()]
    assert names == ["lmstudio:owner/Big-00001-of-00002.gguf", "lmstudio:owner/Model-Q8_0.gguf"]
    wanted = folder / "Model-Q8_0.gguf"
    assert model_path(home, "lmstudio:owner/Model-Q8_0.gguf") == wanted
    assert found_model("lmstudio:owner/model-q8_0") == wanted


def test_an_unknown_one_is_told_with_what_is_there(user_folder, gguf_bytes):
    write_ollama(user_folder / ".ollama" / "models", "registry.ollama.ai/library/here/1b", gguf_bytes)
    with pytest.raises(UnknownModelError, match=r"ollama:here:1b.*homespun pull ollama:gone"):
        found_model("ollama:gone")
    with pytest.raises(UnknownModelError, match="there: none"):
        found_model("lmstudio:a/b.gguf")
