"""A library that version 1 wrote opens, is brought to the present version once, and works."""

import json

import lancedb
import pyarrow as pa
import pytest

from homespun.retrieval.check import check_library
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.facts import LIBRARY_VERSION
from homespun.retrieval.library import Library
from homespun.retrieval.search import search
from homespun.retrieval.sync import content_id_of, ingest
from homespun.retrieval.tables import LanceStore

TEXT = "The fee is 40."


def string(name):
    return pa.field(name, pa.string(), nullable=False)


def number(name):
    return pa.field(name, pa.int64(), nullable=False)


def write_version_1(home, source):
    """The tables as version 1 had them, literally."""
    embedder = HashEmbedder()
    path = home.libraries_path / "old"
    path.mkdir()
    facts = {
        "name": "old",
        "embedder_name": embedder.name,
        "embedder_identity": embedder.identity,
        "dimensions": 64,
        "split": {"target_tokens": 180, "overlap_tokens": 0},
        "version": 1,
    }
    (path / "library.json").write_text(json.dumps(facts))
    content_id = content_id_of("d" * 64, str(source), "made1")
    names = ("source", "root", "name", "digest", "content_id", "made", "status", "reason", "title")
    documents = pa.schema(
        [*map(string, names), *map(number, ("size_bytes", "n_chars", "n_passages", "n_pages"))]
    )
    values = (
        str(source),
        str(source.parent),
        "a.txt",
        "d" * 64,
        content_id,
        "made1",
        "read",
        "",
        "a",
        14,
        14,
        1,
        0,
    )
    texts = pa.schema([string("content_id"), pa.field("text", pa.large_string(), nullable=False)])
    passages = pa.schema(
        [
            string("content_id"),
            pa.field("number", pa.int32(), nullable=False),
            number("start"),
            number("end"),
            pa.field("page", pa.int32()),
            pa.field("headings", pa.list_(pa.string()), nullable=False),
            pa.field("text", pa.large_string(), nullable=False),
            pa.field("keywords", pa.large_string(), nullable=False),
            pa.field("vector", pa.list_(pa.float32(), 64), nullable=False),
        ]
    )
    passage = {"content_id": content_id, "number": 0, "start": 0, "end": 14, "page": None, "headings": []}
    passage |= {"text": TEXT, "keywords": TEXT, "vector": embedder.embed([TEXT], "passage")[0].tolist()}
    database = lancedb.connect(path / "tables")
    row = dict(zip(documents.names, values, strict=True))
    database.create_table("documents", pa.Table.from_pylist([row], documents))
    database.create_table("texts", pa.Table.from_pylist([{"content_id": content_id, "text": TEXT}], texts))
    database.create_table("passages", pa.Table.from_pylist([passage], passages))
    return path


def version_of(path):
    return json.loads((path / "library.json").read_text())["version"]


def test_an_old_library_is_migrated_once_and_works(home, folder, monkeypatch):
    (folder / "a.txt").write_text(TEXT)
    path = write_version_1(home, folder / "a.txt")
    library = Library.open(home, "old", HashEmbedder())
    assert version_of(path) == LIBRARY_VERSION == library.facts.version
    assert library.text("a.txt") == TEXT and library.places("a.txt") == ()
    assert library.locate("a.txt", 4, 7).first_line == 1
    assert [hit.passage.text for hit in search(library, "fee")] == [TEXT]
    assert check_library(library).problems == ()
    # The next ingest reads its files anew, in the present way.
    assert ingest(library, [folder]).updated == ("a.txt",)
    assert [hit.passage.text for hit in search(library, "fee")] == [TEXT]
    monkeypatch.setattr(LanceStore, "upgrade", lambda self: pytest.fail("migrated twice"))
    Library.open(home, "old", HashEmbedder())


def test_a_migration_that_was_cut_is_done_again(home, folder, monkeypatch):
    path = write_version_1(home, folder / "a.txt")
    upgrade = LanceStore.upgrade

    def cut(self):
        upgrade(self)
        raise LibraryError("The disk is full.")

    monkeypatch.setattr(LanceStore, "upgrade", cut)
    with pytest.raises(LibraryError, match="disk is full"):
        Library.open(home, "old")
    assert version_of(path) == 1
    monkeypatch.undo()
    assert Library.open(home, "old").text("a.txt") == TEXT and version_of(path) == LIBRARY_VERSION


def test_a_newer_library_is_refused(home, folder):
    path = write_version_1(home, folder / "a.txt")
    facts = json.loads((path / "library.json").read_text())
    (path / "library.json").write_text(json.dumps(facts | {"version": LIBRARY_VERSION + 1}))
    with pytest.raises(LibraryError, match="newer Homespun"):
        Library.open(home, "old")
