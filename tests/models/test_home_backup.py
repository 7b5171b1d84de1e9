"""A home into an archive and back: the same bytes, or a sentence and an untouched folder."""

import hashlib
import io
import json
import os
import shutil
import tarfile
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.models.errors import HomeError
from homespun.models.home import Home
from homespun.models.home_backup import BackupOptions, backup_home
from homespun.models.home_check import check_models
from homespun.models.home_restore import restore_home
from homespun.models.storage import locked


@pytest.fixture
def filled(home):
    """A home with a library, a chat, a model, and what no backup holds."""
    for name, data in {
        "libraries/notes/library.json": b"{}",
        "libraries/notes/tables/texts.lance/data/1.lance": os.urandom(70_000),
        "libraries/half-removed/tables/x": b"x",
        "chats/a.jsonl": "é\n".encode(),
        "models/small/m.gguf": b"GGUF" * 9,
        "embedders/e/model.bin": b"\x00" * 1000,
        "cache/openvino/graph.bin": b"graph",
        "models/small/other.gguf.part": b"half",
    }.items():
        path = home.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (home.root / "home.json").write_text(
        json.dumps(
            {"version": 1, "default_model": None, "default_embedder": None, "models": {}, "embedders": {}}
        )
    )
    return home


def content(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in ("writer.lock", ".home.lock")
    }


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tgz"])
def test_there_and_back(filled, tmp_path, ending):
    archive = tmp_path / f"b{ending}"
    report = backup_home(filled, archive)
    assert report.n_files == 6 and report.left_out == ()
    restored = restore_home(archive, tmp_path / "new")
    kept = {
        name: data
        for name, data in content(filled.root).items()
        if not name.startswith(("cache/", "libraries/half")) and not name.endswith(".part")
    }
    assert content(tmp_path / "new") == kept
    assert (restored.n_files, restored.n_bytes) == (report.n_files, report.n_bytes)
    assert Home.open(tmp_path / "new").models() == []
    assert not [path for path in tmp_path.rglob("*") if ".part" in path.name and "home" not in path.parts]


def test_without_models_they_are_named(home, starter_gguf, tmp_path):
    home.add_model(starter_gguf, "small", reference=True)
    report = backup_home(home, tmp_path / "b.tar", BackupOptions(models=False))
    assert report.left_out == ("small",) and report.n_files == 1
    restored = restore_home(tmp_path / "b.tar", tmp_path / "new")
    assert restored.left_out == ("small",)
    assert Home.open(tmp_path / "new").model("small").path == starter_gguf


def test_a_home_that_holds_something_is_never_overwritten(filled, tmp_path):
    backup_home(filled, tmp_path / "b.tar")
    before = content(filled.root)
    with pytest.raises(HomeError, match=r"not empty .*--into"):
        restore_home(tmp_path / "b.tar", filled.root)
    assert content(filled.root) == before
    # One that was opened, but never filled, is empty.
    empty = Home.open(tmp_path / "empty")
    (empty.root / ".restore-killed").mkdir()
    restore_home(tmp_path / "b.tar", empty.root)
    assert (empty.root / "home.json").exists() and not (empty.root / ".restore-killed").exists()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_cut_or_changed_archive_restores_nothing(filled, tmp_path, data):
    ending = data.draw(st.sampled_from([".tar", ".tar.gz"]))
    archive = tmp_path / f"b{ending}"
    if not archive.exists():
        backup_home(filled, archive)
    raw = bytearray(archive.read_bytes())
    place = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        del raw[place:]
    else:
        raw[place] ^= 1 << data.draw(st.integers(0, 7))
    broken = tmp_path / f"broken{ending}"
    broken.write_bytes(raw)
    target = tmp_path / "target"
    try:
        restore_home(broken, target)
    except HomeError as error:
        assert "nothing was restored" in error.sentence() or "newer" in error.sentence()
        assert content(target) == {}
    else:  # a change of what nobody reads: padding, times
        expected = {name: raw for name, raw in content(filled.root).items() if not name.startswith("cache/")}
        assert content(target).items() <= expected.items() and len(content(target)) == 6
        shutil.rmtree(target)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:evil", "a\\..\\evil", "link"])
