"""The base job needs no torch, and opens no socket that nobody asked for."""

import os
import subprocess
import sys
from pathlib import Path

CHILD = """
import os, sys

attempts = []

def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "os.fork"):
        attempts.append((event, repr(args)))

sys.addaudithook(watch)

for name in ("torch", "transformers", "peft", "sentence_transformers"):
    sys.modules[name] = None  # as if it were not installed

from pathlib import Path
from homespun.cli.main import exit_code

documents, planted = sys.argv[1], sys.argv[2] == "plant"
for command in [["libraries", "list"]] if planted else (
    ["ingest", documents, "--library", "silent"],
    ["search", "garden birds", "--library", "silent"],
    ["ask", "How much did the atlas cost?", "--library", "silent", "--style", "write", "--max-new-tokens", "4"],
    ["ask", "How much is a late book a day?", "--library", "silent"],
    ["run", "Good morning", "--max-new-tokens", "3"],
    ["doctor"], ["models", "list"], ["libraries", "list"],
):
    assert exit_code(command) == 0, command
if planted:
    import socket
    try:
        socket.create_connection(("127.0.0.1", 9), timeout=0.2)
    except OSError:
        pass
print("ATTEMPTS", attempts)
"""


def run_child(home: Path, documents: Path, planted: bool) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(documents), "plant" if planted else "clean"],
        capture_output=True,
        text=True,
        env={**os.environ, "HOMESPUN_HOME": str(home)},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rsplit("ATTEMPTS", 1)[1].strip()


def test_no_socket_and_no_torch(starter_gguf: Path, starter_embedder: Path, tmp_path: Path) -> None:
    from homespun.engines.probe import probe_text
    from homespun.models.home import Home

    home = Home.open(tmp_path / "home")
    home.add_model(starter_gguf, "smollm2", reference=True)
    folder = home.embedders_path / "all-minilm-l6-v2"
    folder.symlink_to(starter_embedder, target_is_directory=True)
    home.register_embedder("all-minilm-l6-v2", folder, "of the starter")
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "library.md").write_text("# The library\n\n" + probe_text(), encoding="utf-8")
    assert run_child(home.root, documents, planted=False) == "[]"
    assert "socket.connect" in run_child(home.root, documents, planted=True)
