"""Hugging Face folders in the torch engine: transformers' own numbers, the behaviour of every engine."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from folder_writer import write_folder
from homespun.engines.engine import EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.errors import EngineError, WindowError
from homespun.engines.torch_engine import TorchEngine
from homespun.engines.torch_folder import open_folder

KINDS = ("llama", "qwen2", "gemma3_text", "bloom", "gpt2", "t5")
EXACT = EngineOptions(mode="exact", threads=1, window=300)
IDS = tuple(np.random.default_rng(0).integers(5, 250, 120).tolist())


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("folders")
    return {kind: write_folder(root / kind, kind) for kind in KINDS}


@pytest.fixture(scope="module", params=KINDS)
def engine(request, folders):
    with open_folder(folders[request.param], EXACT) as opened:
        yield opened


def transformers_rows(folder: Path, ids: tuple[int, ...], last: int) -> np.ndarray:
    """Log-probabilities by one plain forward of transformers' own model."""
    import torch
    import transformers

    if json.loads((folder / "config.json").read_text())["model_type"] == "t5":
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
        n_prompt = len(ids) - last + 1
        inputs = {
            "input_ids": torch.tensor([[*ids[:n_prompt], 1]]),
            "decoder_input_ids": torch.tensor([[0, *ids[n_prompt:]]]),
        }
    else:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
        inputs = {"input_ids": torch.tensor([ids])}
    with torch.no_grad():
        return model(**inputs).logits[0, -last:].log_softmax(-1).numpy()


def weighted_distance(got: np.ndarray, want: np.ndarray) -> float:
    return float((np.exp(want) * np.abs(got - want)).sum(axis=1).max())


def test_the_numbers_are_those_of_transformers(engine, monkeypatch):
    want = transformers_rows(Path(engine.facts.model_path), IDS, 50)
    assert weighted_distance(engine.distributions(IDS, last=50), want) < 5e-5
    monkeypatch.setattr("homespun.engines.torch_engine.READ_TOKENS", 17)  # the same, read in pieces
    assert weighted_distance(engine.distributions(IDS, last=50), want) < 5e-5
    assert np.std(want) > 0.5  # a model that says something


def test_facts(engine):
    facts = engine.facts
    assert facts.engine == "torch" and facts.mode == "exact" and facts.precision == "f32"
    assert facts.window == 300 and facts.loss_nats == 0.0
    assert facts.architecture in KINDS


def test_scores_are_entries_of_the_distributions(engine):
    (scores,) = engine.score([ScoreRequest(IDS, 15)])
    rows = engine.distributions(IDS[:-1], last=15)
    assert scores == pytest.approx(rows[np.arange(15), IDS[-15:]], abs=2e-4)


def test_what_is_written_is_what_is_scored(engine):
    options = GenerateOptions(max_new_tokens=12, temperature=1.2, seed=4, n_best=2)
    stream = engine.stream(Request(IDS[:30], options))
    steps = list(stream)
    answer = stream.result
    assert "".join(step.text for step in steps) == answer.text == engine.tokenizer.decode(answer.token_ids)
    again = engine.generate([Request(IDS[:30], options)])[0]
    assert again.token_ids == answer.token_ids
    tokens = [step.token_id for step in steps]
    (scores,) = engine.score([ScoreRequest((*IDS[:30], *tokens), len(tokens))])
    assert [step.log_probability for step in steps] == pytest.approx(scores.tolist(), abs=2e-4)
    greedy = engine.generate([Request(IDS[:30], GenerateOptions(max_new_tokens=5, n_best=1))])[0]
    assert all(step.best[0].token_id == step.token_id for step in greedy.steps)


def test_stops_cancels_and_refusals(engine):
    plain = engine.generate([Request(IDS[:30], GenerateOptions(max_new_tokens=30))])[0]
    stop = plain.text[3:6]
    cut = engine.generate([Request(IDS[:30], GenerateOptions(max_new_tokens=30, stop=(stop,)))])[0]
    assert cut.finish == "stop" and cut.text == plain.text[: plain.text.index(stop)]
    stream = engine.stream(Request(IDS[:30], GenerateOptions(max_new_tokens=200)))
    iterator = iter(stream)
    next(iterator)
    iterator.close()
    assert stream.result.finish == "cancelled" and not engine._states
    with pytest.raises(WindowError, match="300"):
        engine.generate([Request((5,) * 300)])
    with pytest.raises(EngineError, match="token ids"):
        engine.distributions((1, 100_000))


@pytest.mark.parametrize(("precision", "largest_kl"), [("bf16", 2e-3), ("int8", 1e-2), ("nf4", 2.0)])
def test_smaller_weights_say_so_and_stay_near(folders, precision, largest_kl):
    with open_folder(folders["llama"], EXACT) as exact:
        want = exact.distributions(IDS, last=60)
    with open_folder(folders["llama"], EngineOptions(threads=1, precision=precision)) as engine:
        got = engine.distributions(IDS, last=60)
        facts = engine.facts
    assert facts.mode == "fast" and precision in facts.precision and facts.loss_nats is None
    kl = float((np.exp(want) * (want - got)).sum(axis=1).mean())
    assert 1e-6 < kl < largest_kl


def test_exact_mode_is_float32_only(folders):
    with pytest.raises(EngineError, match="bf16 is not exact"):
        open_folder(folders["llama"], EngineOptions(mode="exact", precision="bf16"))


@pytest.mark.parametrize("auto_map", [True, False])
def test_a_model_that_needs_its_own_program_is_refused_and_the_program_never_runs(
    folders, tmp_path, auto_map
):
    folder = Path(shutil.copytree(folders["llama"], tmp_path / "own"))
    ran = tmp_path / "ran"
    (folder / "modeling_own.py").write_text(f"open({str(ran)!r}, 'w')\nclass Own: pass\nclass Config: pass\n")
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "own"
    if auto_map:
        config["auto_map"] = {
            "AutoConfig": "modeling_own.Config",
            "AutoModelForCausalLM": "modeling_own.Own",
        }
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EngineError, match="never runs" if auto_map else "cannot build") as caught:
        TorchEngine(folder, EXACT)
    assert "\n" not in caught.value.sentence() and not ran.exists()


def test_missing_and_surplus_tensors_are_refused(folders, tmp_path):
    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(folders["llama"], tmp_path / "other"))
    path = str(folder / "model.safetensors")
    tensors = load_file(path)
    gone = "model.layers.1.mlp.up_proj.weight"
    save_file({n: t for n, t in tensors.items() if n != gone}, path, metadata={"format": "pt"})
    with pytest.raises(EngineError, match=f"no tensor for {gone}"):
        TorchEngine(folder, EXACT)
    save_file({**tensors, "model.extra.weight": tensors[gone]}, path, metadata={"format": "pt"})
    with pytest.raises(EngineError, match=r"extra\.weight has no place"):
        TorchEngine(folder, EXACT)
