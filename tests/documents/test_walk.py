"""Which files are found, and that every other one is named (field case D6)."""

import os

import pytest

from homespun.documents.read import read_document
from homespun.documents.walk import find_files


@pytest.fixture
def folder(tmp_path):
    """docs/ with two files and a folder; other/ beside it."""
    for name in ("docs/b.txt", "docs/a.md", "docs/sub/c.csv", "other/far.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def names(found, top):
    return [path.relative_to(top).as_posix() for path in found.files]


def reasons(found, top):
    return {skip.path.relative_to(top).as_posix(): skip.reason for skip in found.skipped}


def test_d6_loops_end_and_each_file_is_found_once(folder):
    docs = folder / "docs"
    (docs / "loop").symlink_to(".", target_is_directory=True)
    (docs / "sub" / "up").symlink_to("..", target_is_directory=True)
    (docs / "self").symlink_to("self")
    (docs / "outside").symlink_to(folder / "other", target_is_directory=True)
    (docs / "0first.txt").symlink_to(docs / "b.txt")
    found = find_files([docs])
    assert names(found, docs) == ["a.md", "b.txt", "sub/c.csv"]
    told = reasons(found, docs)
    assert set(told) == {"loop", "sub/up", "self", "outside", "0first.txt"}
    assert "outside the given folders" in told["outside"]
    assert "the same file" in told["0first.txt"]
    assert "visited already" in told["loop"]
    followed = find_files([docs], follow_links=True)
    assert names(followed, docs) == ["a.md", "b.txt", "outside/far.txt", "sub/c.csv"]


def test_links_behind_followed_links_end(folder):
    (folder / "docs" / "out").symlink_to(folder / "other")
    (folder / "other" / "back").symlink_to(folder / "docs")
    (folder / "other" / "again").symlink_to(folder / "other")
    found = find_files([folder / "docs"], follow_links=True)
    assert names(found, folder / "docs") == ["a.md", "b.txt", "out/far.txt", "sub/c.csv"]


def test_skips_are_listed_with_reasons(folder):
    docs = folder / "docs"
    for name in (".hidden.txt", "Thumbs.db", "~$a.docx", "x.exe", "plain"):
        (docs / name).write_text("x")
    (docs / ".git").mkdir()
    (docs / ".git" / "notes.txt").write_text("x")
    (docs / "gone.txt").symlink_to(docs / "nowhere")
    os.link(docs / "b.txt", docs / "twin.txt")
    if hasattr(os, "mkfifo"):
        os.mkfifo(docs / "pipe.txt")
    found = find_files([docs, folder / "nothing.txt"])
    assert names(found, docs) == ["a.md", "b.txt", "sub/c.csv"]
    told = reasons(found, folder)
    assert told["docs/.git"] == told["docs/.hidden.txt"] == "hidden"
    assert told["docs/x.exe"] == ".exe files are not supported"
    assert told["nothing.txt"] == "no such file or folder"
    assert "leads nowhere" in told["docs/gone.txt"]
    assert "the same file" in told["docs/twin.txt"]
    assert {"docs/Thumbs.db", "docs/~$a.docx", "docs/plain", "docs/pipe.txt"} <= set(told)


def test_paths_that_overlap_count_once(folder):
    docs = folder / "docs"
    found = find_files([docs / "sub", docs, docs / "b.txt", docs])
    assert names(found, docs) == ["a.md", "b.txt", "sub/c.csv"]
    assert found.skipped == ()
    assert find_files([docs / "b.txt"]).files == (docs / "b.txt",)


def test_patterns_that_no_shell_expanded(folder, monkeypatch):
    docs = folder / "docs"
    (docs / "sub" / "d.md").write_text("d")
    (docs / ".hidden.md").write_text("h")
    (docs / "odd[1].md").write_text("a name with brackets is a name first")
    assert names(find_files([docs / "*.md"]), docs) == ["a.md", "odd[1].md"]
    assert names(find_files([docs / "**" / "*.md"]), docs) == ["a.md", "odd[1].md", "sub/d.md"]
    assert names(find_files([docs / "odd[1].md"]), docs) == ["odd[1].md"]
    assert names(find_files([folder / "d?cs"]), docs) == [
        "a.md",
        "b.txt",
        "odd[1].md",
        "sub/c.csv",
        "sub/d.md",
    ]
    found = find_files([docs / "*.pdf"])
    assert reasons(found, docs) == {"*.pdf": "nothing matches this pattern"}
    monkeypatch.chdir(docs)
    assert [path.as_posix() for path in find_files(["**/*.csv"]).files] == ["sub/c.csv"]


def test_archives_are_found(folder):
    (folder / "docs" / "old.ZIP").write_bytes(b"PK")
    assert "old.ZIP" in names(find_files([folder / "docs"]), folder / "docs")


def test_a_huge_file_is_refused_without_being_read(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(2 * 2**30)  # takes no place on the disk
    document = read_document(path)
    assert document.status == "not read"
    assert document.reason == (
        "It is 2048 MiB large and at most 256 MiB are read; divide it into smaller files."
    )
    assert document.digest == ""
