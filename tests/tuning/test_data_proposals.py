"""Pairs proposed from documents: answers are quotes, questions lead back to them."""

import json

import pytest

from homespun.documents.split import Passage
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.sync import ingest
from homespun.tuning.data.proposals.answers import Asked, answer_places
from homespun.tuning.data.proposals.options import ProposeOptions
from homespun.tuning.data.proposals.propose import Proposal, propose_pairs, save_proposals
from homespun.tuning.data.proposals.questions import is_sound
from homespun.tuning.data.read import read_examples
from homespun.tuning.errors import DataError

TEXT = (
    "# Kiln\n\nThe kiln is fired every second Monday by Ms Ada Brandt. It has to cool for 36 hours before the "
    "door is opened. A shelf for small pots costs 14 euros a month.\n\n| Day | Open |\n|---|---|\n| Monday | 9:00 |\n"
)


@pytest.fixture
def shelf(home, tmp_path):
    """A library of this text and a copy of it."""
    for name in ("kiln.md", "copy.md"):
        (tmp_path / name).write_text(TEXT)
    library = Library.open(home, "kiln", HashEmbedder("fake", 16), create=True)
    ingest(library, [tmp_path / "kiln.md", tmp_path / "copy.md"])
    return library


def test_each_sentence_is_asked_for_once_with_a_quote_of_it(shelf):
    found = list(answer_places(shelf, 0))
    assert len(found) == 3  # neither heading, table rows nor the copy
    for one in found:
        assert one.sentence in TEXT and one.answer in one.sentence
        assert one.answer not in one.rivals
    starters = {one.answer: one.starters for seed in range(20) for one in answer_places(shelf, seed)}
    assert starters["36 hours"] == ("How long", "How many hours")
    assert starters["Ms Ada Brandt"] == ("Who",)
    assert starters["14 euros"][0] == "How much"


SENTENCE = "It has to cool for 36 hours before the door is opened."
ASKED = Asked(
    Passage("kiln.md", 0, len(TEXT), TEXT, None, ("Kiln",)), SENTENCE, "36 hours", (), ("How long",)
)


@pytest.mark.parametrize(
    ("question", "sound"),
    [
        ("How long does the kiln have to cool before the door is opened?", True),
        ("How long?", False),
        ("Does it cool for 36 hours before the door is opened?", False),
        ("How long does a submarine dive before the radar warms?", False),
        ("How long does <b>the kiln cool before opened?", False),
    ],
)
def test_a_sound_question_is_about_its_passage_and_keeps_the_answer(question, sound):
    assert is_sound(question, ASKED) is sound


def test_pairs_are_a_question_set(tmp_path):
    pair = Proposal("How long does it cool?", "36 hours", "kiln.md", SENTENCE, TEXT, -0.1)
    save_proposals(tmp_path / "q.jsonl", [pair])
    assert json.loads((tmp_path / "q.jsonl").read_text()) == {
        "question": "How long does it cool?",
        "answers": ["36 hours"],
        "source": [{"document": "kiln.md", "text": SENTENCE}],
    }
    data = read_examples([tmp_path / "q.jsonl"])
    assert data.shape == "question set" and data.examples[0].response == "36 hours"
    with pytest.raises(DataError, match="there already"):
        save_proposals(tmp_path / "q.jsonl", [pair])
    with pytest.raises(DataError, match="no pair"):
        save_proposals(tmp_path / "r.jsonl", [])
    with pytest.raises(DataError, match="candidates is 0"):
        ProposeOptions(candidates=0)


@pytest.mark.long
def test_the_model_writes_questions_that_lead_back(bare_home_with_kiln):
    found = propose_pairs(bare_home_with_kiln, "kiln", ProposeOptions(n=2, candidates=6))
    assert found.pairs and found.n_tried == 3
    for pair in found.pairs:
        assert pair.question.endswith("?") and pair.answer in pair.sentence and pair.sentence in pair.passage
        assert pair.answer.casefold() not in pair.question.casefold()


@pytest.fixture
def bare_home_with_kiln(home, starter_gguf, starter_embedder, tmp_path):
    home.add_model(starter_gguf, "smollm2", reference=True)
    folder = home.embedders_path / "all-minilm-l6-v2"
    folder.symlink_to(starter_embedder, target_is_directory=True)
    home.register_embedder("all-minilm-l6-v2", folder, "of the starter")
    (tmp_path / "kiln.md").write_text(TEXT)
    ingest(open_library(home, "kiln", create=True), [tmp_path / "kiln.md"])
    return home
