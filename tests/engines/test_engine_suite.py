"""What every engine must do, run on every engine.

Fast mode may differ a little in numbers, never in behaviour.
Field cases: G2 and G7 (stops), G3 (window), G6 (characters in streams), S1 and S3 (dropped and simultaneous
streams).
"""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random, write_script

from homespun.engines.engine import Engine, EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.errors import AdapterError, EngineError, WindowError
from homespun.models.gguf import read_gguf
from homespun.models.template import Message
from homespun.models.tokenizer import Tokenizer

WINDOW = 256
SHAPE = Shape()
SCRIPT = "abcd歪 👍 ßxyz"
ENGINES = ["openvino-exact", "openvino-fast", "torch", "llama.cpp"]
EXACT = ("openvino-exact", "torch", "llama.cpp")
#: Largest difference of a log-probability to float32, in nats.
TOLERANCE = {"openvino-exact": 2e-4, "openvino-fast": 0.3, "torch": 1e-5, "llama.cpp": 1e-3}


def open_named(name: str, path: Path, cache_path: Path) -> Engine:
    options = EngineOptions(mode="exact", window=WINDOW, threads=1, cache_tokens=4096)
    if name == "torch":
        from homespun.engines.torch_engine import TorchEngine

        return TorchEngine(path, options)
    if name == "llama.cpp":
        from homespun.engines.llama_cpp import LlamaCppEngine

        return LlamaCppEngine(path, options)
    from homespun.engines.openvino.engine import OpenVINOEngine

    if name == "openvino-fast":
        options = EngineOptions(mode="fast", window=WINDOW, threads=1, cache_tokens=4096)
    return OpenVINOEngine(path, options, cache_path=cache_path)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    random = write_random(folder / "random.gguf", SHAPE)
    tokenizer = Tokenizer.from_gguf(read_gguf(random))
    chain = [*tokenizer.encode(SCRIPT), tokenizer.encode("<|im_end|>", control=True)[0]]
    assert len(set(chain)) == len(chain)
    return {"random": random, "script": write_script(folder / "script.gguf", SHAPE, chain), "folder": folder}


@pytest.fixture(scope="module", params=ENGINES)
def engine(request, files):
    opened = open_named(request.param, files["random"], files["folder"] / "cache")
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=ENGINES)
def script(request, files):
    opened = open_named(request.param, files["script"], files["folder"] / "cache")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def reference(files):
    opened = open_named("torch", files["random"], files["folder"])
    yield opened
    opened.close()


@pytest.fixture
def tolerance(request) -> float:
    return TOLERANCE[next(name for name in ENGINES if name in request.node.callspec.id)]


@pytest.fixture
def is_exact(request) -> bool:
    return any(name in request.node.callspec.id for name in EXACT)


def random_ids(n_tokens: int, seed: int = 0) -> tuple[int, ...]:
    return tuple(np.random.default_rng(seed).integers(0, 256, n_tokens).tolist())


PROMPT = random_ids(20)


def one(engine: Engine, prompt=PROMPT, adapter: str | None = None, **options):
    return engine.generate([Request(prompt, GenerateOptions(**options), adapter)])[0]


def test_facts_say_what_is_in_force(engine):
    facts = engine.facts
    assert facts.engine in ("openvino", "torch", "llama.cpp")
    assert facts.version and facts.precision and facts.cache_precision and facts.processor
    assert facts.architecture == "llama"
    assert facts.window == WINDOW
    assert facts.threads >= 1
    assert engine.template.encode([Message("user", "hi")])


def test_greedy_takes_the_most_probable_token(engine, is_exact):
    answer = one(engine, max_new_tokens=12, n_best=3)
    assert answer.finish == "length"
    assert len(answer.token_ids) == len(answer.steps) == 12
    assert answer.n_prompt_tokens == len(PROMPT)
    for step in answer.steps:
        assert step.best[0].token_id == step.token_id
        assert step.best[0].log_probability == pytest.approx(step.log_probability, abs=1e-5)
        values = [candidate.log_probability for candidate in step.best]
        assert len(values) == 3 and values == sorted(values, reverse=True)
        assert np.exp(values).sum() <= 1 + 1e-5
    assert answer.token_ids[0] == int(engine.distributions(PROMPT)[0].argmax())
    if is_exact:
        assert one(engine, max_new_tokens=12).token_ids == answer.token_ids


