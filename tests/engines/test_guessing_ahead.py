"""Guessing ahead in the OpenVINO engine never changes what is written, and leaves nothing behind."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random, write_script

from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.errors import EngineError
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.sampling import next_probabilities

SHAPE = Shape()
CYCLE = list(b"abcd")  # in this vocabulary, a byte is its own id
PHRASE = (17, 45, 3, 99, 140, 61, 8, 77)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guessing")
    write_random(folder / "random.gguf", SHAPE)
    write_random(folder / "other.gguf", Shape(seed=5, n_layers=1))
    long = np.random.default_rng(2).permutation(200).tolist()
    write_script(folder / "long.gguf", SHAPE, [*long, long[0]])
    write_script(folder / "cycle.gguf", SHAPE, [*CYCLE, CYCLE[0]])
    return folder


def open_engine(path, guess="on", **options):
    return OpenVINOEngine(path, EngineOptions(mode="exact", threads=1, guess=guess, **options))


@pytest.fixture(scope="module")
def plain(files):
    with open_engine(files / "random.gguf", "off", cache_tokens=4096) as engine:
        yield engine


@pytest.fixture(scope="module")
def ahead(files):
    with open_engine(files / "random.gguf", "on", cache_tokens=4096) as engine:
        yield engine


@pytest.fixture(scope="module")
def cycle(files):
    with open_engine(files / "cycle.gguf", "on", cache_tokens=512) as engine:
        yield engine


def prompt(seed: int, n_tokens: int = 40) -> tuple[int, ...]:
    """Random tokens with a phrase that comes again and again."""
    rng = np.random.default_rng(seed)
    return tuple(itertools.chain(PHRASE, rng.integers(0, 250, n_tokens).tolist(), PHRASE * 2))


def is_whole(engine) -> bool:
    pool = engine._loop._pool
    return pool.n_available == pool.n_blocks and not engine._loop._guesser._answers


def assert_same(got, want):
    assert got.token_ids == want.token_ids
    assert (got.text, got.finish) == (want.text, want.finish)
    for mine, other in zip(got.steps, want.steps, strict=True):
        assert (mine.token_id, mine.text) == (other.token_id, other.text)
        assert mine.log_probability == pytest.approx(other.log_probability, abs=1e-3)
        assert [c.token_id for c in mine.best] == [c.token_id for c in other.best]


#: Few letters repeat themselves, so that many guesses are right and many wrong.
LETTERS = "[abc]{70}"


@pytest.mark.parametrize("regex", ["", LETTERS], ids=["free", "letters"])
@pytest.mark.parametrize(
    "options",
    [
        GenerateOptions(max_new_tokens=60),
        GenerateOptions(max_new_tokens=60, temperature=0.3, seed=7, n_best=3),
        GenerateOptions(max_new_tokens=60, temperature=1.0, top_k=3, seed=1),
        GenerateOptions(max_new_tokens=60, temperature=0.5, top_p=0.8, repeat_penalty=1.05, seed=2),
    ],
    ids=["greedy", "sampled", "top_k", "penalty"],
)
def test_the_same_seed_writes_the_same_text(plain, ahead, options, regex):
    options = replace(options, regex=regex)
    requests = [Request(prompt(seed), options) for seed in range(16)]
    got = ahead.generate(requests)
    for mine, other in zip(got, plain.generate(requests), strict=True):
        assert_same(mine, other)
        assert other.n_guessed == 0 and 0 <= mine.n_accepted <= mine.n_guessed
    n_accepted = sum(answer.n_accepted for answer in got)
    n_guessed = sum(answer.n_guessed for answer in got)
    assert n_guessed > n_accepted > (100 if options.regex else -1)
    assert is_whole(ahead)


def test_auto_writes_the_same_text_alone_and_together(plain, files):
    options = GenerateOptions(max_new_tokens=80)
    requests = [Request(prompt(seed), options) for seed in range(8)]
    with open_engine(files / "random.gguf", "auto", cache_tokens=4096) as engine:
        alone = [engine.generate([request])[0] for request in requests]
        for mine, also, other in zip(alone, engine.generate(requests), plain.generate(requests), strict=True):
            assert_same(mine, other)
            assert_same(also, other)
        assert sum(answer.n_accepted for answer in alone) > 0
        assert is_whole(engine)


def test_drawn_tokens_have_the_model_s_own_odds(ahead):
    """Chi-square of the first two tokens over 2,000 seeds; the guess of the first is a likely one."""
    run = (5, 6, 7, 8)
    filler = tuple(np.random.default_rng(3).integers(20, 250, 24).tolist())
    best_odds, ids = 0.0, ()
    for guess in range(20, 250, 3):
        candidate = (*run, guess, *filler, *run)
        odds = np.exp(ahead.distributions(candidate)[0][guess])
        if odds > best_odds:
            best_odds, ids, guessed = odds, candidate, guess
    assert len(ids) == 33 and 0.05 < best_odds < 0.95  # one token after the first block: guessed at once
    options = GenerateOptions(max_new_tokens=3, temperature=1.0, top_k=6)
    first = next_probabilities(ahead.distributions(ids)[0], options, ids)
    expected: dict[tuple[int, ...], float] = {}
    for token in np.flatnonzero(first):
        if int(token) in ahead.tokenizer.stop_ids:
            expected[int(token),] = 2000 * first[token]
            continue
        second = next_probabilities(ahead.distributions((*ids, int(token)))[0], options, ids)
        for following in np.flatnonzero(second):
            expected[int(token), int(following)] = 2000 * first[token] * second[following]
    requests = [
        Request(ids, GenerateOptions(max_new_tokens=3, temperature=1.0, top_k=6, seed=seed))
        for seed in range(2000)
    ]
    answers = ahead.generate(requests)
    seen = Counter(tuple(step.token_id for step in answer.steps)[:2] for answer in answers)
    n_first = sum(answer.steps[0].token_id == guessed for answer in answers)
    assert sum(answer.n_accepted for answer in answers) >= n_first > 100
    assert all(answer.n_guessed > 0 for answer in answers)
    rare = [pair for pair, n in expected.items() if n < 5]
    bins = [(seen[pair], n) for pair, n in expected.items() if n >= 5]
    bins.append((sum(seen[pair] for pair in rare), sum(expected[pair] for pair in rare)))
    assert sum(n for n, _ in bins) == 2000  # nothing else was drawn
    statistic = sum((n - want) ** 2 / want for n, want in bins if want > 0)
    n_free = len(bins) - 1
    assert statistic < n_free + 4 * (2 * n_free) ** 0.5  # four standard deviations above the mean


def test_keys_and_values_are_right_after_wrong_guesses(ahead, files):
    """Random letters are often guessed wrongly; what the blocks hold afterwards equals a fresh engine's."""
    options = GenerateOptions(max_new_tokens=150, temperature=3.0, seed=4, regex="[ab]{150}")
    ids = prompt(50)
    answer = ahead.generate([Request(ids, options)])[0]
    assert answer.n_guessed - answer.n_accepted > 40 and answer.n_accepted > 10
    whole = (*ids, *answer.token_ids)
    again = ahead.generate([Request(whole, GenerateOptions(max_new_tokens=1))])[0]
    assert again.n_cached_tokens >= (len(whole) - 2) // 32 * 32 > len(ids) + 64
    with open_engine(files / "random.gguf", "off", cache_tokens=512) as fresh:
        want = fresh.distributions(whole, last=len(whole))
    assert ahead.distributions(whole, last=8) == pytest.approx(want[-8:], abs=2e-4)
    written = [want[len(ids) - 1 + i, token] for i, token in enumerate(answer.token_ids)]
    assert [step.log_probability for step in answer.steps][: len(written)] == pytest.approx(written, abs=2e-4)


