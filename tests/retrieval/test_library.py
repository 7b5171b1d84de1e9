"""Opening, looking at and taking apart a library."""

import copy
import json

import pytest

from homespun.documents.split import SplitOptions
from homespun.retrieval.errors import LibraryBusyError, LibraryError
from homespun.retrieval.library import Library, library_names
from homespun.retrieval.search import search
from homespun.retrieval.sync import ingest


def test_another_embedder_is_refused_naming_both(home, library, embedder, folder):
    (folder / "a.txt").write_text("The fee is 40.")
    ingest(library, [folder])
    other = copy.copy(embedder)
    other.name, other.identity, other.dimensions = "e5-base", "f" * 64, 768
    with pytest.raises(LibraryError, match=r"minilm \(384 .*e5-base \(768"):
        Library.open(home, "notes", other)
    assert search(Library.open(home, "notes", embedder), "fee")


def test_a_library_can_be_looked_at_without_its_embedder(home, library, folder):
    (folder / "a.txt").write_bytes(b"\xef\xbb\xbffee\r\n40\r\n")
    ingest(library, [folder])
    seen = Library.open(home, "notes")
    assert [document.name for document in seen.documents()] == ["a.txt"]
    assert seen.text("a.txt") == "fee\r\n40\r\n"
    with pytest.raises(LibraryError, match="without an embedder"):
        search(seen, "fee")


def test_unknown_library_names_those_there_are(home, library):
    with pytest.raises(LibraryError, match="There are: notes"):
        Library.open(home, "note")
    assert library_names(home) == ["notes"]


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a" * 65, "a\x00b", "C:x"])
def test_names_cannot_leave_the_folder(home, embedder, name):
    with pytest.raises(LibraryError, match="cannot be the name"):
        Library.open(home, name, embedder, create=True)


def test_split_options_are_kept(home, embedder):
    Library.open(home, "short", embedder, create=True, split=SplitOptions(target_tokens=50))
    assert Library.open(home, "short").facts.split == SplitOptions(target_tokens=50)


@pytest.mark.parametrize("stored", ["", "[]", "{}", '{"version": 1}'])
def test_damaged_facts(home, library, stored):
    (library.path / "library.json").write_text(stored)
    with pytest.raises(LibraryError, match="cannot be read"):
        Library.open(home, "notes")


def test_a_newer_version_is_refused(home, library):
    facts_path = library.path / "library.json"
    facts_path.write_text(json.dumps(json.loads(facts_path.read_text()) | {"version": 99}))
    with pytest.raises(LibraryError, match="newer Homespun"):
        Library.open(home, "notes")


def test_a_removed_document_is_not_found_by_vector_or_keyword(library, folder):
    (folder / "a.txt").write_text("Zebras cross at the school.")
    (folder / "b.txt").write_text("The fee is 40.")
    ingest(library, [folder])
    removed = library.remove("a.txt")
    assert removed.name == "a.txt"
    assert {hit.passage.document for hit in search(library, "zebras crossing a school")} == {"b.txt"}
    assert library.tables.n_passages() == 1
    with pytest.raises(LibraryError, match=r"no document 'a\.txt'"):
        library.remove("a.txt")
    assert ingest(library, [folder]).added == ("a.txt",)


def test_drop(home, library, folder):
    (folder / "a.txt").write_text("The fee is 40.")
    ingest(library, [folder])
    library.drop()
    assert library_names(home) == []
    assert not library.path.exists()


def test_a_second_writer_waits_and_then_says_so(home, library, folder):
    told = []
    other = Library.open(home, "notes")
    with library.writing(1), pytest.raises(LibraryBusyError, match="Another process is writing"):
        other.writing(0.3, lambda what, done, total: told.append(what)).__enter__()
    assert told and "Waiting" in told[0]
    with other.writing(0):
        pass  # free again
