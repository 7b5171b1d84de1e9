"""Views and strategies on a real server (llama.cpp's): what it gives, and what it does not, said."""

import numpy as np
import pytest
from gguf_writer import Shape, write_random, write_script

from homespun.decoding.compare_next import compare_next
from homespun.decoding.errors import DecodingError
from homespun.decoding.next import next_tokens, prompt_ids
from homespun.decoding.strategies import StrategyOptions, from_generation, write
from homespun.decoding.tree import path
from homespun.decoding.views import draw_choices, tree_text
from homespun.engines.engine import GenerateOptions, Generation, Step
from homespun.engines.errors import AdapterError
from homespun.engines.llama_cpp_process import LlamaCppProcess, ServerSettings
from homespun.engines.providers import remote_model
from homespun.engines.remote_engine import RemoteEngine
from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remote")
    tokenizer = Tokenizer.from_gguf(read_gguf(write_random(folder / "any.gguf", Shape())))
    # Goes on with whole characters after the template's last line end.
    model = write_script(folder / "script.gguf", Shape(), tokenizer.encode("\nabcdefgh"))
    process = LlamaCppProcess(ServerSettings(model, 512, 2, 1, "f16"), [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMESPUN_API_KEY", process._key)
        remote = remote_model(f"http://127.0.0.1:{process._port}/v1")
        assert remote is not None
        with RemoteEngine(remote) as opened:
            yield opened
    process.close()


def test_the_best_few_are_shown_and_the_rest_is_said(engine):
    found = next_tokens(engine, prompt_ids(engine, "Hello"), k=5)
    assert len(found.candidates) == 5 and found.entropy_nats is None
    odds = [candidate.probability for candidate in found.candidates]
    assert odds == sorted(odds, reverse=True) and 0 < found.mass_told < 1 + 1e-6
    assert found.candidates[0].id is None and found.candidates[0].token == "a"
    assert "best tokens only, here 5" in found.notes[0] and "user's message" in found.notes[1]
    assert len(found.notes) == 2


def test_more_than_a_server_tells_and_options_that_it_hides_are_said(engine):
    most = engine.facts.max_alternatives
    notes = next_tokens(engine, prompt_ids(engine, "Hi"), GenerateOptions(temperature=0.5), k=most + 1).notes
    assert f"{most} of the {most + 1} asked for" in notes[0]
    assert "needs the odds of all tokens" in notes[2]


def test_with_a_passage_the_told_tokens_stand_side_by_side(engine):
    found = compare_next(engine, "Hello", k=3, passage="before")
    assert [variant.kl_nats for variant in found.variants] == [None, None]
    assert 3 <= len(found.tokens) <= 6
    for place, variant in enumerate(found.variants):
        told = {candidate.token: candidate.probability for candidate in variant.found.candidates}
        assert {t.token: t.probabilities[place] for t in found.tokens if t.probabilities[place]} == told
    with pytest.raises(AdapterError):
        compare_next(engine, "Hello", k=3, adapter="tone")


@pytest.mark.parametrize("strategy", ["greedy", "sample", "top-k", "min-p"])
def test_a_server_samples_and_shows_its_tree(engine, strategy):
    written = write(
        engine,
        prompt_ids(engine, "Hello"),
        GenerateOptions(max_new_tokens=4, seed=1),
        StrategyOptions(strategy),
    )
    kept = max(index for index, node in enumerate(written.tree) if node.is_kept)
    assert len(path(written.tree, kept)) == written.n_steps
    assert len(written.tree) > written.n_steps + 1  # alternatives beside the kept path
    assert "alternatives a token" in written.notes[0]


def test_a_text_without_probabilities_is_shown_as_such(engine, tmp_path):
    steps = (Step(7, "a", float("nan")), Step(8, "b", float("nan")))
    result = Generation((7, 8), "ab", "length", steps, 1, 0, 0, 0.0, 0.0)
    written = from_generation("greedy", result, 1.0)
    assert np.isnan(written.log_probability)
    assert tree_text(written, engine.tokenizer).count("? ") == 2
    draw_choices(written, "x", engine.tokenizer, tmp_path / "it.svg")
    assert (tmp_path / "it.svg").read_text().count(">?<") == 2


@pytest.mark.parametrize("strategy", ["beam", "contrastive"])
def test_searching_on_a_server_is_refused_before_it_is_asked(engine, strategy):
    with pytest.raises(DecodingError, match="best few only"):
        write(engine, prompt_ids(engine, "Hi"), GenerateOptions(max_new_tokens=2), StrategyOptions(strategy))
