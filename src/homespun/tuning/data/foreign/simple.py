"""DK-Bench, ShareGPT and Alpaca: a row of theirs is a row of ours under other names."""

from collections.abc import Mapping
from typing import Any

from homespun.models.template import Message
from homespun.tuning.data.turns import RowError, as_tools, as_turns


def dk_bench_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`user_input` and `reference` as a question and its answer; a judged `response` is left out."""
    return {"question": _text(row, "user_input"), "answers": [_text(row, "reference")]}


def share_gpt_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`conversations` of `from` and `value` as turns with roles; calls, `system` and `tools` too."""
    turns = as_turns(row.get("conversations", row.get("conversation", row.get("messages"))), "conversations")
    system = row.get("system")
    if isinstance(system, str) and system.strip() and turns[0].role != "system":
        turns = [Message("system", system), *turns]
    tools = as_tools(row.get("tools"))
    return {"messages": [_turn(turn) for turn in turns], **({"tools": list(tools)} if tools else {})}


def alpaca_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """`instruction`, `input` and `output` as a prompt and its response; with a `history`, as turns."""
    about = row.get("input")
    prompt = _text(row, "instruction") + (f"\n\n{about}" if isinstance(about, str) and about.strip() else "")
    response, system, history = _text(row, "output"), row.get("system"), row.get("history") or []
    if not history:
        given = {"system": system} if isinstance(system, str) and system.strip() else {}
        return {"prompt": prompt, "response": response, **given}
    if not isinstance(history, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in history
    ):
        raise RowError("type", "'history' must be a list of pairs, what was asked and answered.")
    turns = [Message("system", system)] if isinstance(system, str) and system.strip() else []
    for asked, answered in [*history, [prompt, response]]:
        turns += [Message("user", str(asked)), Message("assistant", str(answered))]
    return {"messages": [_turn(turn) for turn in turns]}


def _turn(message: Message) -> dict[str, Any]:
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"type": "function", "function": {"name": call.name, "arguments": dict(call.arguments)}}
            for call in message.tool_calls
        ]
    if message.name:
        turn["name"] = message.name
    return turn


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise RowError("empty", f"There is no text in {name!r}.")
    return value