def test_distributions_are_those_of_the_reference(engine, reference, tolerance):
    ids = random_ids(100, seed=1)
    got, want = engine.distributions(ids, last=60), reference.distributions(ids, last=60)
    assert got.shape == want.shape == (60, want.shape[1])
    assert np.exp(got.astype(np.float64)).sum(axis=1) == pytest.approx(1, abs=1e-4)
    # Tokens that never come may be far off in nats; what counts is weighted by how often they come.
    assert (np.exp(want) * np.abs(got - want)).sum(axis=1).max() <= tolerance


def test_scores_are_entries_of_the_distributions(engine):
    ids = random_ids(40, seed=2)
    (scores,) = engine.score([ScoreRequest(ids, 15)])
    rows = engine.distributions(ids[:-1], last=15)
    assert scores.shape == (15,)
    assert scores == pytest.approx(rows[np.arange(15), ids[-15:]], abs=2e-3)
    several = engine.score([ScoreRequest(ids, 3), ScoreRequest(ids, 15)])
    assert several[0] == pytest.approx(scores[-3:], abs=2e-3)


@pytest.mark.parametrize("n_scored", [0, 40, -1])
def test_scores_need_something_before_them(engine, n_scored):
    with pytest.raises(EngineError, match="n_scored"):
        engine.score([ScoreRequest(random_ids(40), n_scored)])


def test_a_stream_gives_the_text_of_the_plain_answer(engine):
    options = GenerateOptions(max_new_tokens=60, temperature=1.5, seed=5)
    stream = engine.stream(Request(PROMPT, options))
    steps = list(stream)
    assert "".join(step.text for step in steps) == stream.result.text
    assert tuple(steps) == stream.result.steps
    assert stream.result.text == engine.tokenizer.decode(stream.result.token_ids)
    plain = engine.generate([Request(PROMPT, options)])[0]
    assert plain.text == stream.result.text and plain.token_ids == stream.result.token_ids


def test_a_stream_has_no_result_before_its_end(engine):
    stream = engine.stream(Request(PROMPT, GenerateOptions(max_new_tokens=200)))
    iterator = iter(stream)
    next(iterator)
    with pytest.raises(EngineError, match="not finished"):
        _ = stream.result
    iterator.close()


def test_characters_of_several_tokens_come_whole(script):
    begin = tuple(script.tokenizer.encode("a"))
    stream = script.stream(Request(begin, GenerateOptions(max_new_tokens=50)))
    texts = [step.text for step in stream]
    assert "".join(texts) == stream.result.text == SCRIPT[1:]
    assert "\ufffd" not in "".join(texts)
    assert "歪" in texts and "👍" in texts  # a character is given out when it is whole


def test_a_dangling_part_of_a_character_is_flushed(script):
    begin = tuple(script.tokenizer.encode("abcd"))
    stream = script.stream(Request(begin, GenerateOptions(max_new_tokens=2)))
    assert "".join(step.text for step in stream) == stream.result.text == "\ufffd"
    assert stream.result.finish == "length"


def test_the_end_of_a_turn_ends_the_answer(script):
    answer = one(script, tuple(script.tokenizer.encode("x")), max_new_tokens=50)
    assert answer.finish == "stop"
    assert answer.text == "yz"
    assert answer.token_ids == tuple(script.tokenizer.encode("yz"))
    assert len(answer.steps) == 3  # the end token is a step, and not text


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("d歪",), "bc"),
        (("👍 ß",), "bcd歪 "),
        (("yz!", "never"), "bcd歪 👍 ßxyz"),  # a beginning of a stop text at the end is real text
        (("cd", "bcd"), ""),
        (("x",), "bcd歪 👍 ß"),
    ],
)
def test_a_stop_text_over_several_tokens(script, stop, text):
    begin = tuple(script.tokenizer.encode("a"))
    stream = script.stream(Request(begin, GenerateOptions(max_new_tokens=50, stop=stop)))
    assert "".join(step.text for step in stream) == stream.result.text == text
    assert stream.result.finish == "stop"


