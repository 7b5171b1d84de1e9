"""The strategies on the real small model: against transformers, and against the odds that they promise."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from homespun.decoding.beam import BeamOptions
from homespun.decoding.errors import DecodingError
from homespun.decoding.next import next_tokens, prompt_ids
from homespun.decoding.output_layer import hidden_states_of
from homespun.decoding.strategies import StrategyOptions, generate_options, write
from homespun.decoding.tree import path
from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.sampling import next_probabilities

PROMPTS = (
    "Paris is the city",
    "The garden birds of this country",
    "Once upon a time there was a",
    "To bake bread you need",
)


@pytest.fixture(scope="module")
def engine(starter_gguf, shared_cache):
    with OpenVINOEngine(
        starter_gguf,
        EngineOptions(mode="exact", cache_tokens=4096),
        cache_path=shared_cache,
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(starter_gguf):
    import torch
    from transformers import AutoModelForCausalLM, logging

    logging.set_verbosity_error()
    return AutoModelForCausalLM.from_pretrained(
        starter_gguf.parent, gguf_file=starter_gguf.name, dtype=torch.float32
    ).eval()


def hundred_prompts():
    """The example's thirty prompts, and each of 70 more cut from them after a word."""
    whole = (Path(__file__).parents[2] / "examples" / "prompts.txt").read_text().splitlines()
    cut = {" ".join(text.split()[:n]) for text in whole for n in (2, 3, 4)} - set(whole)
    return [*whole, *sorted(cut)[: 100 - len(whole)]]


def test_beam_search_is_transformers_beam_search(engine, reference):
    import torch

    for text in PROMPTS[:2]:
        ids = prompt_ids(engine, text)
        options = StrategyOptions("beam", beam=BeamOptions(keep_greedy=False))
        found = write(engine, ids, GenerateOptions(max_new_tokens=10), options)
        with torch.no_grad():
            expected = reference.generate(
                torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long), num_beams=4,
                max_new_tokens=10, do_sample=False, length_penalty=1.0, early_stopping=False,
                eos_token_id=sorted(engine.tokenizer.stop_ids), pad_token_id=0,
            )[0, len(ids) :].tolist()  # fmt: skip
        assert list(found.token_ids) == expected[: len(found.token_ids)], text
        greedy = write(engine, ids, GenerateOptions(max_new_tokens=10), StrategyOptions("greedy"))
        assert found.log_probability >= greedy.log_probability - 1e-4
        kept = max(index for index, node in enumerate(found.tree) if node.is_kept)
        assert path(found.tree, kept)[: len(found.token_ids)] == found.token_ids


def beam_less_greedy(engine, text, n_tokens):
    """Log-probabilities of beam's text and greedy's, in nats."""
    ids, limit = prompt_ids(engine, text), GenerateOptions(max_new_tokens=n_tokens)
    return tuple(
        write(engine, ids, limit, StrategyOptions(name)).log_probability for name in ("beam", "greedy")
    )


@pytest.mark.long
def test_beam_search_is_at_least_as_probable_as_greedy_on_100_prompts(engine):
    found = [beam_less_greedy(engine, text, 8) for text in hundred_prompts()]
    worse = [(beam, greedy) for beam, greedy in found if beam < greedy - 1e-3]
    print(
        f"beam likelier on {sum(b > g + 1e-3 for b, g in found)}, less likely on {len(worse)} of {len(found)}"
    )
    assert len(found) == 100 and not worse


def test_hidden_states_are_transformers_hidden_states(engine, reference, starter_gguf):
    import torch

    ids = prompt_ids(engine, PROMPTS[1])
    with torch.no_grad():
        expected = reference(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0].numpy()
    states = hidden_states_of(starter_gguf).of(engine.distributions(ids, last=len(ids)))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(states / scale, expected / scale, atol=2e-3)


def test_contrastive_search_says_less_again(engine, starter_gguf):
    ids = prompt_ids(engine, "I like it. I like it. I like it. I")
    limit = GenerateOptions(max_new_tokens=16)
    greedy = write(engine, ids, limit, StrategyOptions("greedy"))
    found = write(
        engine,
        ids,
        limit,
        StrategyOptions("contrastive"),
        hidden_states=lambda: hidden_states_of(starter_gguf),
    )
    assert len(set(found.token_ids)) > len(set(greedy.token_ids))
    with pytest.raises(DecodingError, match="output layer"):
        write(engine, ids, limit, StrategyOptions("contrastive"))


@pytest.mark.long
@pytest.mark.parametrize("strategy", ["sample", "temperature", "top-k", "top-p", "min-p"])
def test_draws_have_the_odds_that_the_stages_show(engine, strategy):
    """Pearson's chi-square over the engine's own draws of one token, cells of at least five expected."""
    n_draws = 200
    ids = prompt_ids(engine, PROMPTS[0])
    options = generate_options(strategy, GenerateOptions(max_new_tokens=1))
    odds = next_probabilities(engine.distributions(ids)[0], options, ids)
    requests = [
        Request(ids, generate_options(strategy, GenerateOptions(max_new_tokens=1, seed=seed)))
        for seed in range(n_draws)
    ]
    drawn = Counter(result.steps[0].token_id for result in engine.generate(requests))
    assert all(odds[token_id] > 0 for token_id in drawn)
    cells = [token_id for token_id in np.argsort(-odds) if odds[token_id] * n_draws >= 5]
    expected = [odds[t] * n_draws for t in cells]
    seen = [drawn[t] for t in cells]
    if n_draws - sum(expected) >= 5:
        expected.append(n_draws - sum(expected))
        seen.append(n_draws - sum(seen))
    statistic = sum((s - e) ** 2 / e for s, e in zip(seen, expected, strict=True))
    # The 0.999 quantile of chi-square, by Wilson and Hilferty's approximation (1931).
    freedom = len(expected) - 1
    assert statistic < freedom * (1 - 2 / (9 * freedom) + 3.09 * (2 / (9 * freedom)) ** 0.5) ** 3


def test_next_tokens_are_the_exact_odds(engine, reference):
    import torch

    ids = prompt_ids(engine, PROMPTS[0])
    found = next_tokens(engine, ids, k=10)
    with torch.no_grad():
        odds = reference(torch.tensor([ids])).logits[0, -1].double().softmax(-1).numpy()
    assert [c.id for c in found.candidates] == np.argsort(-odds)[:10].tolist()
    np.testing.assert_allclose([c.probability for c in found.candidates], np.sort(odds)[::-1][:10], atol=1e-5)
    assert found.candidates[-1].cumulative == pytest.approx(found.mass_told)
