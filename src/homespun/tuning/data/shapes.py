"""A row of each shape as an example."""

import json
from collections.abc import Mapping
from typing import Any

from homespun.models.template import Message
from homespun.tuning.data.columns import FoundColumns
from homespun.tuning.data.turns import RowError, as_tools, as_turns
from homespun.tuning.examples import Example

#: What is learnt as the answer to a question that is marked as unanswerable.
NO_ANSWER = "The documents do not say."


def row_example(values: Mapping[str, Any], columns: FoundColumns, file: str, line: int) -> Example:
    """The example that a row is.

    Raises:
        RowError: it is none; with the kind of problem.
    """
    get = {part: values.get(name) for part, name in columns.names.items()}
    group = _optional_text(get.get("group"), "group")
    if columns.shape == "text":
        return Example(text=_text(get["text"], columns.names["text"]), file=file, line=line, group=group)
    if columns.shape == "chat":
        turns = as_turns(get["messages"], columns.names["messages"])
        tools = as_tools(get.get("tools"))
    else:
        answer = _response(get["response"], columns, values)
        prompt = _prompt(get["prompt"], columns.names["prompt"], _optional_text(get.get("input"), "input"))
        turns, tools = [*prompt, *answer], ()
    system = _optional_text(get.get("system"), "system")
    if system and turns[0].role != "system":
        turns = [Message("system", system), *turns]
    if not any(turn.role == "assistant" and (turn.content.strip() or turn.tool_calls) for turn in turns):
        raise RowError("turns", "The assistant says nothing in this chat.")
    return Example(messages=tuple(turns), tools=tools, file=file, line=line, group=group)


def _prompt(value: Any, column: str, about: str) -> list[Message]:
    if isinstance(value, list):
        return as_turns(value, column)
    text = _text(value, column)
    return [Message("user", f"{text}\n\n{about}" if about else text)]


def _response(value: Any, columns: FoundColumns, values: Mapping[str, Any]) -> list[Message]:
    column = columns.names["response"]
    if columns.shape == "question set":
        return [Message("assistant", _first_answer(value, column, is_none=values.get("unanswerable")))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return as_turns(value, column)
    return [Message("assistant", _text(value, column))]


def _first_answer(value: Any, column: str, *, is_none: Any) -> str:
    if is_none is True or str(is_none).casefold() == "true":
        return NO_ANSWER
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return _text(value, column)
    if isinstance(value, dict):  # as SQuAD keeps them
        value = value.get("text")
    if isinstance(value, list):
        value = next((answer for answer in value if answer), None)
    return _text(value, column)


def _text(value: Any, column: str) -> str:
    text = _optional_text(value, column)
    if not text:
        raise RowError("empty", f"There is nothing in {column!r}.")
    return text


def _optional_text(value: Any, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list, tuple, bytes)):
        raise RowError("type", f"{column!r} must be a text, and this is {_kind(value)}.")
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if text.strip() else ""


def _kind(value: Any) -> str:
    return "an object" if isinstance(value, dict) else "bytes" if isinstance(value, bytes) else "a list"
