"""Chats as files write them (OpenAI, ShareGPT, and what is called like them) as turns with known roles."""

import json
from collections.abc import Mapping
from typing import Any, Literal

from homespun.models.template import Message, Role, ToolCall

ProblemKind = Literal["broken", "width", "quote", "empty", "type", "role", "turns", "file"]

#: Who speaks, by the names in use.
ROLES: dict[str, Role] = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "system": "system",
    "developer": "system",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "function_response": "tool",
}
#: A turn of this speaker is a call, written as JSON.
_CALL_ROLES = ("function_call", "tool_call")


class RowError(Exception):
    """A row that is no example; `kind` as in `RowProblem`."""

    def __init__(self, kind: ProblemKind, what: str) -> None:
        self.kind, self.what = kind, what
        super().__init__(what)


def as_turns(value: Any, column: str) -> list[Message]:
    """The turns of a chat.

    Args:
        value: a list of objects with `role` and `content`, or `from` and `value`; or the JSON text of one.

    Raises:
        RowError: it is something else, or a speaker is unknown.
    """
    if isinstance(value, str):
        value = _parsed(value, column)
    if value is None or value == []:
        raise RowError("empty", f"There is nothing in {column!r}.")
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        raise RowError("type", f"{column!r} must be a list of turns, objects with role and content.")
    return [_turn(turn, number) for number, turn in enumerate(value, 1)]


def as_tools(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The functions that a chat offers.

    Raises:
        RowError: no list of objects.
    """
    if isinstance(value, str):
        value = _parsed(value, "tools") if value.strip() else None
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowError("type", "'tools' must be a list of functions, each an object.")
    return tuple(value)


def _turn(turn: dict[str, Any], number: int) -> Message:
    said_by = turn.get("role", turn.get("from"))
    content = turn.get("content", turn.get("value", turn.get("text")))
    if said_by in _CALL_ROLES:
        call = _parsed(content, f"turn {number}") if isinstance(content, str) else content
        calls = call if isinstance(call, list) else [call]
        return Message("assistant", "", tuple(_call(one, number) for one in calls))
    role = ROLES.get(said_by.casefold()) if isinstance(said_by, str) else None
    if role is None:
        known = ", ".join(ROLES)
        raise RowError("role", f"Turn {number} is said by {said_by!r}, and only these are known: {known}.")
    calls = turn.get("tool_calls") or ([turn["function_call"]] if turn.get("function_call") else [])
    if not isinstance(calls, list):
        raise RowError("type", f"The tool calls of turn {number} must be a list.")
    name = turn.get("name")
    return Message(
        role,
        _content(content, number),
        tuple(_call(call, number) for call in calls),
        name if isinstance(name, str) else None,
    )


def _content(value: Any, number: int) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        texts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
        if len(texts) == len(value) and all(isinstance(text, str) for text in texts):
            return "".join(str(text) for text in texts)
    raise RowError("type", f"The content of turn {number} must be a text.")


def _call(call: Any, number: int) -> ToolCall:
    if isinstance(call, dict):
        function = call.get("function", call)
        if isinstance(function, dict):
            name, arguments = function.get("name"), function.get("arguments", function.get("parameters"))
            if isinstance(arguments, str):
                arguments = _parsed(arguments, f"the arguments of turn {number}") if arguments.strip() else {}
            if isinstance(name, str) and name and isinstance(arguments, dict | None):
                # Parquet writes an argument that another row has as null.
                return ToolCall(name, arguments or {})
    raise RowError("type", f"A tool call of turn {number} needs a name and arguments (an object).")


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError("type", f"{what!r} must be JSON, and is not: {error}.") from None
