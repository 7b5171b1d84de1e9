"""Constrained answers always satisfy their constraint; what cannot be enforced is refused. Field cases G8, G9."""

import json
import re

import jsonschema
import numpy as np
import pytest
from gguf_writer import Shape, write_random
from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.engines.constraint import begin_constraint, with_files_read
from homespun.engines.engine import EngineOptions, GenerateOptions, Request
from homespun.engines.errors import ConstraintError
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.sampling import next_probabilities
from homespun.engines.torch_engine import TorchEngine
from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer

REFERENCES = {
    "$defs": {
        "names": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/name"}},
        "name": {"type": "string", "pattern": "^(a|b(c|d)+){1,3}$"},
    },
    "type": "object",
    "properties": {
        "all": {"$ref": "#/$defs/names"},
        "first": {"$ref": "#/$defs/name"},
        "other": {"$ref": "#/$defs/names/items"},
    },
    "required": ["all", "first", "other"],
    "additionalProperties": False,
}
SCHEMAS = [
    REFERENCES,
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"$ref": "#/prefixItems/0"}], "items": False, "minItems": 2},
    {"type": "integer", "multipleOf": 7, "minimum": -50, "maximum": 100},
    {"type": "string", "minLength": 3, "maxLength": 6},
    {"enum": ["a", 1, None, [1, {"x": "ß"}], '\u2028 "q\\']},
    {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"], "additionalProperties": False},
    {"oneOf": [{"type": "null"}, {"type": "number", "minimum": 0.5, "maximum": 3, "multipleOf": 0.25}]},
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(starter_gguf):
    return Tokenizer.from_gguf(read_gguf(starter_gguf))


@pytest.fixture(scope="module", params=["openvino", "torch"])
def engine(request, tmp_path_factory):
    """A model with random weights: left alone it writes anything."""
    folder = tmp_path_factory.mktemp("models")
    path = write_random(folder / "random.gguf", Shape())
    options = EngineOptions(mode="exact", window=512, threads=1, cache_tokens=2048)
    if request.param == "torch":
        opened = TorchEngine(path, options)
    else:
        opened = OpenVINOEngine(path, options, cache_path=folder / "cache")
    with opened:
        yield opened


def write(engine, max_new_tokens=500, **options):
    return engine.generate([Request((65, 66), GenerateOptions(max_new_tokens, **options))])[0]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
@pytest.mark.parametrize("seed", [0, 1])
def test_answers_satisfy_the_schema(engine, schema, seed):
    result = write(engine, json_schema=json.dumps(schema), temperature=1.0, seed=seed)
    assert result.finish == "stop"
    jsonschema.validate(json.loads(result.text), schema)


def test_answers_match_the_whole_expression(engine):
    for seed in range(3):
        result = write(engine, regex=r"[a-f]{2,5}: (ja|nein|歪)+!", temperature=1.0, seed=seed)
        assert re.fullmatch(r"[a-f]{2,5}: (ja|nein|歪)+!", result.text)


def test_answers_are_of_the_grammar(engine):
    result = write(engine, grammar='start: "(" start ")" | "x"', temperature=1.0, seed=0)
    assert re.fullmatch(r"\(*x\)*", result.text) and result.text.count("(") == result.text.count(")")


def test_the_limit_in_the_middle_is_told(engine):
    result = write(engine, 4, regex="[a-z]{50}")
    assert result.finish == "length" and re.fullmatch("[a-z]+", result.text)


def test_the_length_of_a_text_may_be_great(tokenizer):
    constraint = begin_constraint(
        GenerateOptions(json_schema='{"type": "string", "maxLength": 2000}'), tokenizer
    )
    quote, letter = tokenizer.encode('"')[0], tokenizer.encode("x")[0]
    constraint.advance(quote)
    for _ in range(2000):
        constraint.advance(letter)
    assert not constraint.mask()[letter]
    constraint.advance(quote)
    assert constraint.is_complete and constraint.mask()[tokenizer.eos_id]


@settings(max_examples=15, deadline=None)
@given(schema=st.sampled_from(SCHEMAS), seed=st.integers(0, 2**32))
def test_any_way_through_the_masks_is_valid(tokenizer, schema, seed):
    """Any allowed token at each step, short ones first, control tokens never."""
    random = np.random.default_rng(seed)
    constraint = begin_constraint(GenerateOptions(json_schema=json.dumps(schema)), tokenizer)
    ids = []
    while not constraint.is_complete and len(ids) < 500:
        allowed = np.flatnonzero(constraint.mask())
        assert not set(allowed.tolist()) & (tokenizer.control_ids - tokenizer.stop_ids)
        chosen = int(random.choice(allowed))
        if chosen in tokenizer.stop_ids:
            break
        ids.append(chosen)
        constraint.advance(chosen)
    if len(ids) < 500:
        jsonschema.validate(json.loads(tokenizer.decode(ids)), schema)


def test_the_draw_is_the_models_over_what_is_allowed(tokenizer):
    constraint = begin_constraint(GenerateOptions(regex="[0-9]|[a-z]{1,9}"), tokenizer)
    mask = constraint.mask()
    logits = np.random.default_rng(0).normal(0, 3, tokenizer.n_vocab).astype(np.float32)
    options = GenerateOptions(temperature=0.7)
    drawn_from = next_probabilities(np.where(mask, logits, -np.inf), options, [])
    free = next_probabilities(logits, options, [])
    assert mask.any() and not mask.all()
    assert drawn_from == pytest.approx(np.where(mask, free, 0) / free[mask].sum(), abs=1e-12)
    texts = {tokenizer.token_text(i) for i in np.flatnonzero(mask)}
    words = [i for i in range(tokenizer.n_vocab) if re.fullmatch("[0-9]|[a-z]{1,9}", tokenizer.token_text(i))]
    assert texts == {tokenizer.token_text(i) for i in words}


def test_all_end_tokens_end_where_the_text_may(tokenizer):
    constraint = begin_constraint(GenerateOptions(regex="a+"), tokenizer)
    stops = sorted(tokenizer.stop_ids)
    assert len(stops) > 1 and not constraint.mask()[stops].any()
    constraint.advance(tokenizer.encode("a")[0])
    assert constraint.mask()[stops].all() and not constraint.is_complete


UNENFORCEABLE = [
    ("json_schema", {"properties": {"a": {"type": "string", "pattern": r"\q"}}}, "#/properties/a.*escape"),
    ("json_schema", {"items": {"not": {"type": "string"}}}, r'#/items.*"not"'),
    ("json_schema", {"type": "array", "uniqueItems": True}, "uniqueItems"),
    ("json_schema", {"x-guidance": {"lenient": True}, "uniqueItems": True}, "uniqueItems"),
    ("json_schema", {"type": "strng"}, "strng"),
    ("json_schema", {"$ref": "#/$defs/none"}, "none"),
    ("json_schema", {"type": "integer", "multipleOf": 1000003}, "multipleOf"),
    ("json_schema", {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "nothing can satisfy"),
    ("json_schema", {"$defs": {f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(20000)}}, "2,000"),
    ("json_schema", '{"type":', "not valid JSON"),
    ("json_schema", "[1]", "JSON object"),
    ("json_schema", "[" * 100_000, "brackets"),
    ("json_schema", "@/etc/passwd", "a file is read only"),
    ("regex", "(", "unclosed"),
    ("regex", r"a\q", "escape"),
    ("regex", "(?=a)b", "look"),
    ("json_schema", {"allOf": [{"anyOf": [{"maxLength": i}, {"minLength": i + 1}]} for i in range(20)]}, "large"),
    ("grammar", 'start: other', "other"),
    ("grammar", 'start: <|im_start|> "a"', "no token"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "says"), UNENFORCEABLE, ids=range(len(UNENFORCEABLE)))
def test_what_cannot_be_enforced_is_refused(tokenizer, kind, value, says):
    text = value if isinstance(value, str) else json.dumps(value)
    with pytest.raises(ConstraintError, match=says) as caught:
        begin_constraint(GenerateOptions(**{kind: text}), tokenizer)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def test_nothing_is_written_without_the_constraint(engine):
    with pytest.raises(ConstraintError):
        engine.stream(Request((65,), GenerateOptions(json_schema='{"pattern": "\\\\q"}')))
    with pytest.raises(ConstraintError, match="regex and grammar"):
        engine.stream(Request((65,), GenerateOptions(regex="a", grammar='start: "a"')))


def test_a_token_that_is_not_allowed_is_refused(tokenizer):
    constraint = begin_constraint(GenerateOptions(regex="a"), tokenizer)
    with pytest.raises(ConstraintError, match="does not allow"):
        constraint.advance(tokenizer.encode("b")[0])


def test_files_are_read_where_asked_for(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text('{"type": "null"}', encoding="utf-8")
    assert with_files_read(GenerateOptions(json_schema=f"@{path}")).json_schema == '{"type": "null"}'
    with pytest.raises(ConstraintError, match="No such file"):
        with_files_read(GenerateOptions(grammar=f"@{path}.none"))
