"""One suite for every place where rows are kept: a folder, and a real Postgres server of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.library import Library
from homespun.retrieval.open_store import check_store, open_store
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.store import Group
from homespun.retrieval.sync import ingest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if os.name == "posix" else []


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server that ends with these tests; it is reached by a socket in a folder alone."""
    pytest.importorskip("psycopg", reason='needs pip install "homespun[server]"')
    initdb = shutil.which("initdb") or (str(PROGRAMS[-1] / "initdb") if PROGRAMS else "")
    if not Path(initdb).is_file():
        pytest.skip("needs a Postgres server's programs (Debian: postgresql)")
    folder = tmp_path_factory.mktemp("pg")
    socket = Path("/tmp") / f"hs-pg-{os.getpid()}"  # a socket's path must be short
    socket.mkdir(mode=0o777)
    socket.chmod(0o777)
    before = []
    if os.geteuid() == 0:  # Postgres refuses to run as root
        if shutil.which("runuser") is None:
            pytest.skip("needs runuser, or another user than root")
        before = ["runuser", "-u", "postgres", "--"]
        data = socket / "data"
    else:
        data = folder / "data"
    control = str(Path(initdb).with_name("pg_ctl"))

    def call(*arguments):
        return subprocess.run([*before, *arguments], capture_output=True, text=True, cwd="/")

    made = call(
        initdb, "-D", str(data), "-U", "homespun", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"
    )
    if made.returncode:
        pytest.skip(f"initdb does not run here: {made.stderr[-300:]}")
    options = f"-k {socket} -c listen_addresses='' -c fsync=off"
    call(control, "-D", str(data), "-w", "-o", options, "-l", str(socket / "log"), "start")
    try:
        yield f"postgresql://homespun@/postgres?host={socket}"
    finally:
        call(control, "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(socket, ignore_errors=True)


@pytest.fixture(params=["folder", "postgres"])
def address(request):
    return "" if request.param == "folder" else request.getfixturevalue("server")


@pytest.fixture
def store(address, tmp_path):
    opened = open_store(address, tmp_path / "tables", "suite", 3)
    yield opened
    opened.drop()


def passage(content, number, text, vector):
    place = {"start": number * 10, "end": number * 10 + len(text), "page": None, "headings": ["A", "B"]}
    return {
        "content_id": content,
        "number": number,
        **place,
        "text": text,
        "keywords": text,
        "vector": np.array(vector, np.float32),
    }


def document(content, source):
    sizes = {"size_bytes": 1, "n_chars": 1, "n_passages": 1, "n_pages": 0}
    row = {"source": source, "root": "/", "name": source, "digest": content, "content_id": content}
    return {**row, "made": "m", "status": "read", "reason": "", "title": "T", **sizes}


def fill(store):
    passages = [
        passage("c1", 0, "apple pear", [1, 0, 0]),
        passage("c1", 1, "apple apple apple", [0, 1, 0]),
        passage("c2", 0, "zebra", [0, 0.6, 0.8]),
    ]
    texts = [
        {"content_id": c, "text": f"text of {c}", "places": '[[0, 4, "row 1"]]', "pages": "[[1, 0, 9]]"}
        for c in ("c1", "c2")
    ]
    store.write(Group([document("c1", "/a"), document("c2", "/b")], texts, passages))
    store.tidy()


def test_what_is_written_is_read(store):
    fill(store)
    assert {row["source"] for row in store.document_rows()} == {"/a", "/b"}
    assert store.n_passages() == 3 and store.text("c1") == "text of c1" and store.text("c9") is None
    assert store.places("c1")[0].label == "row 1" and store.pages("c2")[0].end == 9
    assert store.passages("c1")["number"].to_pylist() == [0, 1]
    rows = [row for batch in store.all_passages(["content_id", "vector"]) for row in batch.to_pylist()]
    assert len(rows) == 3 and sorted(rows[0]) == ["content_id", "vector"]
    assert {row["content_id"] for batch in store.all_texts() for row in batch.to_pylist()} == {"c1", "c2"}


def test_searches(store):
    fill(store)
    hits = store.keyword_hits("apple", 5)
    assert list(hits) == [("c1", 1), ("c1", 0)] and all(score > 0 for score in hits.values())
    assert store.keyword_hits("", 5) == {} and store.keyword_hits("unheard", 5) == {}
    nearest = store.vector_hits(np.array([0, 1, 0], np.float32), 2)
    assert list(nearest) == [("c1", 1), ("c2", 0)]
    assert nearest["c2", 0] == pytest.approx(0.6)
    products = store.products([("c2", 0), ("c9", 0)], np.array([0, 0, 1], np.float32))
    assert products == {("c2", 0): pytest.approx(0.8)}
    rows = store.rows([("c2", 0), ("c1", 0), ("c9", 1)])
    assert list(rows) == [("c2", 0), ("c1", 0)] and rows["c1", 0]["headings"] == ["A", "B"]


def test_each_change_is_a_new_version_and_seen_at_once(store, address, tmp_path):
    other = open_store(address, tmp_path / "tables", "suite", 3)
    before = other.version()
    assert other.vector_hits(np.array([1, 0, 0], np.float32), 3) == {}
    fill(store)
    assert other.version() != before
    assert list(other.vector_hits(np.array([1, 0, 0], np.float32), 1)) == [("c1", 0)]
    store.write(Group([document("c2", "/a")], [], []))  # the same source with another content
    assert {row["content_id"] for row in other.document_rows()} == {"c2"}
    assert store.remove_orphans() == 1
    assert other.keyword_hits("apple", 5) == {} and other.text("c1") is None
    store.remove_documents(["/a", "/b"])
    store.purge()
    assert other.document_rows() == [] and other.n_passages() == 0


def test_a_library_works_in_each(address, home, folder):
    (folder / "fees.md").write_text("# Fees\n\nA visit costs 40 francs.")
    (folder / "hours.txt").write_text("Open from eight to five.")
    library = Library.open(home, "kept", HashEmbedder(), create=True, store=address)
    try:
        ingest(library, [folder])
        assert search(library, "visit francs")[0].passage.document == "fees.md"
        (folder / "fees.md").write_text("# Fees\n\nA visit costs 55 francs.")
        assert ingest(library, [folder]).updated == ("fees.md",)
        again = Library.open(home, "kept", HashEmbedder())
        texts = [hit.passage.text for hit in search(again, "visit 40", SearchOptions(n_hits=9))]
        assert any("55" in text for text in texts) and not any("40" in text for text in texts)
    finally:
        library.drop()
    with pytest.raises(LibraryError, match="no library"):
        Library.open(home, "kept")


def test_another_home_needs_the_same_embedder(server, home):
    library = Library.open(home, "shared", HashEmbedder(), create=True, store=server)
    try:
        store = open_store(server, home.root, "shared", library.facts.dimensions)
        assert store.claim("somebody else") == HashEmbedder().identity
    finally:
        library.drop()


def test_addresses_that_are_refused(home):
    for url, told in (
        ("mysql://x/y", "no place for a library"),
        ("postgresql://me:secret@host/db", "password"),
    ):
        with pytest.raises(LibraryError, match=told) as error:
            check_store(url)
        assert "secret" not in error.value.sentence()
    pytest.importorskip("psycopg")
    with pytest.raises(LibraryError, match="server says"):
        open_store("postgresql://x@127.0.0.1:1/y", home.root, "n", 3)