def test_an_answer_ends_where_the_window_ends(engine):
    prompt = random_ids(WINDOW - 3, seed=3)
    answer = one(engine, prompt, max_new_tokens=50)
    assert answer.finish == "length" or answer.steps[-1].token_id in engine.tokenizer.stop_ids
    assert len(answer.steps) <= 3
    if answer.finish == "length":
        assert len(answer.token_ids) == 3


def test_a_prompt_beyond_the_window_is_refused_with_its_size(engine):
    with pytest.raises(WindowError, match=f"{WINDOW} tokens.*{WINDOW}"):
        one(engine, random_ids(WINDOW), max_new_tokens=1)
    with pytest.raises(WindowError, match=str(WINDOW + 1)):
        engine.distributions(random_ids(WINDOW + 1))
    assert one(engine, random_ids(WINDOW - 1), max_new_tokens=5).n_prompt_tokens == WINDOW - 1


def test_a_seed_decides_the_draw(engine):
    def draw(seed):
        return one(engine, max_new_tokens=25, temperature=2.0, seed=seed)

    first = draw(1)
    assert first.seed == 1
    assert draw(1).token_ids == first.token_ids
    assert len({draw(seed).token_ids for seed in range(1, 5)}) == 4
    fresh = draw(None)
    assert draw(fresh.seed).token_ids == fresh.token_ids


def test_drawn_tokens_obey_the_cuts(engine):
    answer = one(engine, max_new_tokens=25, temperature=3.0, top_k=3, seed=2, n_best=3)
    for step in answer.steps:
        assert step.token_id in [candidate.token_id for candidate in step.best]
    assert (
        len({step.best.index(c) for step in answer.steps for c in step.best if c.token_id == step.token_id})
        > 1
    )


def test_drawn_tokens_come_as_often_as_their_probability(engine):
    rows = engine.distributions(PROMPT)[0].astype(np.float64)
    wanted = rows / 0.7
    wanted = np.exp(wanted - wanted.max())
    wanted /= wanted.sum()
    best = int(wanted.argmax())
    options = [GenerateOptions(max_new_tokens=1, temperature=0.7, seed=seed) for seed in range(60)]
    answers = engine.generate([Request(PROMPT, option) for option in options])
    share = np.mean([answer.steps[0].token_id == best for answer in answers])
    assert abs(share - wanted[best]) < 4 * np.sqrt(wanted[best] * (1 - wanted[best]) / 60) + 0.02


def test_a_repeat_penalty_changes_what_repeats(engine):
    plain = one(engine, max_new_tokens=60)
    other = one(engine, max_new_tokens=60, repeat_penalty=1.8)
    assert len(set(other.token_ids)) > len(set(plain.token_ids))


def test_sixteen_at_once_answer_as_one_alone(engine, is_exact):
    prompts = [random_ids(5 + 7 * number, seed=number) for number in range(16)]
    options = GenerateOptions(max_new_tokens=6)
    together = engine.generate([Request(prompt, options) for prompt in prompts])
    for prompt, answer in zip(prompts, together, strict=True):
        alone = one(engine, prompt, max_new_tokens=6)
        assert answer.n_prompt_tokens == len(prompt)
        if is_exact:
            assert answer.token_ids == alone.token_ids
            got, want = ([step.log_probability for step in a.steps] for a in (answer, alone))
            assert got == pytest.approx(want, abs=2e-4)
        else:
            assert answer.steps[0].log_probability == pytest.approx(alone.steps[0].log_probability, abs=0.3)


def test_ten_streams_at_once_stay_apart(script):
    letters = [*"abcdxyz", *"abc"]
    texts: dict[int, str] = {}

    def follow(number: int) -> None:
        begin = tuple(script.tokenizer.encode(letters[number]))
        texts[number] = "".join(step.text for step in script.stream(Request(begin)))

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert texts == {number: SCRIPT.split(letter)[1] for number, letter in enumerate(letters)}


