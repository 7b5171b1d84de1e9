"""Ingests killed at random moments leave a library that the next ingest makes equal to a clean one."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

import homespun
from homespun.models.home import Home
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest

BENCH = Path(__file__).parents[2] / "bench"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL")


@pytest.fixture
def kills(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setenv("PYTHONPATH", str(Path(homespun.__file__).parents[1]))
    import _kills

    return _kills


def test_two_kills(kills):
    report = kills.run_kills(2, seed=5, rounds_a_library=2)
    assert report["faults"] == [] and report["n_killed"] == 2


@pytest.mark.long
def test_twenty_kills(kills):
    report = kills.run_kills(20, seed=int(time.time()))
    assert report["faults"] == [], report["seed"]


def test_what_differs_is_seen(kills, home, folder, tmp_path):
    (folder / "a.txt").write_text("The fee is 40.")
    (folder / "b.txt").write_text("The zebra.")
    library = Library.open(home, "kills", HashEmbedder(), create=True)
    ingest(library, [folder])
    whole = kills.rows_of(library)
    assert kills.compared(home.root, folder, tmp_path) == [] and len(whole) == 6
    library.tables._passages.add(library.tables._passages.to_arrow().slice(0, 1))  # doubled
    assert any("doubled" in what for what in kills.compared(home.root, folder, tmp_path))
    assert sum((kills.rows_of(library) - whole).values()) == 1


FOLLOW = """
import sys
from pathlib import Path
from homespun.models.home import Home
from homespun.retrieval import watch
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library

watch.open_library = lambda home, name, create=False: Library.open(home, name, HashEmbedder(), create=create)
watch.watch(
    Home.open(Path(sys.argv[1])), "kills", [Path(sys.argv[2])], watch.WatchOptions(0.05, 0.0),
    on_report=lambda report: print(report, flush=True),
)
"""


def test_killed_while_it_follows_a_folder_and_started_again(kills, home, folder, tmp_path):
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"Rule {number} holds.")

    def start():
        command = [sys.executable, "-c", FOLLOW, str(home.root), str(folder)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert "IngestReport" in child.stdout.readline()
        return child

    child = start()
    for number in range(3, 12):
        (folder / f"{number}.txt").write_text(f"Rule {number} was changed.")
    (folder / "0.txt").unlink()
    time.sleep(0.15)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert kills.seen_by_readers(home.root) == []
    (folder / "1.txt").rename(folder / "late.txt")
    child = start()
    child.kill()
    child.communicate()
    library = Library.open(home, "kills", HashEmbedder())
    clean = Library.open(Home.open(tmp_path / "clean"), "kills", HashEmbedder(), create=True)
    ingest(clean, [folder])
    differing = kills.rows_of(clean) - kills.rows_of(library)
    assert differing == Counter()  # nothing is lost by the first round alone
    assert kills.compared(home.root, folder, tmp_path) == []
