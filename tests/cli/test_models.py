"""`homespun models` beyond the models of the home: other programs' models, suggestions, fetched ones."""

from collections.abc import Callable
from pathlib import Path

from ran import Ran


def test_models_of_another_program_are_listed(
    homespun: Callable[..., Ran], starter_gguf: Path, tmp_path: Path
) -> None:
    folder = tmp_path / ".lmstudio" / "models" / "owner" / "repo"
    folder.mkdir(parents=True)
    (folder / "small.gguf").symlink_to(starter_gguf)
    given = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "OLLAMA_MODELS": str(tmp_path / "none")}
    listed = homespun("models", "list", "--json", **given).json
    assert [model["name"] for model in listed["models"]] == ["smollm2"]
    (found,) = listed["found"]
    assert found["name"] == "lmstudio:owner/small.gguf" and found["source"] == "lmstudio"
    assert found["size_bytes"] == starter_gguf.stat().st_size
    text = homespun("models", "list", **given).out
    assert "source" in text.splitlines()[0]
    assert "LM Studio" in next(line for line in text.splitlines() if found["name"] in line)


def test_suggestions_show_what_fetches_them(homespun: Callable[..., Ran]) -> None:
    text = homespun("models", "suggest", "--memory", "16").out
    assert "homespun pull hf:" in text and "8,192 tokens" in text and "16.0 GB" in text
    refused = homespun("models", "suggest", "--memory", "-3")
    assert refused.code == 2 and "--memory is -3" in refused.err


def test_a_fetched_model_keeps_its_name(homespun: Callable[..., Ran]) -> None:
    refused = homespun("models", "add", "gemma3-270m", "--name", "mine")
    assert refused.code == 2 and "--name" in refused.err
