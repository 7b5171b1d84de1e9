"""An embedder tuned to a library: the questions' places, the training, and the gain that may be claimed."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from homespun.models.home import Home
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.embedders.manage import add_embedder
from homespun.retrieval.embedders.opening import open_registered
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import ingest
from homespun.tuning.encoder_gain import Gain, measure_gain
from homespun.tuning.encoder_options import EncoderTuneOptions
from homespun.tuning.encoder_pairs import (
    EncoderPair,
    PlacedQuestion,
    Span,
    encoder_pairs,
    hold_out,
    holds,
    read_placed_questions,
)
from homespun.tuning.encoder_train import _batches
from homespun.tuning.encoder_tuning import tune_encoder, verdict
from homespun.tuning.errors import DataError, TuneError
from homespun.tuning.paired import PairedInterval

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"
ROOMS = {
    "lab.md": "# Lab\n\nThe lab opens at seven.\n\nBlood is drawn in **room 12** until noon.\n",
    "ward.md": "# Ward\n\nVisitors come after three.\n\nThe ward has | twenty | beds.\n",
}


@pytest.fixture
def library(home: Home, tmp_path: Path) -> Library:
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in ROOMS.items():
        (folder / name).write_text(text)
    opened = Library.open(home, "rooms", HashEmbedder(), create=True)
    ingest(opened, [folder])
    return opened


def write_rows(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_places_are_found_by_text_and_by_offsets(library, tmp_path):
    start = library.text("lab.md").index("opens")
    path = write_rows(
        tmp_path / "q.jsonl",
        {"question": "beds?", "source": [{"document": "x/ward.md", "text": "has twenty  BEDS"}]},
        {"question": "room?", "source": {"document": "lab.md", "text": "room 12"}},
        {"question": "opens?", "document": "documents/lab.md", "start": start, "end": start + 5},
        {"question": "gone?", "source": [{"document": "lab.md", "text": "room 13"}]},
        {"question": "other?", "source": [{"document": "attic.md", "text": "room 12"}]},
        {"question": "far?", "document": "lab.md", "start": 5, "end": 10_000},
        {"question": "never?", "unanswerable": True},
    )
    found = read_placed_questions(path, library)
    texts = [library.text(s.document)[s.start : s.end] for one in found.questions for s in one.spans]
    assert [" ".join(text.replace("|", " ").split()) for text in texts] == [
        "has twenty beds",
        "room 12",
        "opens",
    ]
    assert [one.line for one in found.questions] == [1, 2, 3]
    assert (found.n_unanswerable, found.n_not_found) == (1, 3)


@pytest.mark.parametrize("line", ["{", "[1]", '{"text": "a"}', '{"question": " "}'])
def test_a_broken_line_is_named(library, tmp_path, line):
    (tmp_path / "q.jsonl").write_text('\n{"question": "a", "unanswerable": true}\n' + line + "\n")
    with pytest.raises(DataError, match="no JSON object with a question") as caught:
        read_placed_questions(tmp_path / "q.jsonl", library)
    assert caught.value.where.endswith("q.jsonl:3")


def test_questions_of_another_library_are_refused(library, tmp_path):
    path = write_rows(tmp_path / "q.jsonl", {"question": "a?", "source": [{"document": "b", "text": "c"}]})
    with pytest.raises(DataError, match="none of 1 questions"):
        read_placed_questions(path, library)


def test_the_questions_of_a_document_stay_together():
    questions = [PlacedQuestion(f"q{n}", (Span(f"d{n % 10}", 0, 5),)) for n in range(60)]
    learnt, held = hold_out(questions, 0.25, seed=1)
    assert len(learnt) + len(held) == 60
    assert not {one.spans[0].document for one in learnt} & {one.spans[0].document for one in held}
    assert 15 <= len(held) <= 18
    assert hold_out(questions, 0.25, seed=1) == (learnt, held)
    with pytest.raises(DataError, match="too few"):
        hold_out(questions[:9], 0.25, seed=1)


def test_holding_half_is_holding(library):
    passage = library.passages("lab.md")[0]
    length = passage.end - passage.start
    inside = PlacedQuestion("q", (Span("lab.md", passage.start, passage.start + 10),))
    assert holds(inside, passage)
    assert not holds(PlacedQuestion("q", (Span("ward.md", passage.start, passage.start + 10),)), passage)
    assert not holds(PlacedQuestion("q", (Span("lab.md", passage.end - 4, passage.end + 10),)), passage)
    assert holds(PlacedQuestion("q", (Span("lab.md", passage.start, passage.start + 10 * length),)), passage)


def test_a_pair_has_the_answer_and_others_that_keywords_find(library):
    start = library.text("lab.md").index("room 12")
    question = PlacedQuestion("Which room has beds and blood?", (Span("lab.md", start, start + 7),))
    pairs = encoder_pairs(library, [question], seed=0)
    assert len(pairs) == 1
    assert "room 12" in pairs[0].passage
    assert pairs[0].hard
    assert all("room 12" not in text for text in pairs[0].hard)


def test_no_passage_is_right_and_wrong_in_one_batch():
    pairs = [EncoderPair(f"q{n}", f"p{n % 5}", ("h",)) for n in range(40)]
    batches = _batches(pairs, 4, random.Random(0))
    for batch in batches:
        assert 1 < len({pair.passage for pair in batch}) == len(batch) <= 4
    asked = [pair.question for batch in batches for pair in batch]
    assert (
        len(set(asked)) == len(asked) > 30
    )  # one alone has nothing to be told from: it waits for another epoch
    assert len(_batches(pairs, 4, random.Random(1))[0]) == 4


def test_the_same_embedder_gains_nothing_and_ranks_as_search_does(library):
    questions = []
    for name in ROOMS:
        for passage in library.passages(name):
            words = passage.text.split()[-2:]
            questions.append(PlacedQuestion(" ".join(words), (Span(name, passage.start, passage.end),)))
    gains = measure_gain(library, library.embedder, questions)
    assert [(gain.way, gain.cut) for gain in gains] == [
        (way, cut) for way in ("search", "vectors") for cut in (1, 5, 10)
    ]
    assert all(
        gain.before == gain.after and gain.difference.low == gain.difference.high == 0 for gain in gains
    )
    for gain, weight in ((gains[0], SearchOptions().keyword_weight), (gains[3], 0.0)):
        options = SearchOptions(n_hits=1, keyword_weight=weight, exact=False, collapse=False)
        first = [holds(one, search(library, one.question, options)[0].passage) for one in questions]
        assert gain.before == pytest.approx(np.mean(first))


@pytest.mark.parametrize(
    ("low", "high", "told"), [(0.01, 0.1, "finds more"), (-0.1, -0.01, "finds less"), (-0.1, 0.1, "No gain")]
)
def test_a_gain_is_claimed_only_where_the_interval_shows_it(low, high, told):
    open_ = PairedInterval(0.0, -0.1, 0.1)
    shown = PairedInterval((low + high) / 2, low, high)
    gains = (
        Gain("search", 1, 0.5, 0.5, shown),
        Gain("search", 5, 0.5, 0.5, open_),
        Gain("vectors", 1, 0, 1, shown),
    )
    assert told in verdict(gains)


def test_vectors_alone_claim_nothing():
    assert "No gain" in verdict((Gain("vectors", 1, 0.0, 1.0, PairedInterval(1.0, 0.9, 1.0)),))


def test_an_embedder_that_cannot_be_tuned_is_refused(home, library, tmp_path):
    folder = home.embedders_path / "fake"
    folder.mkdir(parents=True)
    (folder / "embedder.json").write_text('{"kind": "fake", "dimensions": 64}')
    home.register_embedder("fake", folder, "d" * 64)
    with pytest.raises(TuneError, match="no sentence-transformers folder"):
        tune_encoder(home, library, tmp_path / "q.jsonl", "mine")


def tiny_encoder(folder: Path, starter: Path) -> Path:
    """A random BERT of one layer with the starter embedder's tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    shutil.copytree(starter, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    stated = json.loads((starter / "config.json").read_text("utf-8"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=stated["vocab_size"], **sizes)).save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps({**json.loads(pooling.read_text()), "word_embedding_dimension": 32}))
    return folder