@pytest.mark.parametrize(
    "constraint",
    [{"regex": "(abc|abd){10,12}"}, {"json_schema": '{"type": "array", "items": {"enum": ["ab", "cd"]}}'}],
    ids=["regex", "schema"],
)
def test_constrained_answers_are_the_same(plain, ahead, constraint):
    accepted = 0
    for seed in range(4):
        options = GenerateOptions(max_new_tokens=70, temperature=1.0, seed=seed, **constraint)
        mine = ahead.generate([Request(prompt(seed), options)])[0]
        assert_same(mine, plain.generate([Request(prompt(seed), options)])[0])
        accepted += mine.n_accepted
    assert accepted > 0


def test_an_answer_ends_exactly_where_it_would(cycle):
    """All guesses of this model are right, so limits and stops fall amid them."""
    ids = tuple(CYCLE * 3)
    for n_tokens in range(1, 30):
        answer = cycle.generate([Request(ids, GenerateOptions(max_new_tokens=n_tokens))])[0]
        assert answer.text == ("abcd" * 8)[:n_tokens] and answer.finish == "length"
        assert answer.n_guessed == answer.n_accepted
    for stop, text in (("da", "abc"), ("cdab", "ab"), ("bcdabcdab", "a")):
        answer = cycle.generate([Request(ids, GenerateOptions(max_new_tokens=40, stop=(stop,)))])[0]
        assert (answer.text, answer.finish) == (text, "stop")
    assert answer.n_accepted > 0
    full = cycle.generate([Request(ids, GenerateOptions(max_new_tokens=512 - len(ids)))])[0]
    assert len(full.token_ids) == 500 and full.n_accepted > 400
    assert is_whole(cycle)


