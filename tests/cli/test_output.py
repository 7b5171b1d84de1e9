"""Where output goes, whatever it is written to and whatever is in it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from homespun.models.home import Home
from ran import Ran


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_bars_on_the_terminal_leave_the_answer_to_the_pipe(clinic: Ran, bare_home: Home) -> None:
    """`homespun ask ... --json > file` typed at a terminal: bars on it, the object in the file."""
    terminal, its_end = os.openpty()
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "homespun.cli.main",
            "ask",
            "Who opens the practice?",
            "-l",
            "clinic",
            "--json",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=its_end,
        env={**os.environ, "HOMESPUN_HOME": str(bare_home.root), "TERM": "xterm"},
    ) as process:
        os.close(its_end)
        assert process.stdout is not None
        seen = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            seen += piece
        out = process.stdout.read()
    os.close(terminal)
    assert "answer" in json.loads(out)
    assert b"passages" not in seen


def test_any_character_can_be_piped(homespun: Callable[..., Ran]) -> None:
    ran = homespun("ask", "anything", "--library", "👍", "--json", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert ran.code == 2
    assert "👍" in ran.json["error"]["message"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such file name")
def test_a_file_name_that_is_no_text_is_told(homespun: Callable[..., Ran], tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/x\xff.bin")).touch()
    (tmp_path / "a.txt").write_text("The door is green.")
    ran = homespun("ingest", str(tmp_path), "-l", "names", "--json", PYTHONIOENCODING="utf-8:strict")
    assert ran.code == 0, ran.err
    assert ran.json["skipped"][0]["path"].endswith("x\udcff.bin")


def test_input_that_is_no_text_is_read(bare_home: Home) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "homespun.cli.main", "run", "-", "--max-new-tokens", "1", "--json"],
        input=b"caf\xff",
        capture_output=True,
        env={**os.environ, "HOMESPUN_HOME": str(bare_home.root), "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert done.returncode == 0, done.stderr


def test_a_question_that_cannot_be_answered_leaves_the_chat_open(
    clinic: Ran, homespun: Callable[..., Ran]
) -> None:
    turns = "Until what time can we clear up queries with the nurses of the homes?\n" * 2
    options = ("--window", "64", "--style", "write")
    ran = homespun("ask", "--chat", "-l", "clinic", "--json", *options, stdin=turns)
    assert ran.code == 0
    first, end = json.JSONDecoder().raw_decode(ran.out)
    assert "64" in first["error"]["message"]
    assert "error" in json.loads(ran.out[end:])


@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal for one process")
def test_an_interruption_is_told(bare_home: Home) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "homespun.cli.main", "run", "A long story", "--max-new-tokens", "4000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HOMESPUN_HOME": str(bare_home.root)},
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)  # it writes
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted" in err and b"Traceback" not in err
