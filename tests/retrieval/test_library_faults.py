"""Libraries that change or break under someone who has them open."""

import json
import shutil
import threading
import time
from dataclasses import replace

import pytest

from homespun.retrieval.errors import LibraryError
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.search import search
from homespun.retrieval.sync import ingest


def test_a_library_that_is_removed_while_one_waits_to_write_stays_removed(home, library, embedder, folder):
    (folder / "a.txt").write_text("The door is green.")
    other = Library.open(home, "notes", embedder)
    told: list[object] = []

    def run() -> None:
        try:
            ingest(other, [folder])
        except LibraryError as error:
            told.append(error)

    with library.writing(5):
        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(0.3)
        (library.path / "library.json").unlink()  # what `drop` does first
        shutil.rmtree(library.path)
    thread.join(20)
    assert "no library 'notes'" in str(told[0]) or "removed" in str(told[0])
    assert not library.path.exists()


@pytest.mark.parametrize("table", ["documents", "passages", "texts"])
def test_damaged_tables_are_one_sentence(home, library, embedder, folder, table):
    (folder / "a.txt").write_text("The door is green.")
    ingest(library, [folder])
    for path in (library.path / "tables" / f"{table}.lance" / "data").iterdir():
        path.write_bytes(b"")
    opened = Library.open(home, "notes", embedder)
    with pytest.raises(LibraryError, match="libraries remove"):
        if table == "texts":
            opened.text("a.txt")
        else:
            search(opened, "green door")


def test_a_library_is_filled_by_the_embedder_that_made_it(home, starter_embedder, tmp_path):
    """Whichever embedder is the home's default now."""
    for name in ("first", "second"):
        shutil.copytree(starter_embedder, home.embedders_path / name)
        config = home.embedders_path / name / "config_sentence_transformers.json"
        config.write_text(json.dumps({"prompts": {"query": f"{name}: "}}))
    home.register_embedder("second", home.embedders_path / "second", "2")
    made = open_library(home, "notes", create=True)
    assert made.facts.embedder_name == "second"
    home.register_embedder("first", home.embedders_path / "first", "1")
    state = home._registry.read()
    home._registry.change(lambda _: replace(state, default_embedder="first"))
    assert open_library(home, "notes", create=True).embedder.name == "second"
    assert open_library(home, "others", create=True).embedder.name == "first"


@pytest.mark.parametrize("made", [(), ("data", "_versions"), ("_versions/.tmp",)])
def test_a_process_that_ended_while_it_made_a_table_is_no_harm(home, library, embedder, folder, made):
    for name in ("documents", "passages"):
        for inner in ("", *made):
            (library.path / "tables" / f"{name}.lance" / inner).mkdir(parents=True, exist_ok=True)
    assert Library.open(home, "notes").documents() == []
    (folder / "a.txt").write_text("The door is green.")
    ingest(Library.open(home, "notes", embedder), [folder])
    assert search(library, "green door")[0].passage.document == "a.txt"


def test_a_table_without_its_list_of_files_is_not_taken_for_a_new_one(home, library, embedder, folder):
    (folder / "a.txt").write_text("The door is green.")
    ingest(library, [folder])
    for path in (library.path / "tables" / "passages.lance" / "_versions").iterdir():
        path.unlink()
    with pytest.raises(LibraryError, match="cannot be used"):
        search(Library.open(home, "notes", embedder), "green door")
