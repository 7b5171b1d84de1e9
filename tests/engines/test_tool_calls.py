"""Calls of tools as the families write them; what is no call stays text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.engines.tool_calls import parse_tool_calls, tool_format
from homespun.models.template import ToolCall

PARIS, ROME = ToolCall("weather", {"city": "Paris"}), ToolCall("weather", {"city": "Rome"})
P, R = (
    '{"name": "weather", "arguments": {"city": "Paris"}}',
    '{"name": "weather", "arguments": {"city": "Rome"}}',
)


@pytest.mark.parametrize(
    ("style", "text", "rest", "calls"),
    [
        ("hermes", f"<tool_call>\n{P}\n</tool_call>", "", (PARIS,)),
        ("hermes", f"See.\n<tool_call>{P}</tool_call>\n<tool_call>{R}</tool_call>", "See.", (PARIS, ROME)),
        ("hermes", f"<tool_call>\n{P}", "", (PARIS,)),
        ("hermes", '<tool_call>{"name": "t", "arguments": {"x": "</tool_call>"}}</tool_call>', "",
         (ToolCall("t", {"x": "</tool_call>"}),)),
        ("llama3", '{"name": "weather", "parameters": {"city": "Paris"}}', "", (PARIS,)),
        ("llama3", f"<|python_tag|>{P}; {R}", "", (PARIS, ROME)),
        ("mistral", f"[TOOL_CALLS][{P}, {R}]", "", (PARIS, ROME)),
        ("mistral", f"[TOOL_CALLS] {P}", "", (PARIS,)),
        ("mistral", 'Yes.[TOOL_CALLS]weather[ARGS]{"city": "Paris"}[TOOL_CALLS]weather{"city": "Rome"}', "Yes.",
         (PARIS, ROME)),
        ("hermes", '<tool_call>{"name": "t", "arguments": "{\\"a\\": 1}"}</tool_call>', "", (ToolCall("t", {"a": 1}),)),
        ("llama3", '{"name": "t"}', "", (ToolCall("t", {}),)),
    ],
)  # fmt: skip
def test_calls_are_read(style, text, rest, calls):
    found = parse_tool_calls(text, style)
    assert (found.text, found.calls, found.errors) == (rest, calls, ())


@pytest.mark.parametrize(
    ("style", "text", "says"),
    [
        ("hermes", '<tool_call>{"name": "weather", </tool_call> ok', "no JSON"),
        ("hermes", "<tool_call>[1]</tool_call>", "names no tool"),
        ("hermes", '<tool_call>{"name": "weather", "arguments": 3}</tool_call>', "no object"),
        ("hermes", f"<tool_call>{P} and {R}</tool_call>", "something follows"),
        ("hermes", '<tool_call>{"name": "rm", "arguments": {}}</tool_call>', "no tool 'rm'"),
        ("hermes", '<tool_call>{"name": "weather", "arguments": {"x": NaN}}</tool_call>', "NaN"),
        ("hermes", "<tool_call>" + '{"a":' * 100_000, "deep"),
        ("llama3", '<|python_tag|>weather.call(city="Paris")', "no JSON"),
        ("llama3", '{"name": "weather", "parameters": {"city": "Pa', "no JSON"),
        ("mistral", '[TOOL_CALLS][{"name": "weather"', "no JSON"),
        ("mistral", "[TOOL_CALLS]", "no JSON"),
    ],
    ids=lambda value: value[:40],
)
def test_what_cannot_be_read_stays_text_and_is_told(style, text, says):
    found = parse_tool_calls(text, style, {"weather"})
    assert found.text == text and not found.calls
    (error,) = found.errors
    assert says in error and "\n" not in error


def test_one_bad_call_among_good_ones():
    text = f"<tool_call>{{</tool_call><tool_call>{P}</tool_call>"
    found = parse_tool_calls(text, "hermes")
    assert (found.text, found.calls, len(found.errors)) == ("<tool_call>{</tool_call>", (PARIS,), 1)


@pytest.mark.parametrize("style", ["hermes", "mistral", "llama3"])
@pytest.mark.parametrize("text", ["Hello.", '{"city": "Paris"}', "", "{not JSON", "a < b [x]"])
def test_plain_answers_stay(style, text):
    found = parse_tool_calls(text, style)
    assert found.text == text and not found.calls
    assert not found.errors or text == "{not JSON"


@pytest.mark.parametrize("style", ["hermes", "mistral", "llama3"])
@given(
    pieces=st.lists(
        st.sampled_from(["<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[", "]", "{", "}", P, ";", " x "])
    )
)
def test_nothing_breaks_it(style, pieces):
    text = "".join(pieces)
    found = parse_tool_calls(text, style)
    assert found.calls or found.text == text


def test_the_template_tells_the_way():
    assert tool_format("a [TOOL_CALLS] b") == "mistral"
    assert tool_format("a <tool_call>{json}</tool_call>") == "hermes"
    assert tool_format("<|python_tag|>") == tool_format("") == "llama3"
