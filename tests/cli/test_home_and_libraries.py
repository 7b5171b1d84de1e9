"""`homespun home` and what looks into libraries, as a person types it."""

import json

import pytest

from homespun.cli.main import exit_code
from homespun.models.home import Home
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMESPUN_HOME", str(tmp_path / "home"))
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# Fees\n\nThe fee is 40.")
    (folder / "empty.txt").write_text("")
    home = Home.open()
    ingest(Library.open(home, "notes", HashEmbedder(), create=True), [folder])
    return home


def said(capsys, *arguments, code=0):
    assert exit_code(list(arguments)) == code
    return capsys.readouterr().out


def test_backup_and_restore(home, tmp_path, capsys, monkeypatch):
    archive = tmp_path / "b.tar.gz"
    assert "files" in said(capsys, "home", "backup", str(archive))
    said(capsys, "home", "restore", str(archive), code=2)  # into the home that is in use
    report = json.loads(
        said(capsys, "home", "restore", str(archive), "--into", str(tmp_path / "new"), "--json")
    )
    assert report["n_files"] > 3
    monkeypatch.setenv("HOMESPUN_HOME", str(tmp_path / "new"))
    assert json.loads(said(capsys, "home", "check", "--json"))["whole"] is True


def test_check_ends_with_code_2_where_something_is_damaged(home, capsys):
    assert "All is whole." in said(capsys, "home", "check")
    assert "All is whole." in said(capsys, "libraries", "check", "notes")
    (home.libraries_path / "notes" / "library.json").write_text("[]")
    assert "cannot be read" in said(capsys, "home", "check", code=2)


def test_files_and_passages(home, tmp_path, capsys):
    shown = said(capsys, "libraries", "files", "notes")
    assert str(tmp_path / "docs" / "a.md") in shown and "not read" in shown
    (document,) = json.loads(said(capsys, "libraries", "files", "notes", "a.md", "--json"))["documents"]
    assert document["status"] == "read" and len(document["digest"]) == 64
    (passage,) = json.loads(said(capsys, "libraries", "passages", "notes", "a.md", "--json"))["passages"]
    assert passage["where"]["heading"] == "Fees" and "The fee is 40." in passage["passage"]["text"]
    said(capsys, "libraries", "files", "notes", "none.md", code=2)


def test_purge(home, capsys):
    said(capsys, "libraries", "remove", "notes", "--document", "a.md")
    assert json.loads(said(capsys, "libraries", "purge", "notes", "--json")) == {"purged": "notes"}
    held = [
        path for path in home.libraries_path.rglob("*") if path.is_file() and b"The fee" in path.read_bytes()
    ]
    assert held == []
