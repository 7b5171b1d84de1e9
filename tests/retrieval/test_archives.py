"""Archives are folders of a library: their members are added, renewed, renamed and removed like files."""

import zipfile

import pytest

from homespun.models.home import Home
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.plan import archive_of
from homespun.retrieval.search import search
from homespun.retrieval.sync import ingest


@pytest.fixture
def library(home):
    return Library.open(home, "notes", HashEmbedder(), create=True)


def write_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def test_members_come_change_move_and_go(library, folder, tmp_path, contents_of):
    archive = folder / "a.zip"
    fee = "The fee is 40."
    write_zip(archive, {"fees.md": fee, "sub/zebra.txt": "The zebra is here.", "x.xyz": "?", "empty.txt": ""})
    report = ingest(library, [folder])
    assert report.added == ("a.zip/fees.md", "a.zip/sub/zebra.txt")
    assert [item.name for item in report.not_read] == ["a.zip/empty.txt"]
    assert [skip.path.name for skip in report.skipped] == ["a.zip!x.xyz"]
    assert library.document("a.zip/fees.md").source == f"{archive}!fees.md"
    assert library.text("a.zip/fees.md") == "The fee is 40."
    assert set(ingest(library, [folder]).unchanged) == set(report.added)
    # D8: nothing is left of what a member said before; D9: nor of one that is gone.
    write_zip(archive, {"fees.md": "The fee is 55."})
    report = ingest(library, [folder])
    assert report.updated == ("a.zip/fees.md",)
    assert set(report.removed) == {"a.zip/sub/zebra.txt", "a.zip/empty.txt"}
    assert [hit.passage.text for hit in search(library, "fee zebra")] == ["The fee is 55."]
    # D7: unpacked, it is the same document under another name.
    archive.unlink()
    (folder / "fees.md").write_text("The fee is 55.")
    report = ingest(library, [folder])
    assert report.renamed == (("a.zip/fees.md", "fees.md"),) and report.n_passages == 1
    fresh = Library.open(Home.open(tmp_path / "fresh"), "notes", HashEmbedder(), create=True)
    ingest(fresh, [folder])
    assert contents_of(library) == contents_of(fresh)


def test_an_archive_that_cannot_be_opened_is_listed_and_later_read(library, folder):
    archive = folder / "a.zip"
    archive.write_bytes(b"PK nothing")
    (folder / "good.txt").write_text("The fee is 40.")
    report = ingest(library, [folder])
    assert report.added == ("good.txt",) and [item.name for item in report.not_read] == ["a.zip"]
    write_zip(archive, {"b.txt": "The fee is 55."})
    report = ingest(library, [folder])
    assert report.added == ("a.zip/b.txt",)
    assert {document.name for document in library.documents()} == {"good.txt", "a.zip/b.txt"}
    archive.write_bytes(b"PK nothing")  # what it held is no longer there to be cited
    ingest(library, [folder])
    assert [hit.passage.document for hit in search(library, "fee")] == ["good.txt"]


def test_a_given_archive_that_is_gone_takes_its_documents_along(library, folder):
    archive = folder / "a.zip"
    write_zip(archive, {"b.txt": "The fee is 55.", "inner.txt": "The fee is 55."})
    assert len(ingest(library, [archive]).added) == 2
    (hit,) = search(library, "fee")
    assert hit.also_in  # the two are copies
    archive.unlink()
    assert len(ingest(library, [archive]).removed) == 2 and library.documents() == []


def test_an_archive_without_documents_is_told(library, folder):
    write_zip(folder / "a.zip", {"x.xyz": "?"})
    (item,) = ingest(library, [folder]).not_read
    assert item.name == "a.zip" and "no document" in item.reason


def test_the_archive_of_a_source():
    assert archive_of("/a/b.zip!c/d.txt") == "/a/b.zip"
    assert archive_of("/a/b!/c.zip!in.zip/d!.txt") == "/a/b!/c.zip"
    assert archive_of("/a/b!c.txt") == ""
