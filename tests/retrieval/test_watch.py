"""A folder that is followed: what rests is ingested, what is written waits, and a restart loses nothing."""

import shutil
import threading
import time
import zipfile

import pytest

from homespun.errors import HomespunError
from homespun.models.home import Home
from homespun.retrieval import watch as watching
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.errors import LibraryError, RetrievalError
from homespun.retrieval.library import Library
from homespun.retrieval.report import IngestReport
from homespun.retrieval.sync import ingest
from homespun.retrieval.watch import WatchOptions, watch

FAST = WatchOptions(interval_s=0.05, quiet_s=0.0)


@pytest.fixture(autouse=True)
def fake_embedder(monkeypatch):
    def opened(home, name, *, create=False):
        return Library.open(home, name, HashEmbedder(), create=create)

    monkeypatch.setattr(watching, "open_library", opened)


class Following:
    """A watch in a thread, with what it told."""

    def __init__(self, home, paths, options=FAST):
        self.told: list[IngestReport | HomespunError] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=watch,
            args=(home, "notes", paths, options),
            kwargs={"stop": self._stop.is_set, "on_report": self.told.append},
        )

    def __enter__(self):
        self._thread.start()
        self.wait(1)
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(30)

    def wait(self, n):
        """Until it has told n things; the last of them."""
        deadline = time.monotonic() + 30
        while len(self.told) < n:
            assert time.monotonic() < deadline, self.told
            time.sleep(0.02)
        return self.told[n - 1]


def names(home):
    return [document.name for document in Library.open(home, "notes").documents()]


def test_files_come_change_and_go(home, folder):
    (folder / "a.txt").write_text("The fee is 40.")
    with Following(home, [folder]) as following:
        assert following.told[0].added == ("a.txt",)
        (folder / "b.md").write_text("The zebra.")
        assert following.wait(2).added == ("b.md",) and following.told[1].unchanged == ("a.txt",)
        (folder / "a.txt").unlink()
        assert following.wait(3).removed == ("a.txt",)
        with zipfile.ZipFile(folder / "c.tmp", "w") as archive:
            archive.writestr("in.txt", "Inside.")
        (folder / "c.tmp").rename(folder / "c.zip")
        assert following.wait(4).added == ("c.zip/in.txt",)
        (folder / "b.md").rename(folder / "d.md")
        assert following.wait(5).renamed == (("b.md", "d.md"),)
        assert following.told[4].unchanged == ("c.zip/in.txt",)
        time.sleep(0.2)
        assert len(following.told) == 5  # where nothing changes, nothing is done
    assert names(home) == ["c.zip/in.txt", "d.md"]


def test_a_file_that_is_written_waits_until_it_rests(home, folder):
    (folder / "a.txt").write_text("The fee is 40.")
    with Following(home, [folder], WatchOptions(interval_s=0.05, quiet_s=0.5)) as following:
        growing = folder / "growing.txt"
        for number in range(8):
            with growing.open("a") as file:
                file.write(f"Line {number}.\n")
            time.sleep(0.1)
        while "growing.txt" not in names(home):
            following.wait(1)
            time.sleep(0.05)
    reports = [told for told in following.told if "growing.txt" in told.added + told.updated]
    assert len(reports) == 1  # not once a line
    assert Library.open(home, "notes").text("growing.txt").splitlines()[-1] == "Line 7."


def test_a_file_that_never_rests_is_read_in_the_end(home, folder):
    (folder / "a.txt").write_text("The fee is 40.")
    options = WatchOptions(interval_s=0.05, quiet_s=1000, patience_s=0.5)
    with Following(home, [folder], options) as following:
        deadline = time.monotonic() + 30
        while "a.txt" not in names(home):
            assert time.monotonic() < deadline
            (folder / "a.txt").write_text(f"The fee is {time.monotonic()}.")
            time.sleep(0.05)
        assert following.told[0].added == ()


def test_a_round_that_fails_is_told_and_tried_again(home, folder, monkeypatch):
    (folder / "a.txt").write_text("The fee is 40.")
    real, n_calls = watching.ingest, []

    def failing(*args, **named):
        n_calls.append(1)
        if len(n_calls) == 2:
            raise LibraryError("The disk is full.")
        return real(*args, **named)

    monkeypatch.setattr(watching, "ingest", failing)
    with Following(home, [folder]) as following:
        (folder / "b.txt").write_text("The zebra.")
        assert isinstance(following.wait(2), LibraryError)
        assert following.wait(3).added == ("b.txt",)


def test_an_unplugged_folder_takes_nothing_along(home, folder, tmp_path):
    (folder / "a.txt").write_text("The fee is 40.")
    with Following(home, [folder]) as following:
        folder.rename(tmp_path / "away")
        assert following.wait(2).removed == ()
        (tmp_path / "away").rename(folder)
        assert following.wait(3).unchanged == ("a.txt",)
    assert names(home) == ["a.txt"]


def test_a_restart_finds_what_changed_meanwhile(home, folder, tmp_path, contents_of):
    (folder / "a.txt").write_text("The fee is 40.")
    (folder / "b.txt").write_text("The zebra.")
    with Following(home, [folder]):
        pass
    (folder / "a.txt").write_text("The fee is 55.")
    (folder / "b.txt").unlink()
    shutil.copy(folder / "a.txt", folder / "c.txt")
    with Following(home, [folder]) as following:
        report = following.told[0]
    assert (report.updated, report.removed, report.added) == (("a.txt",), ("b.txt",), ("c.txt",))
    fresh = Library.open(Home.open(tmp_path / "fresh"), "notes", HashEmbedder(), create=True)
    ingest(fresh, [folder])
    assert contents_of(Library.open(home, "notes", HashEmbedder())) == contents_of(fresh)


def test_what_cannot_begin_is_refused(home, folder):
    with pytest.raises(RetrievalError, match="no such file"):
        watch(home, "notes", [folder / "none"])
    with pytest.raises(RetrievalError, match="interval_s is 0"):
        WatchOptions(interval_s=0)