def test_a_tiny_embedder_learns_and_serves(home, starter_embedder, tmp_path):
    add_embedder(home, str(tiny_encoder(tmp_path / "tiny", starter_embedder)), "tiny")
    library = open_library(home, "clinic", create=True, embedder="tiny")
    ingest(library, [CLINIC / "documents" / "clinical"])
    before = library.tables.version()
    options = EncoderTuneOptions(epochs=4, learning_rate=1e-2, heldout=0.3)
    tuned = tune_encoder(home, library, CLINIC / "train.jsonl", "mine", options)
    assert tuned.n_learnt > 8
    assert np.mean(tuned.losses[-2:]) < 0.7 * tuned.losses[0]
    assert library.tables.version() == before  # its vectors are still the old embedder's
    assert {one.name for one in home.embedders()} == {"tiny", "mine"}
    assert home.default_embedder == "tiny"
    served = open_registered(home, home.embedder("mine"))
    assert served.identity != library.embedder.identity

    from sentence_transformers import SentenceTransformer

    texts = ["Where is the lab?", "Blood is drawn in room 12 until noon."]
    theirs = SentenceTransformer(str(tuned.path), device="cpu", local_files_only=True).encode(texts)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = served.embed(texts, "passage")
    assert (ours * theirs).sum(axis=1) == pytest.approx([1, 1], abs=0.01)


@pytest.mark.long
def test_the_starter_embedder_is_tuned_to_the_clinic(home, starter_embedder):
    add_embedder(home, str(starter_embedder), "minilm")
    library = open_library(home, "clinic", create=True)
    ingest(library, [CLINIC / "documents"])
    tuned = tune_encoder(home, library, CLINIC / "train.jsonl", "mine")
    assert tuned.n_learnt + tuned.n_heldout > 150
    assert tuned.n_not_found < 5
    assert min(gain.after for gain in tuned.gains if gain.way == "search" and gain.cut == 10) > 0.6
