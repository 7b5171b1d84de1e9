"""Kept chats: what was answered is there again, whatever a crash left behind."""

import json
import subprocess
import sys

import pytest

from homespun.engines.chats import KeptChat, last_chat, list_chats, read_chat, remove_chat
from homespun.engines.errors import ChatError
from homespun.models.template import Message, ToolCall

FIRST = (Message("user", "Hi 歪\n"), Message("assistant", "Hello."))
SECOND = (Message("user", "x"), Message("assistant", "", (ToolCall("get", {"a": [1, "ä"]}),)))


def two_turns(root, name="a"):
    with KeptChat(root, name) as chat:
        chat.append(FIRST, model="m1", system=None)
        chat.append(SECOND, model="m2", system="Be kind.")
    return root / "chats" / f"{name}.jsonl"


def test_a_chat_is_read_as_it_was_kept(tmp_path):
    two_turns(tmp_path)
    record = read_chat(tmp_path, "a")
    assert record.messages == FIRST + SECOND
    assert (record.model, record.system, record.n_answers) == ("m2", "Be kind.", 2)


def test_a_cut_anywhere_loses_at_most_the_turn_that_was_being_written(tmp_path):
    path = two_turns(tmp_path)
    whole = path.read_bytes()
    first_bytes = whole.index(b"\n") + 1
    for size in range(len(whole)):
        for tail in (b"", b"\0\0\n") if size > first_bytes else (b"",):
            path.write_bytes(whole[:size] + tail)
            with KeptChat(tmp_path, "a") as chat:
                kept = chat.record.messages
                assert kept == (FIRST if size >= first_bytes else ())
                if size % 17 == 0:
                    chat.append(SECOND, model="m", system=None)
                    assert read_chat(tmp_path, "a").messages == kept + SECOND
                    assert all(json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())


def test_a_bad_line_in_the_middle_is_named_and_the_chat_can_be_removed(tmp_path):
    path = two_turns(tmp_path)
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(ChatError, match="line 1 is no turn"):
        KeptChat(tmp_path, "a")
    assert [record.n_answers for record in list_chats(tmp_path)] == [0]
    remove_chat(tmp_path, "a")
    assert not path.exists() and not list_chats(tmp_path)
    with pytest.raises(ChatError, match="no chat 'a'"):
        remove_chat(tmp_path, "a")


def test_only_one_process_has_a_chat(tmp_path):
    code = (
        "import sys; from pathlib import Path; from homespun.engines.chats import KeptChat\n"
        f"chat = KeptChat(Path({str(tmp_path)!r}), 'a'); print('open', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"open\n"
    for attempt in (lambda: KeptChat(tmp_path, "a"), lambda: two_turns(tmp_path)):
        with pytest.raises(ChatError, match="open in another process"):
            attempt()
    process.kill()
    process.communicate()
    two_turns(tmp_path)  # a killed process holds nothing


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "x" * 65, "a\n", "a.", "ä"]
)
def test_names_are_no_paths(tmp_path, name):
    with pytest.raises(ChatError, match="cannot be called"):
        KeptChat(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_the_last_chat_is_the_one_used_last(tmp_path):
    with pytest.raises(ChatError, match="no chat was kept yet"):
        last_chat(tmp_path)
    for name, time in (("a", "2026-01-02"), ("b", "2026-01-03"), ("c", "2026-01-01")):
        path = two_turns(tmp_path, name)
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        path.write_text("".join(json.dumps({**line, "time": time}) + "\n" for line in lines))
    with KeptChat(tmp_path, "d"):  # opened, but nothing was answered
        pass
    assert last_chat(tmp_path) == "b" and [c.name for c in list_chats(tmp_path)] == ["b", "a", "c"]


def test_half_a_character_pair_is_kept(tmp_path):
    turns = (Message("user", "\udc80"), Message("assistant", "?"))
    with KeptChat(tmp_path, "a") as chat:
        chat.append(turns, model="m", system=None)
    assert read_chat(tmp_path, "a").messages == turns
