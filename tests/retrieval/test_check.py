"""Every kind of damage that a check can see, planted."""

import lancedb
import pytest

from homespun.models.home import Home
from homespun.models.home_backup import backup_home
from homespun.models.home_restore import restore_home
from homespun.retrieval.check import check_home, check_library
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.search import search
from homespun.retrieval.sync import ingest


@pytest.fixture
def library(home, folder):
    library = Library.open(home, "notes", HashEmbedder(), create=True)
    (folder / "a.md").write_text("# Fees\n\n" + "The fee is 40 for all. " * 120)
    (folder / "b.txt").write_text("The zebra is here.")
    (folder / "empty.txt").write_text("")
    ingest(library, [folder])
    return library


def problems(library):
    return " ".join(problem.what for problem in check_library(library).problems)


def table(library, name):
    return lancedb.connect(library.path / "tables").open_table(name)


def test_a_whole_library_has_no_problems(library, folder):
    report = check_library(library)
    assert report.problems == () and report.n_documents == 3 and report.n_passages > 2
    assert (report.changed_files, report.missing_files) == ((), ())
    (folder / "a.md").write_text("Other.")
    (folder / "b.txt").unlink()
    report = check_library(library)
    assert report.problems == ()
    assert (report.changed_files, report.missing_files) == (("a.md",), ("b.txt",))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            lambda lib: table(lib, "passages").update(where="number = 1", values={"start": 3}),
            "is not what its",
        ),
        (
            lambda lib: table(lib, "passages").update(where="number = 1", values={"text": "?"}),
            "is not what its",
        ),
        (
            lambda lib: table(lib, "passages").update(where="number = 1", values={"keywords": " "}),
            "no keywords",
        ),
        (lambda lib: table(lib, "passages").delete("number = 1"), "passages and has"),
        (
            lambda lib: table(lib, "passages").add(table(lib, "passages").to_arrow()),
            "double|passages and has",
        ),
        (lambda lib: table(lib, "texts").delete("text LIKE '%zebra%'"), "text of 'b.txt' is missing"),
        (lambda lib: table(lib, "texts").add(table(lib, "texts").to_arrow()), "is there twice"),
        (lambda lib: table(lib, "documents").delete("name = 'b.txt'"), "belongs to no document"),
        (
            lambda lib: table(lib, "documents").update(where="name = 'b.txt'", values={"digest": "0" * 64}),
            "not that of the digest",
        ),
        (
            lambda lib: table(lib, "passages").update(where="number = 1", values={"vector": [0.5] * 64}),
            "no vector of length 1",
        ),
    ],
)
def test_damage_is_found(library, damage, told):
    import re

    damage(library)
    assert re.search(told, problems(library))


def test_many_problems_of_one_kind_are_summed_up(library):
    table(library, "passages").update(where="number >= 0", values={"keywords": ""})
    n = table(library, "passages").count_rows()
    found = check_library(library).problems
    assert len(found) == 6 and f"of {n - 5} more" in found[-1].what if n > 5 else len(found) == n


def test_a_damaged_library_does_not_hide_the_others(home, library):
    other = Library.open(home, "broken", HashEmbedder(), create=True)
    (other.path / "library.json").write_text("[]")
    report = check_home(home)
    assert [one.name for one in report.libraries] == ["broken", "notes"]
    assert len(report.problems) == 1 and "cannot be read" in report.problems[0].what


def test_a_library_works_after_backup_and_restore(home, library, tmp_path, contents_of):
    backup_home(home, tmp_path / "b.tar.gz")
    restore_home(tmp_path / "b.tar.gz", tmp_path / "new")
    restored = Library.open(Home.open(tmp_path / "new"), "notes", HashEmbedder())
    assert contents_of(restored) == contents_of(library)
    assert search(restored, "zebra")[0].passage.document == "b.txt"
    assert check_home(Home.open(tmp_path / "new")).problems == ()