def test_an_archive_cannot_write_elsewhere(tmp_path, name):
    archive = tmp_path / "b.tar"
    with tarfile.open(archive, "w") as tar:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        member.size = 0
        tar.addfile(member)
        entry = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}
        data = json.dumps({"version": 1, "left_out": [], "files": {name: entry}}).encode()
        member = tarfile.TarInfo("homespun-backup.json")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    with pytest.raises(HomeError, match="nothing was restored"):
        restore_home(archive, tmp_path / "new" / "home")
    assert not list(tmp_path.rglob("*evil*"))


def test_refusals(filled, tmp_path):
    with pytest.raises(HomeError, match=r"ends in \.tar"):
        backup_home(filled, tmp_path / "b.zip")
    with pytest.raises(HomeError, match="cannot lie in the home"):
        backup_home(filled, filled.root / "b.tar")
    (tmp_path / "b.tar").write_bytes(b"")
    with pytest.raises(HomeError, match="a file of this name already"):
        backup_home(filled, tmp_path / "b.tar")
    with pytest.raises(HomeError, match="nothing was restored"):
        restore_home(tmp_path / "b.tar", tmp_path / "new")
    with pytest.raises(HomeError, match="no such backup"):
        restore_home(tmp_path / "none.tar", tmp_path / "new")


def test_a_library_is_copied_when_its_writer_has_finished(filled, tmp_path):
    lock = filled.libraries_path / "notes" / "writer.lock"
    table = filled.libraries_path / "notes" / "tables" / "texts.lance" / "data" / "1.lance"
    held = threading.Event()

    def write():
        with locked(lock):
            held.set()
            table.write_bytes(b"half")
            time.sleep(0.4)
            table.write_bytes(b"the whole")

    thread = threading.Thread(target=write)
    thread.start()
    held.wait()
    with pytest.raises(HomeError, match="another process is writing"):
        backup_home(filled, tmp_path / "a.tar", BackupOptions(wait_s=0.05))
    assert not (tmp_path / "a.tar").exists()
    told = []
    backup_home(filled, tmp_path / "b.tar", progress=lambda what, done, total: told.append(what))
    thread.join()
    assert any("Waiting" in what for what in told)
    restore_home(tmp_path / "b.tar", tmp_path / "new")
    assert (tmp_path / "new" / table.relative_to(filled.root)).read_bytes() == b"the whole"


def test_a_full_disk_is_one_sentence(filled, tmp_path, monkeypatch):
    import errno

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(HomeError, match="the disk is full"):
        backup_home(filled, tmp_path / "b.tar")
    assert not list(tmp_path.glob("*b.tar*"))


def test_check_finds_what_changed(home, starter_gguf, tmp_path):
    copy = tmp_path / "m.gguf"
    copy.write_bytes(starter_gguf.read_bytes()[: 1 << 20])
    folder = home.embedders_path / "e"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"a")
    line = f"{hashlib.sha256(b'a').hexdigest()}  a.bin\n"
    home.register_embedder("e", folder, hashlib.sha256(line.encode()).hexdigest())
    model = {
        "path": str(copy),
        "digest": hashlib.sha256(copy.read_bytes()).hexdigest(),
        "size_bytes": 1 << 20,
        "architecture": "llama",
        "n_parameters": 1,
        "quantization": {},
        "is_reference": True,
    }
    state = json.loads((home.root / "home.json").read_text())
    (home.root / "home.json").write_text(json.dumps(state | {"models": {"m": model}}))
    assert check_models(home).problems == ()
    with copy.open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff\xfe")
    (folder / "a.bin").write_bytes(b"b")
    report = check_models(home)
    assert [problem.where for problem in report.problems] == [str(copy), str(folder)]
    assert "bytes changed" in report.problems[0].what and report.n_models == 1
    copy.unlink()
    assert "cannot be read" in check_models(home).problems[0].what
