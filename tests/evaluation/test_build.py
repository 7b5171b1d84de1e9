"""The whole road on a tiny model: it stops where only a person can judge, goes on, and does nothing twice."""

import json

import pytest
from gguf_writer import Shape, write_random

from homespun.evaluation.build import build
from homespun.evaluation.build_options import ENOUGH_TO_TUNE, BuildOptions
from homespun.rag.default_way import read_default_way
from homespun.retrieval.embedders.manage import add_embedder
from homespun.retrieval.open import open_library
from homespun.tuning.adapters import read_lineage


@pytest.fixture
def documents(home, tmp_path, starter_embedder):
    home.add_model(write_random(tmp_path / "tiny.gguf", Shape(context=2048)), "tiny")
    add_embedder(home, str(starter_embedder), "minilm")
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(14):
        (folder / f"ward{number}.md").write_text(
            f"# Ward {number}\n\nThe code of ward {number} is {4711 + number}.\n\nVisits end at {14 + number}:30.\n"
        )
    return folder


def write_rows(path, n_a_ward):
    rows = [
        {
            "question": f"{how} the code of ward {ward}?",
            "answers": [str(4711 + ward)],
            "source": [{"document": f"ward{ward}.md", "text": f"The code of ward {ward} is {4711 + ward}."}],
        }
        for ward in range(14)
        for how in [f"In case {n}, what is" for n in range(n_a_ward)]
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_few_questions_are_compared_and_the_winner_answers(home, documents, tmp_path):
    told = []
    questions = write_rows(tmp_path / "questions.jsonl", 4)
    report = build(
        home, documents, questions, BuildOptions(ways="prompt,quote", test_share=0.6), on_stage=told.append
    )
    assert [stage.name for stage in told] == ["read", "questions", "compare", "tune", "promote"]
    assert "14 documents" in told[0].what
    assert f"{ENOUGH_TO_TUNE} are needed" in told[3].what
    assert (report.winner, report.library, report.adapter) == ("quote", "papers", "")
    assert read_default_way(open_library(home, "papers")).style == "quote"
    again = build(home, documents, questions, BuildOptions(ways="prompt,quote", test_share=0.6))
    assert again.winner == "quote"


@pytest.mark.long
def test_enough_questions_are_tuned_on_once(home, documents, tmp_path):
    questions = write_rows(tmp_path / "questions.jsonl", 14)
    options = BuildOptions(ways="quote", max_steps=1, passages=1, sample=24)
    report = build(home, documents, questions, options)
    assert read_lineage(home.adapters_path / report.adapter).status == "finished"
    assert report.verdict
    told = []
    build(home, documents, questions, options, on_stage=told.append)
    assert f"{report.adapter} is there already" in [stage.what for stage in told]
