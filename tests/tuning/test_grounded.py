"""Questions are tuned on behind the very passages that `ask` would put before them."""

import pytest
from gguf_writer import Shape, write_random

from homespun.engines.load import load_engine
from homespun.models.template import Message
from homespun.rag.prompt import fit_prompt
from homespun.retrieval.embedders.manage import add_embedder
from homespun.retrieval.find import RerankOptions, find_passages
from homespun.retrieval.open import open_library
from homespun.retrieval.search import SearchOptions
from homespun.retrieval.sync import ingest
from homespun.tuning.encode import encode_example
from homespun.tuning.errors import DataError
from homespun.tuning.examples import Example
from homespun.tuning.grounded import GroundOptions, ground


@pytest.fixture
def library(home, tmp_path, starter_embedder):
    add_embedder(home, str(starter_embedder), "minilm")
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "hours.md").write_text(
        "# Hours\n\nThe clinic opens at nine.\n\n# Fees\n\nA visit costs 30 euros.\n"
    )
    (folder / "fridge.txt").write_text("The fridge is kept between 2 and 8 degrees.")
    opened = open_library(home, "clinic", embedder="minilm", create=True)
    ingest(opened, [folder])
    return "clinic"


def test_an_example_is_the_prompt_of_ask_and_its_answer(home, library, tmp_path):
    home.add_model(write_random(tmp_path / "tiny.gguf", Shape(context=2048)), "tiny")
    question = "What does a visit cost?"
    row = Example((Message("user", question), Message("assistant", "30 euros")), file="rows.jsonl", line=1)
    (grounded,) = ground(home, [row], GroundOptions(library, passages=2))
    assert "30 euros" in grounded.messages[-2].content
    assert (grounded.messages[-1].content, grounded.file, grounded.line) == ("30 euros", "rows.jsonl", 1)
    hits = find_passages(home, library, question, SearchOptions(n_hits=2), RerankOptions())
    with load_engine(home, "tiny") as engine:
        served = fit_prompt(engine, question, [hit.passage for hit in hits], max_new_tokens=16)
        encoded = encode_example(grounded, engine.template, engine.tokenizer)
    assert encoded.token_ids[: encoded.labelled.index(True)] == served.token_ids


def test_a_chat_of_several_turns_cannot_be_grounded(home, library):
    turns = [Message("user", "a"), Message("assistant", "b")] * 2
    with pytest.raises(DataError, match=r"chats.jsonl:4: only rows of one question"):
        ground(home, [Example(tuple(turns), file="chats.jsonl", line=4)], GroundOptions(library))
