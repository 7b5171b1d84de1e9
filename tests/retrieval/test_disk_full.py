"""A real small disk that becomes full: one sentence, finished work kept, and readers go on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from homespun.models.home import Home
from homespun.retrieval.check import check_library
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.groups import GroupWriter
from homespun.retrieval.library import Library
from homespun.retrieval.search import search
from homespun.retrieval.sync import ingest


@pytest.fixture
def small_disk(tmp_path):
    """2 MB; only root may mount."""
    path = tmp_path / "disk"
    path.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.mark.long
def test_a_full_disk(small_disk: Path, folder: Path, monkeypatch):
    monkeypatch.setattr("homespun.retrieval.groups.GROUP_DOCUMENTS", 2)
    (folder / "00.txt").write_text("The zebra rule comes first.")
    library = Library.open(Home.open(small_disk / "home"), "notes", HashEmbedder(), create=True)
    ingest(library, [folder])
    for number in range(1, 30):
        noise = " ".join(os.urandom(5).hex() for _ in range(2_500))
        (folder / f"{number:02}.txt").write_text(noise)
    with pytest.raises(LibraryError, match=r"The disk is full\. .*what was finished is kept"):
        ingest(library, [folder])
    seen = Library.open(Home.open(small_disk / "home"), "notes", HashEmbedder())
    n_kept = len(seen.documents())
    assert 1 <= n_kept < 30
    assert all(seen.text(document.name) for document in seen.documents())
    assert search(seen, "zebra")[0].passage.document == "00.txt"
    for number in range(1, 30):
        (folder / f"{number:02}.txt").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    assert len(ingest(seen, [folder]).removed) == n_kept - 1
    assert check_library(seen).problems == ()


def test_nothing_is_written_after_a_group_that_failed(home, folder, monkeypatch):
    """Without a small disk: the store refuses one group."""
    library = Library.open(home, "notes", HashEmbedder(), create=True)
    written = []

    def write(group):
        written.append(group)
        raise LibraryError("The disk is full.")

    monkeypatch.setattr("homespun.retrieval.groups.GROUP_DOCUMENTS", 1)
    monkeypatch.setattr(library.tables, "write", write)
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"Rule {number}.")
    with pytest.raises(LibraryError, match="disk is full"):
        ingest(library, [folder])
    assert len(written) == 1
    with pytest.raises(KeyboardInterrupt), GroupWriter(library) as writer:
        writer.add(None)  # type: ignore[arg-type]
        raise KeyboardInterrupt
    assert len(written) == 1
    assert library.documents() == []
