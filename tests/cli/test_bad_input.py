"""What goes wrong is one sentence and exit code 2, never a traceback."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ran import Ran


def told(ran: Ran, *words: str) -> None:
    """Exit code 2, one line, no traceback, and these words in it."""
    assert ran.code == 2, (ran.out, ran.err)
    lines = [line for line in ran.err.splitlines() if line.startswith("homespun: ")]
    assert len(lines) == 1, ran.err
    assert "Traceback" not in ran.err + ran.out
    for word in words:
        assert word in lines[0]


def test_unknown_names(homespun: Callable[..., Ran]) -> None:
    told(homespun("ask", "anything", "--library", "nowhere"), "nowhere")
    told(homespun("run", "hi", "--model", "nothing"), "nothing")
    told(homespun("run", "hi", "--model", "missing.gguf"), "missing.gguf")
    told(homespun("ingest", "no/such/folder"), "no/such/folder")
    told(homespun("libraries", "text", "x", "--library", "nowhere"), "nowhere")


def test_options_out_of_range(homespun: Callable[..., Ran]) -> None:
    told(homespun("run", "hi", "--temperature", "-1"), "temperature", "-1")
    told(homespun("run", "hi", "--window", "100000"), "100000", "8192")
    told(homespun("run", "hi", "--engine", "warp"), "warp", "openvino")
    told(homespun("run", "hi", "--no-such-flag"), "no-such-flag")
    told(homespun("frobnicate"), "frobnicate")


def test_empty_home_names_the_next_command(homespun: Callable[..., Ran], tmp_path: Path) -> None:
    told(homespun("run", "hi", HOMESPUN_HOME=str(tmp_path)), "homespun models add starter")
    (tmp_path / "a.txt").write_text("Some text.")
    told(
        homespun("ingest", str(tmp_path / "a.txt"), HOMESPUN_HOME=str(tmp_path)),
        "homespun models add starter",
    )


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><html></html>", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_files_that_are_no_model(homespun: Callable[..., Ran], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    told(homespun("models", "add", str(path)), "model.gguf")


def test_question_longer_than_the_window(clinic: Ran, homespun: Callable[..., Ran]) -> None:
    ran = homespun("run", "word " * 9000)
    told(ran, "8192")


def test_errors_are_json_where_json_was_asked_for(homespun: Callable[..., Ran]) -> None:
    ran = homespun("ask", "anything", "--library", "nowhere", "--json")
    assert ran.code == 2
    assert "nowhere" in ran.json["error"]["message"]


def test_a_damaged_library_does_not_hide_the_others(homespun: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "libraries" / "broken").mkdir(parents=True)
    (tmp_path / "libraries" / "broken" / "library.json").write_text("{")
    shown = homespun("libraries", "list", HOMESPUN_HOME=str(tmp_path))
    assert shown.code == 0 and "broken cannot be used" in shown.out
    assert homespun("libraries", "list", "--json", HOMESPUN_HOME=str(tmp_path)).json["libraries"] == []
