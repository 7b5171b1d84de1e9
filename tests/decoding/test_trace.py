"""The token-by-token view of an answer, on the real small model and by hand."""

import math
from html.parser import HTMLParser

import numpy as np
import pytest

from homespun.decoding.branch import branch
from homespun.decoding.errors import DecodingError
from homespun.decoding.next import prompt_ids
from homespun.decoding.stages import entropy_nats
from homespun.decoding.trace import HesitationOptions, Trace, TracedToken, entropy_bounds, trace
from homespun.decoding.trace_page import trace_page, write_trace
from homespun.decoding.trace_view import draw_trace
from homespun.engines.engine import Candidate, EngineOptions, GenerateOptions, ScoreRequest
from homespun.engines.openvino.engine import OpenVINOEngine

PASSAGES = (("one", "The garden of Anna has blue roses."), ("two", "Rabbits eat grass."))
ASKED = "Which colour have the roses of Anna?"


@pytest.fixture(scope="module")
def engine(starter_gguf, shared_cache):
    with OpenVINOEngine(
        starter_gguf, EngineOptions(mode="exact", cache_tokens=4096), cache_path=shared_cache
    ) as opened:
        yield opened


@pytest.fixture(scope="module")
def build(engine):
    def made(places):
        before = "\n\n".join(PASSAGES[place][1] for place in places)
        return prompt_ids(engine, ASKED, passage=before or None, chat=True)

    return made


@pytest.fixture(scope="module")
def traced(engine, build):
    return trace(engine, ASKED, build, GenerateOptions(max_new_tokens=10), passages=PASSAGES)


def test_bounds_of_entropy_by_hand():
    # Half is known; the rest, at most .25 each: two of .25 at the least, a hundredth of .5 each at the most.
    low, high = entropy_bounds([math.log(0.25), math.log(0.25)], 102)
    assert low == pytest.approx(math.log(4))
    assert high == pytest.approx(0.5 * math.log(4) + 0.5 * math.log(200))
    assert entropy_bounds([0.0], 10) == (0.0, 0.0)
    assert entropy_bounds([math.log(0.5)] * 2, 2) == pytest.approx((math.log(2), math.log(2)))
    assert entropy_bounds([math.log(0.5)], None)[1] is None


def test_bounds_hold_the_entropy_of_any_odds():
    for seed in range(50):
        random = np.random.default_rng(seed)
        odds = np.sort(random.dirichlet(np.full(random.integers(3, 60), random.uniform(0.05, 3))))[::-1]
        low, high = entropy_bounds(np.log(odds[: random.integers(1, len(odds) + 1)]), len(odds))
        assert high is not None and low - 1e-9 <= entropy_nats(odds) <= high + 1e-9


def test_the_rule_of_hesitation():
    rule = HesitationOptions(doubt_entropy=2, doubt_margin=0.5)
    near = [Candidate(1, math.log(0.4)), Candidate(2, math.log(0.3))]
    far = [Candidate(1, math.log(0.8)), Candidate(2, math.log(0.1))]
    assert rule.reason(1.0, near) == "two near"
    assert rule.reason(2.0, far) == "high entropy"
    assert rule.reason(1.9, far) == "" and rule.reason(None, far[:1]) == ""
    with pytest.raises(DecodingError):
        HesitationOptions(doubt_margin=-1)


def test_each_tokens_figures_are_those_of_a_reading(engine, traced):
    ids = [token.id for token in traced.tokens]
    n = len(ids)
    rows = engine.distributions((*traced.prompt_ids, *ids)[:-1], last=n)
    odds = np.exp(rows.astype(np.float64))
    for token, row, p in zip(traced.tokens, rows, odds, strict=True):
        assert token.log_probability == pytest.approx(row[token.id], abs=1e-4)
        assert token.entropy_low == token.entropy_high == pytest.approx(entropy_nats(p), abs=1e-3)
        best = np.argsort(-row)[:5]
        assert [one.id for one in token.alternatives] == best.tolist()
        assert [one.probability for one in token.alternatives] == pytest.approx(p[best].tolist(), abs=1e-4)
    assert traced.unknown == "" and traced.mean_log_probability == pytest.approx(
        np.mean([row[i] for row, i in zip(rows, ids, strict=True)]), abs=1e-4
    )


