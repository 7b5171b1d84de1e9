"""Ingesting again and again leaves what a fresh ingest would: field cases D7 to D10."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from homespun.documents.split import Passage, SplitOptions, TokenLimit
from homespun.models.home import Home
from homespun.retrieval.groups import embedded_text
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import IngestOptions, ingest


def passage_texts(library: Library) -> list[str]:
    return [text for batch in library.tables.all_passages(["text"]) for text in batch["text"].to_pylist()]


def texts_of(library: Library) -> str:
    return " ".join(passage_texts(library))


@pytest.fixture
def fresh(embedder, tmp_path, contents_of):
    """What a new library of the same paths holds."""

    def make(*paths, options=None):
        home = Home.open(Path(tempfile.mkdtemp(dir=tmp_path)))
        library = Library.open(home, "fresh", embedder, create=True)
        ingest(library, paths, options)
        return contents_of(library)

    return make


def test_the_same_again_changes_nothing(library, folder, contents_of):
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"Rule {number} is about zebras.")
    first = ingest(library, [folder])
    assert first.added == ("0.txt", "1.txt", "2.txt") and first.n_passages == 3 and first.is_complete
    before = contents_of(library)
    again = ingest(library, [folder])
    assert (again.added, again.updated, again.removed, again.renamed) == ((), (), (), ())
    assert again.unchanged == first.added and again.n_passages == 3
    assert contents_of(library) == before


def test_an_edit_leaves_nothing_of_the_old_text(library, folder, fresh, contents_of):
    file = folder / "fees.txt"
    file.write_text("The fee is 40.")
    ingest(library, [folder])
    stat = file.stat()
    file.write_text("The fee is 55.")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # same size, same time of change
    report = ingest(library, [folder])
    assert report.updated == ("fees.txt",) and report.n_passages == 1
    assert "40" not in texts_of(library)
    for weight in (0.0, 1.0):
        assert "55" in search(library, "fee", SearchOptions(keyword_weight=weight))[0].passage.text
    assert search(library, "40", SearchOptions(keyword_weight=1)) == []
    assert contents_of(library) == fresh(folder)


def test_other_passage_lengths_split_everything_anew(library, folder, tmp_path, fresh, contents_of):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for path in (folder / "a.txt", elsewhere / "b.txt"):
        path.write_text(f"Rule {path.name} is this one. It is followed. It has an end. " * 20)
    ingest(library, [folder, elsewhere])
    options = IngestOptions(split=SplitOptions(target_tokens=30))
    report = ingest(library, [folder], options)
    assert report.updated == ("a.txt", "b.txt")
    assert contents_of(library) == fresh(folder, elsewhere, options=options)
    assert ingest(library, [folder]).unchanged == ("a.txt",)  # the library remembers


def test_a_deleted_file_is_found_no_more(library, folder, fresh, contents_of):
    for name in ("zebra", "quokka"):
        (folder / f"{name}.txt").write_text(f"The {name} is here.")
    ingest(library, [folder])
    (folder / "zebra.txt").unlink()
    report = ingest(library, [folder])
    assert report.removed == ("zebra.txt",) and report.n_passages == 1
    for weight in (0.0, 0.5, 1.0):
        hits = search(library, "zebra", SearchOptions(keyword_weight=weight))
        assert all(hit.passage.document == "quokka.txt" for hit in hits)
    assert contents_of(library) == fresh(folder)


def test_a_renamed_file_and_a_copy_are_recognised(library, folder, fresh, contents_of, monkeypatch):
    (folder / "a.txt").write_text("The zebra is here.")
    (folder / "b.txt").write_text("The quokka is here.")
    ingest(library, [folder])
    (folder / "sub").mkdir()
    (folder / "a.txt").rename(folder / "sub" / "z.txt")
    shutil.copy(folder / "b.txt", folder / "c.txt")

    def no_embedding(texts, *_):
        assert not texts, "a known text was embedded again"
        return np.zeros((0, 384), np.float32)

    monkeypatch.setattr(library.embedder.encoder, "encode", no_embedding)
    report = ingest(library, [folder])
    monkeypatch.undo()
    assert report.renamed == (("a.txt", "sub/z.txt"),)
    assert report.added == ("c.txt",) and report.removed == () and report.n_passages == 2
    (hit,) = search(library, "quokka", SearchOptions(keyword_weight=1))
    assert (hit.passage.document, hit.also_in) == ("b.txt", ("c.txt",))
    assert contents_of(library) == fresh(folder)
    (folder / "b.txt").unlink()
    assert ingest(library, [folder]).removed == ("b.txt",)
    (hit,) = search(library, "quokka", SearchOptions(keyword_weight=1))
    assert (hit.passage.document, hit.also_in) == ("c.txt", ())


def test_another_ending_is_read_anew(library, folder, fresh, contents_of):
    (folder / "a.txt").write_text("# Fees\n\nThe fee is 40.")
    ingest(library, [folder])
    (folder / "a.txt").rename(folder / "a.md")
    report = ingest(library, [folder])
    assert (report.added, report.removed) == (("a.md",), ("a.txt",))
    assert search(library, "fee")[0].passage.headings == ("Fees",)
    assert contents_of(library) == fresh(folder)


def test_one_bad_file_never_stops_the_rest(library, folder, monkeypatch):
    from homespun.retrieval import sync

    for number in range(5):
        (folder / f"good{number}.txt").write_text(f"Rule {number}.")
    (folder / "empty.txt").write_text("")
    (folder / "blank.md").write_text(" \n\n")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (folder / "odd.txt").write_text("Its reader fails.")
    (folder / "picture.xyz").write_bytes(b"\x00")
    split = sync.split_document

    def failing(document, *rest):
        if document.name == "odd.txt":
            raise RecursionError("too deep")
        return split(document, *rest)

    monkeypatch.setattr(sync, "split_document", failing)
    report = ingest(library, [folder])
    assert len(report.added) == 5 and report.n_passages == 5 and not report.is_complete
    reasons = {item.name: item.reason for item in report.not_read}
    assert set(reasons) == {"empty.txt", "blank.md", "broken.pdf", "odd.txt"}
    assert "empty" in reasons["empty.txt"].lower() and "RecursionError" in reasons["odd.txt"]
    assert [skip.path.name for skip in report.skipped] == ["picture.xyz"]
    monkeypatch.undo()
    (folder / "empty.txt").write_text("Now it has text.")
    again = ingest(library, [folder])
    assert again.updated == ("empty.txt", "odd.txt") and len(again.unchanged) == 5


def test_a_file_that_became_unreadable_loses_its_passages(library, folder):
    (folder / "a.txt").write_text("The fee is 40.")
    ingest(library, [folder])
    (folder / "a.txt").write_text("")
    report = ingest(library, [folder])
    assert [item.name for item in report.not_read] == ["a.txt"] and report.n_passages == 0
    assert search(library, "fee") == []


def test_same_names_in_two_folders(library, tmp_path, folder):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "readme.md").write_text(f"This is {name}.")
    ingest(library, [tmp_path / "one", tmp_path / "two"])
    assert [document.name for document in library.documents()] == ["readme.md", "two/readme.md"]
    assert library.text("two/readme.md") == "This is two."
    report = ingest(library, [tmp_path / "two"])
    assert report.unchanged == ("two/readme.md",) and report.removed == ()


def test_a_single_file_and_its_folder_are_one_document(library, folder):
    (folder / "a.txt").write_text("The fee is 40.")
    assert ingest(library, [folder / "a.txt"]).added == ("a.txt",)
    assert ingest(library, [folder, folder / "a.txt"]).unchanged == ("a.txt",)
    (folder / "a.txt").unlink()
    report = ingest(library, [folder / "a.txt"])
    assert report.removed == ("a.txt",) and library.documents() == []


def test_a_missing_folder_removes_nothing(library, folder, tmp_path):
    (folder / "a.txt").write_text("The fee is 40.")
    ingest(library, [folder])
    folder.rename(tmp_path / "unplugged")
    report = ingest(library, [folder])
    assert report.removed == () and "no such file" in report.skipped[0].reason
    assert [document.name for document in library.documents()] == ["a.txt"]


def test_further_limits_hold_for_every_passage(library, folder):
    (folder / "a.txt").write_text("abcdefgh " * 200)

    def letters(text):
        return [(place, place + 1) for place in range(len(text))]

    ingest(library, [folder], limits=[TokenLimit(letters, 100)])
    assert library.tables.n_passages() > 15
    assert all(len(text) <= 100 for text in passage_texts(library))


def test_headings_are_embedded_as_far_as_they_fit(embedder):
    passage = Passage("a.md", 0, 10, "Pay nothing.", None, ("Fees", "Children"))
    assert embedded_text(passage, embedder.token_limit) == "Fees > Children\nPay nothing."
    # "pay", "nothing", "." and "children": the higher heading and its sign find no room
    assert embedded_text(passage, TokenLimit(embedder.token_offsets, 4)) == "Children\nPay nothing."
    assert embedded_text(passage, TokenLimit(embedder.token_offsets, 3)) == "Pay nothing."


@pytest.mark.skipif(os.name == "nt", reason="names there are Unicode")
def test_a_file_name_that_is_no_unicode(library, folder):
    (Path(os.fsdecode(os.fsencode(folder) + b"/na\xefve.txt"))).write_text("The fee is 40.")
    report = ingest(library, [folder])
    assert len(report.added) == 1
    assert ingest(library, [folder]).unchanged == report.added


CONTENTS = (
    "The zebra is here.",
    "# Fees\n\nThe fee is 40.\n\n## Children\n\nFree.",
    "Rule one. " * 120,
    "",
    "\x00\x01",
)
NAMES = ("a.txt", "b.md", "sub/a.txt", "sub/c.txt", "d.csv")


class SyncMachine(RuleBasedStateMachine):
    """Any operations on files and the library; after each ingest it must equal a fresh one."""

    embedder = None
    describe = None
    files = Bundle("files")

    @initialize()
    def start(self):
        self.top = Path(tempfile.mkdtemp())
        self.folder = self.top / "docs"
        self.folder.mkdir()
        self.library = Library.open(Home.open(self.top / "home"), "notes", self.embedder, create=True)

    def teardown(self):
        shutil.rmtree(self.top, ignore_errors=True)

    @rule(name=st.sampled_from(NAMES), content=st.sampled_from(CONTENTS))
    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name):
        (self.folder / name).unlink(missing_ok=True)

    @rule(name=st.sampled_from(NAMES), other=st.sampled_from(NAMES))
    def move(self, name, other):
        if (self.folder / name).exists():
            (self.folder / other).parent.mkdir(exist_ok=True)
            (self.folder / name).replace(self.folder / other)

    @rule(name=st.sampled_from(NAMES))
    def remove_from_library(self, name):
        if any(document.name == name for document in self.library.documents()):
            self.library.remove(name)

    @rule(target_tokens=st.sampled_from([None, None, 20, 180]))
    def sync(self, target_tokens):
        split = SplitOptions(target_tokens=target_tokens) if target_tokens else None
        report = ingest(self.library, [self.folder], IngestOptions(split=split))
        fresh = Library.open(
            Home.open(Path(tempfile.mkdtemp(dir=self.top))),
            "fresh",
            self.embedder,
            create=True,
            split=self.library.facts.split,
        )
        expected = ingest(fresh, [self.folder])
        assert type(self).describe(self.library) == type(self).describe(fresh)
        assert report.n_passages == expected.n_passages
        assert report.not_read == expected.not_read
        for query in ("zebra", "what is the fee"):
            ours, theirs = search(self.library, query), search(fresh, query)
            assert [hit.passage for hit in ours] == [hit.passage for hit in theirs]


def test_any_operations_then_ingest_equal_a_fresh_ingest(embedder, contents_of):
    machine = type("Machine", (SyncMachine,), {"embedder": embedder, "describe": staticmethod(contents_of)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
