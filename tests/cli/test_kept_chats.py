"""`homespun run --chat`: a chat goes on in another process; `homespun chats` lists, shows and removes it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ran import Ran


@pytest.mark.long
def test_a_chat_goes_on_in_another_process(homespun: Callable[..., Ran], tmp_path: Path) -> None:
    say = ("run", "--max-new-tokens", "6", "--json")
    first = homespun(*say, "My name is Ada.", "--chat", "ada", "--system", "Be brief.")
    assert first.code == 0, first.err
    second = homespun(*say, "What is my name?", "-c")
    assert second.code == 0, second.err
    assert second.json["tokens"]["prompt"] > first.json["tokens"]["prompt"] + 6
    shown = homespun("chats", "show", "ada", "--json").json
    assert [m["content"] for m in shown["messages"]] == [
        "My name is Ada.", first.json["text"], "What is my name?", second.json["text"],
    ]  # fmt: skip
    assert (shown["system"], shown["model"]) == ("Be brief.", "smollm2")
    (row,) = homespun("chats", "list", "--json").json["chats"]
    assert (row["chat"], row["answers"]) == ("ada", 2)
    assert homespun("chats", "remove", "ada").code == 0
    gone = homespun("chats", "show", "ada")
    assert gone.code == 2 and "no chat 'ada'" in gone.err


def test_tools_for_a_model_without_them_is_one_sentence(homespun: Callable[..., Ran], tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([{"name": "weather", "parameters": {}}]), encoding="utf-8")
    ran = homespun("run", "How is the weather?", "--tools", str(tools))
    assert ran.code == 2 and not ran.out
    assert "no place for tools" in ran.err and "Traceback" not in ran.err