def test_a_stream_can_be_cancelled_amid_accepted_guesses(cycle):
    ids = tuple(CYCLE * 3)
    stream = cycle.stream(Request(ids, GenerateOptions(max_new_tokens=450)))
    texts = []
    for step in stream:
        texts.append(step.text)
        if len(texts) == 15:
            stream.cancel()
    assert stream.result.finish == "cancelled"
    assert "".join(texts) == stream.result.text == ("abcd" * 200)[: len(texts)]
    assert is_whole(cycle)


def test_answers_with_and_without_adapters_share_a_step(plain, ahead, tmp_path):
    tensors = adapter_tensors(SHAPE, ("attn_q", "ffn_down"), 4, seed=1)
    folder = write_adapter(tmp_path / "adapter", tensors, 4)
    options = GenerateOptions(max_new_tokens=40)
    requests = [Request(prompt(seed), options, "it" if seed % 2 else None) for seed in range(6)]
    for engine in (plain, ahead):
        engine.load_adapter("it", folder)
    got = ahead.generate(requests)
    for mine, request in zip(got, requests, strict=True):
        assert_same(mine, plain.generate([request])[0])
    assert sum(answer.n_accepted for answer in got) > 0
    for engine in (plain, ahead):
        engine.remove_adapter("it")
        assert not engine._roster._versions


@pytest.mark.parametrize("draft", ["long", "other"])
def test_a_draft_model_changes_nothing(files, draft):
    """The model as its own draft is always right, another one nearly never; the text repeats nothing."""
    rng = np.random.default_rng(11)
    ids = [tuple(rng.permutation(200)[:n].tolist()) for n in (190, 40, 20, 5)]
    requests = [Request(i, GenerateOptions(max_new_tokens=30)) for i in [tuple(range(200)) * 2, *ids]]
    with open_engine(files / "long.gguf", "off", cache_tokens=2048) as engine:
        want = engine.generate(requests)
    with open_engine(
        files / "long.gguf", "on", cache_tokens=1024, draft=str(files / f"{draft}.gguf")
    ) as engine:
        assert any(draft in note for note in engine.facts.notes)
        got = engine.generate(requests)
        for mine, other in zip(got, want, strict=True):
            assert_same(mine, other)
            assert mine.n_guessed > 15
            assert mine.n_accepted > 15 if draft == "long" else mine.n_accepted < mine.n_guessed
        stream = engine.stream(requests[0])
        first = next(iter(stream))
        stream.cancel()
        assert first.token_id == got[0].token_ids[0] and len(list(stream)) < 30
        model = engine._loop._guesser._draft
        assert model.n_available_blocks == 32 and not model._followers
        assert is_whole(engine)


def test_a_draft_with_other_tokens_is_refused(files, starter_gguf):
    with pytest.raises(EngineError, match=r"number 0 is 'Ā' in the model and '<\|endoftext\|>' in the draft"):
        open_engine(files / "random.gguf", draft=str(starter_gguf))


@pytest.mark.long
def test_a_real_model_that_quotes(starter_gguf, tmp_path):
    text = (
        "The vaccination room opens at 08:30 on Tuesday and closes at 18:30. Late walk-ins come after 17:00. "
        "Travel appointments move to Monday afternoon for those eight weeks. "
    )
    answers = []
    for guess in ("off", "on"):
        engine = OpenVINOEngine(
            starter_gguf, EngineOptions(mode="exact", guess=guess, cache_tokens=1024), cache_path=tmp_path
        )
        with engine:
            ids = tuple(engine.tokenizer.encode(f"Repeat the text word for word.\n{text}\nAgain:\n{text}\n"))
            requests = [
                Request(ids, GenerateOptions(max_new_tokens=40)),
                Request(ids, GenerateOptions(max_new_tokens=40, temperature=0.7, seed=5)),
            ]
            answers.append(engine.generate(requests))
    for other, mine in zip(*answers, strict=True):
        assert_same(mine, other)
    assert sum(answer.n_accepted for answer in answers[1]) > 10
