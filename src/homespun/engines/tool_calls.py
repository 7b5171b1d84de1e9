"""The calls of tools that a model's answer asks for, read from the model's own way of writing them.

Which way that is, the chat template tells: it shows the model its own earlier calls. Nothing is ever run.
What cannot be read as a call stays text.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from homespun.models.template import ToolCall

ToolFormat = Literal["hermes", "mistral", "llama3"]

HERMES_OPEN, HERMES_CLOSE = "<tool_call>", "</tool_call>"
_MISTRAL = "[TOOL_CALLS]"
_PYTHON_TAG = "<|python_tag|>"
_NAMED = re.compile(r"([\w.-]+)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?\s*(?=\{)")
_SPACE = re.compile(r"\s*")
_BETWEEN = re.compile(r"[\s;]*")


@dataclass(frozen=True)
class ToolAnswer:
    """An answer taken apart.

    Attributes:
        text: what is no call.
        calls: in the order in which they were written.
        errors: why something that began like a call stayed text, a sentence each.
    """

    text: str
    calls: tuple[ToolCall, ...] = ()
    errors: tuple[str, ...] = ()


def tool_format(template_text: str) -> ToolFormat:
    """How a model writes calls; where its template shows no marker, as bare JSON like Llama 3.1."""
    if _MISTRAL in template_text:
        return "mistral"
    return "hermes" if HERMES_OPEN in template_text else "llama3"


def parse_tool_calls(text: str, style: ToolFormat, names: Collection[str] | None = None) -> ToolAnswer:
    """Find the calls in an answer.

    Args:
        text: the answer without its reasoning, markers of the model spelled out.
        style: see `tool_format`.
        names: tools that were offered; a call of any other stays text. None allows all.
    """
    return {"hermes": _hermes, "mistral": _mistral, "llama3": _llama3}[style](text, names)


def _hermes(text: str, names: Collection[str] | None) -> ToolAnswer:
    calls: list[ToolCall] = []
    errors: list[str] = []
    kept, place = "", 0
    while (start := text.find(HERMES_OPEN, place)) >= 0:
        kept += text[place:start]
        try:
            value, end = _json_at(text, start + len(HERMES_OPEN))
            end = _after_space(text, end)
            if end < len(text) and not text.startswith(HERMES_CLOSE, end):
                raise ValueError("something follows its JSON")
            calls.append(_call(value, names))
            place = min(end + len(HERMES_CLOSE), len(text))
        except ValueError as error:
            errors.append(f"A tool call was not understood: {error}.")
            close = text.find(HERMES_CLOSE, start)
            place = len(text) if close < 0 else close + len(HERMES_CLOSE)
            kept += text[start:place]
    return ToolAnswer((kept + text[place:]).strip() if calls else text, tuple(calls), tuple(errors))


def _mistral(text: str, names: Collection[str] | None) -> ToolAnswer:
    start = text.find(_MISTRAL)
    if start < 0:
        return ToolAnswer(text)
    calls: list[ToolCall] = []
    place = start
    try:
        while text.startswith(_MISTRAL, place):
            place = _after_space(text, place + len(_MISTRAL))
            named = _NAMED.match(text, place)
            if named:
                arguments, place = _json_at(text, named.end())
                calls.append(_call({"name": named[1], "arguments": arguments}, names))
            else:
                values, place = _json_at(text, place)
                calls += [_call(value, names) for value in (values if isinstance(values, list) else [values])]
            place = _after_space(text, place)
    except ValueError as error:
        return ToolAnswer(text, (), (f"A tool call was not understood: {error}.",))
    return ToolAnswer((text[:start] + text[place:]).strip(), tuple(calls))


def _llama3(text: str, names: Collection[str] | None) -> ToolAnswer:
    before, tag, written = text.partition(_PYTHON_TAG)
    if not tag:
        before, written = "", text
        if not text.lstrip().startswith("{"):
            return ToolAnswer(text)
    calls: list[ToolCall] = []
    place = _after_space(written, 0)
    try:
        while not calls or place < len(written):
            value, place = _json_at(written, place)
            if not tag and not calls and not (isinstance(value, dict) and "name" in value):
                return ToolAnswer(text)  # an answer that happens to be JSON
            calls.append(_call(value, names))
            matched = _BETWEEN.match(written, place)
            place = matched.end() if matched else place
    except ValueError as error:
        return ToolAnswer(text, (), (f"A tool call was not understood: {error}.",))
    return ToolAnswer(before.strip(), tuple(calls))


def _json_at(text: str, place: int) -> tuple[Any, int]:
    try:
        return json.JSONDecoder(parse_constant=_no_number).raw_decode(text, _after_space(text, place))
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error.msg} at character {error.pos + 1})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _after_space(text: str, place: int) -> int:
    matched = _SPACE.match(text, place)
    return matched.end() if matched else place


def _call(value: Any, names: Collection[str] | None) -> ToolCall:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        raise ValueError("it names no tool")
    name = value["name"]
    if names is not None and name not in names:
        raise ValueError(f"there is no tool {name!r}")
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):  # some models write the object as a string
        arguments, _ = _json_at(arguments, 0)
    if not isinstance(arguments, dict):
        raise ValueError("its arguments are no object")
    return ToolCall(name, arguments)
