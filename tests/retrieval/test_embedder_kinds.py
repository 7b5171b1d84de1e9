"""Embedders of other kinds behind the one interface, each against what it must agree with."""

import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from homespun.engines.errors import EngineError
from homespun.models.home import Home
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.embedders.gguf import GGUFEmbedder
from homespun.retrieval.embedders.manage import (
    AddEmbedderOptions,
    add_embedder,
    list_embedders,
    remove_embedder,
)
from homespun.retrieval.embedders.opening import open_registered
from homespun.retrieval.embedders.pieces import piece_offsets, windows
from homespun.retrieval.embedders.spacy_vectors import SpacyEmbedder, string_id
from homespun.retrieval.errors import EmbedderError, LibraryError
from homespun.retrieval.open import open_library
from homespun.retrieval.reindex import reindex_cost
from homespun.retrieval.sync import ingest


class Server:
    """An OpenAI-compatible server whose vectors are those of `HashEmbedder`; it keeps what it was sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.turned = False
        outer, fake = self, HashEmbedder("inner", 8)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer({"object": "list", "data": [{"id": "vectors-1", "object": "model"}]})

            def do_POST(self) -> None:
                texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
                outer.sent += texts
                vectors = fake.embed(texts, "passage") * 3.0
                vectors = vectors[:, ::-1] if outer.turned else vectors
                rows = [
                    {"object": "embedding", "index": i, "embedding": v.tolist()}
                    for i, v in enumerate(vectors)
                ]
                usage = {"prompt_tokens": 1, "total_tokens": 1}
                self.answer({"object": "list", "model": "vectors-1", "data": rows[::-1], "usage": usage})

            def answer(self, body: object) -> None:
                data = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1#vectors-1"


@pytest.fixture
def server():
    running = Server()
    yield running
    running.http.shutdown()
    running.http.server_close()


def test_a_server_is_sent_texts_only_when_embedding(server: Server, home: Home, folder: Path) -> None:
    options = AddEmbedderOptions(query_prefix="q: ", passage_prefix="p: ", max_tokens=64)
    facts = add_embedder(home, server.url, "far", options)
    assert facts.sends_to == server.url.partition("#")[0] and facts.dimensions == 8
    assert len(server.sent) == 1  # the probe
    (folder / "a.txt").write_text("The fee is 40 euros.")
    library = open_library(home, "notes", create=True, embedder="far")
    assert len(server.sent) == 1
    told: list[str] = []
    ingest(library, [folder], progress=lambda what, done, total: told.append(what))
    assert "p: The fee is 40 euros." in server.sent
    vector = library.embedder.embed(["The fee is 40 euros."], "query")[0]
    assert server.sent[-1] == "q: The fee is 40 euros."
    np.testing.assert_allclose(vector, HashEmbedder("", 8).embed([server.sent[-1]], "query")[0], atol=1e-6)
    from homespun.retrieval.notices import library_notices

    assert library_notices(library) == [
        f"Passages and questions of this library are sent to {facts.sends_to}, which embeds them."
    ]


def test_a_server_with_another_model_is_noticed(server: Server, home: Home) -> None:
    add_embedder(home, server.url, "far")
    server.turned = True
    with pytest.raises(EmbedderError, match="other vectors than when it was added"):
        open_registered(home, home.embedder("far")).embed(["x"], "query")


def test_a_server_that_is_not_there_is_not_added(home: Home) -> None:
    with pytest.raises(EngineError, match="cannot be reached"):
        add_embedder(home, "http://127.0.0.1:9/v1#none", "far")
    assert list_embedders(home) == [] and list(home.embedders_path.iterdir()) == []


def test_folders_are_added_and_removed(starter_embedder: Path, home: Home, folder: Path) -> None:
    facts = add_embedder(home, str(starter_embedder), "minilm")
    assert (facts.kind, facts.dimensions, facts.max_tokens, facts.is_default) == ("folder", 384, 254, True)
    assert facts.languages == ("en",)
    with pytest.raises(EmbedderError, match="already"):
        add_embedder(home, str(starter_embedder), "minilm")
    with pytest.raises(EmbedderError, match=r"no config\.json"):
        add_embedder(home, str(folder), "empty")
    (folder / "a.txt").write_text("The fee is 40 euros.")
    ingest(open_library(home, "notes", create=True), [folder])
    with pytest.raises(EmbedderError, match="notes were made with minilm"):
        remove_embedder(home, "minilm")
    _plant_fake(home)
    with pytest.raises(LibraryError) as refused:  # R1: both are named, the cost is told, nothing is lost
        open_library(home, "notes", embedder="fake")
    sentence = refused.value.sentence()
    assert "minilm" in sentence and "fake" in sentence and "1 passages" in sentence
    assert f"homespun ingest {folder} --library notes-new --embedder fake" in sentence
    assert len(open_library(home, "notes").documents()) == 1
    remove_embedder(home, "fake")
    assert [one.name for one in list_embedders(home)] == ["minilm"]


def _plant_fake(home: Home) -> None:
    path = home.embedders_path / "fake"
    path.mkdir()
    (path / "embedder.json").write_text(json.dumps({"kind": "fake", "dimensions": 16}))
    home.register_embedder("fake", path, "planted")


def test_cost_counts_all_passages(home: Home, folder: Path) -> None:
    _plant_fake(home)
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"The fee of desk {number} is {number * 7} euros.")
    library = open_library(home, "notes", create=True, embedder="fake")
    ingest(library, [folder])
    cost = reindex_cost(library, HashEmbedder("other", 32, max_tokens=5))
    assert cost.n_passages == 20 and cost.seconds is not None and 0 < cost.seconds < 60


def test_a_language_that_the_embedder_does_not_speak_is_told(
    starter_embedder: Path, home: Home, folder: Path
) -> None:
    from homespun.retrieval.notices import language_warning

    add_embedder(home, str(starter_embedder), "all-minilm-l6-v2")
    library = open_library(home, "notes", create=True)
    (folder / "en.txt").write_text("The library opens at nine on weekdays and at ten on Saturdays.")
    ingest(library, [folder])
    assert language_warning(library) == ""
    (folder / "de.txt").write_text(
        "Die Bücherei öffnet werktags um neun Uhr und samstags um zehn Uhr morgens."
    )
    ingest(library, [folder])
    assert "Documents in de" in language_warning(library) and "speaks en only" in language_warning(library)


def test_a_gguf_model_gives_vectors(starter_gguf: Path) -> None:
    embedder = GGUFEmbedder("smollm2", starter_gguf, threads=2)
    try:
        texts = [
            "The cat sleeps on the sofa.",
            "A cat is asleep on the couch.",
            "Interest rates rose in May.",
        ]
        vectors = embedder.embed(texts, "passage")
        assert vectors.shape == (3, 576)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
        assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
        np.testing.assert_allclose(embedder.embed(texts[:1], "query")[0] @ vectors[0], 1, atol=1e-3)
    finally:
        embedder.close()


def test_spacy_vectors_are_read_by_hand(tmp_path: Path) -> None:
    # spaCy's own: nlp.vocab.strings["coffee"] in its documentation.
    assert string_id("coffee") == 3197928453018144401
    folder = tmp_path / "vocab"
    folder.mkdir()
    rows = np.array([[1, 0], [0, 2]], np.float32)
    with (folder / "vectors").open("wb") as stream:
        np.save(stream, rows)
    pairs = b"".join(
        b"\xcf" + struct.pack(">Q", string_id(word)) + bytes([row])
        for word, row in (("coffee", 0), ("tea", 1))
    )
    (folder / "key2row").write_bytes(b"\x82" + pairs)
    vectors = SpacyEmbedder("words", tmp_path).embed(["coffee", "Tea", "coffee tea", "zzz"], "passage")
    np.testing.assert_allclose(vectors[:2], [[1, 0], [0, 1]])
    np.testing.assert_allclose(vectors[2], np.array([0.5, 1]) / np.hypot(0.5, 1), rtol=1e-6)
    np.testing.assert_array_equal(vectors[3], [0, 0])
    (folder / "key2row").write_bytes(b"\x82" + pairs[:-3])
    with pytest.raises(EmbedderError, match="ends too early"):
        SpacyEmbedder("words", tmp_path)


def test_fake_vectors_are_of_words() -> None:
    first, same, other = HashEmbedder().embed(["red fox", "Fox, red!", "blue whale"], "passage")
    np.testing.assert_array_equal(first, same)
    assert first @ other < 0.6


def test_pieces_and_windows() -> None:
    assert piece_offsets("abcd e!") == [(0, 3), (3, 4), (5, 6), (6, 7)]
    assert piece_offsets("東京") == [(0, 1), (1, 2)]
    text = "abc def ghi jkl mno"
    assert "".join(windows(text, 2)) == text and all(len(piece_offsets(w)) <= 2 for w in windows(text, 2))


def test_a_passage_above_the_limit_is_refused_and_a_query_is_not_cut() -> None:
    embedder = HashEmbedder(max_tokens=4)
    with pytest.raises(EmbedderError, match="about 5 tokens"):
        embedder.embed(["a b c d e"], "passage")
    first, second = embedder.embed(["a b"], "query")[0], embedder.embed(["c d e f"], "query")[0]
    both = embedder.embed(["a b c d e f"], "query")[0]
    assert both @ first > 0.2 and both @ second > 0.2