def test_a_passage_s_effect_is_the_difference_of_two_readings(engine, build, traced):
    ids = tuple(token.id for token in traced.tokens)
    assert [effect.name for effect in traced.effects] == ["one", "two", "all passages"]
    assert traced.n_readings == 4
    parts = [(1,), (0,), ()]
    requests = [ScoreRequest((*build(p), *ids), len(ids)) for p in [(0, 1), *parts]]
    whole, *others = engine.score(requests)
    for effect, other in zip(traced.effects, others, strict=True):
        assert effect.differences == pytest.approx((whole - other).tolist(), abs=1e-4)
    assert "The garden of Anna" in traced.text
    one, two, _ = traced.effects
    assert one.total > 1 and one.total > two.total  # the passage that the answer repeats is what made it


def test_one_passage_costs_two_readings_and_none_costs_none(engine):
    def build(places):
        return prompt_ids(engine, ASKED, passage="The roses are blue." if places else None)

    options = GenerateOptions(max_new_tokens=2)
    found = trace(engine, ASKED, build, options, passages=[("p", "The roses are blue.")])
    assert [effect.name for effect in found.effects] == ["p"] and found.n_readings == 2
    assert trace(engine, ASKED, build, options).n_readings == 0


def test_a_branch_keeps_what_stood_before_and_goes_on_greedily(engine, build, traced):
    options = GenerateOptions(max_new_tokens=10)
    position = 2
    other = branch(engine, traced, position, None, build, options)
    assert other.tokens[0] == traced.tokens[0] and other.branched_at == 2
    put = other.tokens[1]
    second = next(one for one in traced.tokens[1].alternatives if one.id != traced.tokens[1].id)
    assert (put.id, put.is_given) == (second.id, True)
    assert put.probability == pytest.approx(second.probability)
    # What comes after is what the model writes after that beginning.
    start = (*traced.prompt_ids, *(token.id for token in other.tokens[:position]))
    for token in other.tokens[position : position + 3]:
        row = engine.distributions(start)[0]
        assert token.id == int(np.argmax(row)) and not token.is_given
        start = (*start, token.id)
    assert len(other.tokens) <= 10


def test_a_branch_by_text_and_by_id(engine, build, traced):
    options = GenerateOptions(max_new_tokens=6)
    by_text = branch(engine, traced, 1, "Green and red", build, options)
    ids = engine.tokenizer.encode("Green and red")
    assert [token.id for token in by_text.tokens[: len(ids)]] == ids and len(ids) > 1
    assert by_text.text.startswith("Green and red")
    scored = engine.score([ScoreRequest((*traced.prompt_ids, *ids), len(ids))])[0]
    found = [token.log_probability for token in by_text.tokens[: len(ids)]]
    assert found == pytest.approx(scored.tolist(), abs=1e-4)
    assert branch(engine, traced, 1, ids[0], build, options).tokens[0].id == ids[0]
    end = next(iter(engine.tokenizer.stop_ids))
    ended = branch(engine, traced, 3, end, build, options)
    assert len(ended.tokens) == 3 and ended.finish == "stop"


@pytest.mark.parametrize(("position", "token"), [(0, None), (99, None), (1, -1), (1, 10**9), (1, "")])
def test_a_branch_that_cannot_be(engine, build, traced, position, token):
    with pytest.raises(DecodingError):
        branch(engine, traced, position, token, build, GenerateOptions(max_new_tokens=4))


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attributes)

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_for_itself_and_shows_any_text_as_text():
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=y>\x00\ud800"
    token = TracedToken(1, 7, hostile, -0.5, 1.0, 1.0, (), "high entropy")
    page = trace_page([Trace(hostile, (1,), hostile, (token,), "stop", 0, "a rule")], model=hostile)
    read = _Tags()
    read.feed(page)
    assert not {"script", "img", "link", "iframe"} & set(read.tags)
    assert "<script>alert(1)</script>" in read.text
    assert "http" not in page.replace("http-equiv", "")
    page.encode("utf-8")


def test_page_and_picture_are_written(traced, tmp_path):
    page = write_trace([traced, traced], tmp_path / "trace.html", model="a model")
    read = _Tags()
    read.feed(page.read_text(encoding="utf-8"))
    assert traced.prompt in read.text and "What the passages changed" in read.text
    draw_trace(traced, tmp_path / "trace.png")
    draw_trace(traced, tmp_path / "trace.svg")
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")
    assert "entropy (nats)" in (tmp_path / "trace.svg").read_text()
    with pytest.raises(DecodingError):
        write_trace([traced], tmp_path / "trace.txt", model="")
    with pytest.raises(DecodingError):
        write_trace([traced], tmp_path / "no" / "trace.html", model="")
