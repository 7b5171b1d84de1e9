"""Writers that are killed, that meet, and that write while others read."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from homespun.models.home import Home
from homespun.retrieval import groups, sync
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import IngestOptions, ingest
from homespun.retrieval.tables import LanceStore

N_FILES = 20

#: Ingests in groups of two, and kills itself with SIGKILL at one point of the third group.
CHILD = """
import os, signal, sys
from pathlib import Path
from homespun.models.home import Home
from homespun.retrieval import groups, sync
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.tables import LanceStore

home_path, embedder_path, folder_path, cache_path, point = sys.argv[1:]
groups.GROUP_DOCUMENTS = 2
n_writes = 0

def write(self, group, _write=LanceStore.write):
    global n_writes
    n_writes += 1
    if n_writes == 3:
        table = {"passages": self._passages, "texts": self._texts}.get(point)
        if table is not None:
            add = table.add
            table.add = lambda rows: (add(rows), os.kill(os.getpid(), signal.SIGKILL))
        else:
            _write(self, group)
            os.kill(os.getpid(), signal.SIGKILL)
    _write(self, group)

LanceStore.write = write
if point == "orphans":
    LanceStore.remove_orphans = lambda self: os.kill(os.getpid(), signal.SIGKILL) if n_writes > -100 else 0
    n_writes = -100
print("started", flush=True)
home = Home.open(Path(home_path))
embedder = open_embedder(Path(embedder_path), cache_path=Path(cache_path), name="minilm")
library = Library.open(home, "notes", embedder, create=True)
sync.ingest(library, [Path(folder_path)])
print("finished", flush=True)
"""


@pytest.fixture(scope="module")
def cache_path(tmp_path_factory):
    return tmp_path_factory.mktemp("encoders")


@pytest.fixture
def files(folder):
    for number in range(N_FILES):
        (folder / f"{number:02}.txt").write_text(f"Rule {number} is about item{number}. It holds.")
    return folder


def start_child(home, starter_embedder, folder, cache_path, point):
    source_path = Path(sync.__file__).parents[2]
    arguments = [home.root, starter_embedder, folder, cache_path, point]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(source_path)},
        stdout=subprocess.PIPE,
        text=True,
    )


def check_like_fresh(home, embedder, folder, tmp_path, contents_of):
    library = Library.open(home, "notes", embedder)
    report = ingest(library, [folder])
    fresh = Library.open(Home.open(tmp_path / "fresh"), "fresh", embedder, create=True)
    ingest(fresh, [folder])
    assert contents_of(library) == contents_of(fresh)
    assert report.n_passages == N_FILES
    return report


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize(
    ("point", "n_kept"), [("passages", 4), ("texts", 4), ("documents", 6), ("orphans", 20)]
)
def test_killed_then_again_nothing_is_lost_or_doubled(
    home, embedder, starter_embedder, files, cache_path, tmp_path, contents_of, point, n_kept
):
    child = start_child(home, starter_embedder, files, cache_path, point)
    child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL
    seen = Library.open(home, "notes", embedder)
    assert len(seen.documents()) == n_kept
    # What was committed can be searched at once, and what was not is never seen.
    found = search(seen, "item0", SearchOptions(keyword_weight=1))
    assert [hit.passage.document for hit in found] == ["00.txt"]
    hits = search(seen, "rule", SearchOptions(n_hits=50))
    assert {hit.passage.document for hit in hits} == {document.name for document in seen.documents()}
    report = check_like_fresh(home, embedder, files, tmp_path, contents_of)
    assert len(report.unchanged) == n_kept


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("delay_s", [0.6, 1.0, 1.3, 1.6, 1.8, 2.0, 2.2, 2.5, 3.0])
def test_killed_at_any_moment(
    home, embedder, starter_embedder, files, cache_path, tmp_path, contents_of, delay_s
):
    child = start_child(home, starter_embedder, files, cache_path, "never")
    assert child.stdout.readline() == "started\n"
    time.sleep(delay_s)
    child.kill()
    child.wait(timeout=60)
    Library.open(home, "notes", embedder, create=True)
    check_like_fresh(home, embedder, files, tmp_path, contents_of)


def test_two_ingests_at_once_wait_for_each_other(home, library, embedder, files, tmp_path, contents_of):
    told, reports = [], []

    def run():
        mine = Library.open(home, "notes", embedder)
        reports.append(ingest(mine, [files], progress=lambda what, done, total: told.append(what)))

    with library.writing(0):
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        assert not reports and "Waiting for another process that writes to this library" in told
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(len(report.added) for report in reports) == [0, N_FILES]
    check_like_fresh(home, embedder, files, tmp_path, contents_of)


def test_reading_goes_on_while_an_ingest_writes(home, library, embedder, files, monkeypatch):
    monkeypatch.setattr(groups, "GROUP_DOCUMENTS", 2)
    (files / "00.txt").write_text("The zebra rule comes first.")
    ingest(library, [files / "00.txt"])
    reader = Library.open(home, "notes", embedder)
    n_seen = []

    def run():
        ingest(Library.open(home, "notes", embedder), [files], IngestOptions(wait_s=5))

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive():
        assert search(reader, "zebra")[0].passage.document == "00.txt"
        n_seen.append(len(reader.documents()))
    thread.join()
    assert n_seen == sorted(n_seen) and n_seen[-1] <= N_FILES
    assert len(search(reader, "rule", SearchOptions(n_hits=50))) == N_FILES


def test_a_failed_write_leaves_the_library_as_it_was(library, files, monkeypatch, contents_of):
    from homespun.retrieval.errors import LibraryError

    (files / "00.txt").write_text("The zebra rule comes first.")
    ingest(library, [files / "00.txt"])
    before = contents_of(library)

    def full(*_):
        raise OSError("LanceError(IO): No space left on device (os error 28)")

    monkeypatch.setattr(type(library.tables._texts), "add", full)
    with pytest.raises(LibraryError, match="The disk is full"):
        ingest(library, [files])
    monkeypatch.undo()
    assert [document.name for document in library.documents()] == ["00.txt"]
    LanceStore.remove_orphans(library.tables)
    assert contents_of(library) == before
    assert len(ingest(library, [files]).added) == N_FILES - 1