@pytest.mark.parametrize("way", ["cancel", "close", "other thread"])
def test_a_stream_that_is_dropped_frees_the_engine(engine, way):
    stream = engine.stream(Request(PROMPT, GenerateOptions(max_new_tokens=200, temperature=1.0, seed=1)))
    iterator = iter(stream)
    for _ in range(3):
        next(iterator)
    if way == "close":
        iterator.close()
    elif way == "cancel":
        stream.cancel()
        list(iterator)
    else:
        thread = threading.Thread(target=stream.cancel)
        thread.start()
        thread.join()
        list(iterator)
    assert len(one(engine, max_new_tokens=3).steps) == 3
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            result = stream.result
            break
        except EngineError:
            time.sleep(0.02)
    assert result.finish == "cancelled"
    assert 3 <= len(result.steps) < 200
    assert result.text == "".join(step.text for step in result.steps)


@pytest.mark.parametrize(
    "options",
    [
        {"max_new_tokens": 0},
        {"temperature": -1.0},
        {"top_p": 0.0},
        {"min_p": 2.0},
        {"top_k": -1},
        {"repeat_penalty": 0.0},
        {"n_best": -1},
        {"stop": ("",)},
    ],
)
def test_options_out_of_range_are_refused_by_name(engine, options):
    with pytest.raises(EngineError, match=next(iter(options))):
        one(engine, **options)


def test_ids_that_the_vocabulary_lacks_are_refused(engine):
    with pytest.raises(EngineError, match="token ids"):
        one(engine, (1, 100_000))
    with pytest.raises(EngineError, match="empty"):
        one(engine, ())


def test_a_window_beyond_the_model_is_refused(engine, files):
    with pytest.raises(EngineError, match="512"):
        type(engine)(files["random"], EngineOptions(mode="exact", window=4096))


# --- adapters -------------------------------------------------------------------------------------------

