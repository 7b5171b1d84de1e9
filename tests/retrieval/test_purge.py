"""What is removed and purged is in no file any more, in whatever form."""

import random
import time
from pathlib import Path

import lancedb
import pytest

from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import ingest

WORD = "xylqvorbian"


@pytest.fixture
def library(home):
    return Library.open(home, "notes", HashEmbedder(), create=True)


def files_with(root: Path, word: str) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def all_versions_text(library: Library) -> str:
    """What every state of every table that can still be opened says: compression hides words from bytes."""
    said = []
    database = lancedb.connect(library.path / "tables")
    for name in database.list_tables().tables:
        table = database.open_table(name)
        for version in table.list_versions():
            table.checkout(version["version"])
            columns = [column for column in table.schema.names if column != "vector"]
            said.append(str(table.to_arrow().select(columns).to_pylist()))
    return " ".join(said)


@pytest.mark.parametrize(
    "how",
    [
        "file deleted",
        pytest.param("taken out", marks=pytest.mark.long),
        pytest.param("edited", marks=pytest.mark.long),
    ],
)
def test_no_word_of_a_removed_document_is_left(home, library, folder, how):
    generator = random.Random(3)
    for number in range(30):
        words = (f"word{generator.randint(0, 10**6)}" for _ in range(300))
        (folder / f"{number}.txt").write_text(" ".join(words))
    secret = folder / f"{WORD}.txt"
    secret.write_text(f"Nobody may know {WORD}. " + "It is so. " * 50)
    ingest(library, [folder])
    assert files_with(home.root, WORD) and WORD in all_versions_text(library)
    if how == "file deleted":
        secret.unlink()
        ingest(library, [folder])
    elif how == "taken out":
        library.remove(secret.name)
        secret.unlink()
    else:
        secret.rename(folder / "open.txt")
        (folder / "open.txt").write_text("Now it says nothing.")
        ingest(library, [folder])
    assert WORD in all_versions_text(library)  # removing alone only hides
    before = {document.name: library.text(document.name) for document in library.documents()}
    old_files = {
        path: path.stat().st_mtime_ns for path in (library.path / "tables").rglob("*") if path.is_file()
    }
    time.sleep(0.02)
    library.purge()
    assert files_with(home.root, WORD) == []
    assert WORD not in all_versions_text(library)
    # No file of before is left, so none can hold it in a form that neither of the two looks sees.
    left = [path for path in (library.path / "tables").rglob("*") if path.is_file()]
    assert [path for path in left if old_files.get(path) == path.stat().st_mtime_ns] == []
    # And all others are there, and found.
    assert {document.name: library.text(document.name) for document in library.documents()} == before
    opened = Library.open(home, "notes", HashEmbedder())
    word = library.text("7.txt").split()[5]
    hits = search(opened, word, SearchOptions(keyword_weight=1))
    assert [hit.passage.document for hit in hits] == ["7.txt"]
    (folder / "new.txt").write_text("A new one.")
    assert ingest(opened, [folder]).added == ("new.txt",)


def test_a_dropped_library_leaves_nothing(home, library, folder):
    (folder / "a.txt").write_text(f"Nobody may know {WORD}.")
    ingest(library, [folder])
    assert files_with(home.root, WORD)
    library.drop()
    assert files_with(home.root, WORD) == []


def test_an_empty_library_can_be_purged(library):
    library.purge()
    assert library.documents() == []