SMALL = (adapter_tensors(SHAPE, ("attn_q", "attn_k"), 4, seed=1), 4)
LARGE = (adapter_tensors(SHAPE, ("attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"), 8, seed=2), 8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return {
        "small": write_adapter(folder / "small", *SMALL),
        "large": write_adapter(folder / "large", *LARGE, alpha=4.0, use_rslora=True),
    }


@pytest.fixture(scope="module")
def adapted(engine, folders):
    for name, path in folders.items():
        engine.load_adapter(name, path)
    return engine


@pytest.fixture(scope="module")
def adapted_reference(reference, folders):
    for name, path in folders.items():
        reference.load_adapter(name, path)
    return reference


def test_adapters_give_the_numbers_of_peft(adapted, adapted_reference, tolerance):
    assert set(adapted.adapters) == {"small", "large"}
    ids = random_ids(50, seed=7)
    rows = {
        name: adapted_reference.distributions(ids, last=20, adapter=name) for name in (None, "small", "large")
    }
    assert np.abs(rows[None] - rows["small"]).max() > 0.5 and np.abs(rows[None] - rows["large"]).max() > 0.5
    for name, want in rows.items():
        got = adapted.distributions(ids, last=20, adapter=name)
        assert (np.exp(want) * np.abs(got - want)).sum(axis=1).max() <= 2 * tolerance, name


def test_adapters_mixed_in_one_batch(adapted, adapted_reference, tolerance):
    names = [None, "small", "large", "small", None, "large"]
    ids = [random_ids(30 + 3 * number, seed=number) for number in range(len(names))]
    got = adapted.score([ScoreRequest(i, 20, name) for i, name in zip(ids, names, strict=True)])
    want = adapted_reference.score([ScoreRequest(i, 20, name) for i, name in zip(ids, names, strict=True)])
    for ours, theirs in zip(got, want, strict=True):
        assert np.abs(ours - theirs).mean() <= 5 * tolerance
    # ... and while they write
    requests = [
        Request(i, GenerateOptions(max_new_tokens=4), name) for i, name in zip(ids, names, strict=True)
    ]
    for ours, theirs in zip(adapted.generate(requests), adapted_reference.generate(requests), strict=True):
        assert ours.steps[0].log_probability == pytest.approx(
            theirs.steps[0].log_probability, abs=5 * tolerance
        )


def test_a_known_prefix_belongs_to_its_adapter(adapted, adapted_reference, tolerance):
    """The base model's keys and values must not serve an adapter, nor an old adapter's a new one."""
    ids = random_ids(120, seed=11)
    for name in (None, "small", None, "large"):
        want = adapted_reference.distributions(ids, last=1, adapter=name)
        got = adapted.distributions(ids, last=1, adapter=name)
        assert (np.exp(want) * np.abs(got - want)).sum() <= 5 * tolerance, name


def test_a_replaced_adapter_answers_at_once(adapted, adapted_reference, folders, tolerance, tmp_path):
    ids = random_ids(90, seed=12)
    before = adapted.distributions(ids, adapter="small")
    other = write_adapter(tmp_path / "other", adapter_tensors(SHAPE, ("attn_v", "ffn_up"), 2, seed=9), 2)
    try:
        for engine in (adapted, adapted_reference):
            engine.load_adapter("small", other)
        after = adapted.distributions(ids, adapter="small")
        want = adapted_reference.distributions(ids, adapter="small")
        assert np.abs(after - before).max() > 0.5
        assert (np.exp(want) * np.abs(after - want)).sum() <= 5 * tolerance
    finally:
        for engine in (adapted, adapted_reference):
            engine.load_adapter("small", folders["small"])


def test_a_removed_or_unknown_adapter_is_refused(adapted, folders):
    adapted.load_adapter("short-lived", folders["small"])
    adapted.remove_adapter("short-lived")
    for action in (
        lambda: one(adapted, adapter="short-lived", max_new_tokens=1),
        lambda: adapted.score([ScoreRequest(PROMPT, 2, "nobody")]),
        lambda: adapted.remove_adapter("nobody"),
    ):
        with pytest.raises(AdapterError, match="not loaded"):
            action()
    assert set(adapted.adapters) == {"small", "large"}


def wrong_adapters():
    tensors, rank = SMALL
    name_a = next(name for name in tensors if "lora_A" in name)
    no_place = {**tensors, "base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": tensors[name_a]}
    wrong_shape = {**tensors, name_a: np.zeros((rank, 7), np.float32)}
    lone = {name: value for name, value in tensors.items() if name != name_a}
    not_finite = {**tensors, name_a: np.full_like(tensors[name_a], np.nan)}
    return {
        "no place": (no_place, {}, "no place"),
        "wrong shape": (wrong_shape, {}, "shapes"),
        "lone B": (lone, {}, "only its lora_B"),
        "not finite": (not_finite, {}, "not finite"),
        "DoRA": (tensors, {"use_dora": True}, "use_dora"),
        "saved modules": (tensors, {"modules_to_save": ["lm_head"]}, "modules_to_save"),
        "biases": (tensors, {"bias": "all"}, "bias"),
        "other method": (tensors, {"peft_type": "IA3"}, "IA3"),
        "nothing": ({"x": np.zeros(1, np.float32)}, {}, "no place"),
    }


@pytest.mark.parametrize("case", wrong_adapters())
def test_a_wrong_adapter_is_refused_with_the_reason(engine, tmp_path, case):
    tensors, changes, reason = wrong_adapters()[case]
    before = engine.adapters
    with pytest.raises(AdapterError, match=reason):
        engine.load_adapter("wrong", write_adapter(tmp_path / "wrong", tensors, 4, **changes))
    with pytest.raises(AdapterError):
        engine.load_adapter("wrong", tmp_path / "nowhere")
    assert engine.adapters == before
    assert len(one(engine, max_new_tokens=2).steps) == 2


@pytest.mark.parametrize("name", ENGINES)
def test_a_closed_engine_says_so(name, files):
    engine = open_named(name, files["random"], files["folder"] / "cache")
    one(engine, max_new_tokens=1)
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        one(engine, max_new_tokens=1)
