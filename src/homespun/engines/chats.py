"""Chats that outlive the process: one file each in the home, one line per finished turn and its answer.

A line is written whole and flushed to the disk before the next question is asked. A last line that was cut
off (the machine went down) counts as never written, and the next one takes its place.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from homespun.engines.errors import ChatError
from homespun.models.storage import disk_error, try_lock
from homespun.models.template import Message, ToolCall

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class ChatRecord:
    """What a file of a chat holds.

    Attributes:
        model: what wrote the last answer; system: the instructions that it had; both None in an empty chat.
        adapter: the adapter that wrote the last answer, by its name or folder; None: the model itself.
        time: of the last answer, in UTC, ISO 8601; empty in an empty chat.
        n_answers: finished turns with their answers.
        size_bytes: of the file's whole lines.
    """

    name: str
    messages: tuple[Message, ...] = ()
    model: str | None = None
    system: str | None = None
    time: str = ""
    n_answers: int = 0
    size_bytes: int = 0
    adapter: str | None = None


class KeptChat:
    """One chat, open in this process alone. Close it to let others have it.

    Attributes:
        record: what was there when it was opened.

    Raises:
        ChatError: a name that cannot be a file's, another process has the chat, or a line that is no turn.
        HomeError: the folder cannot be written.
    """

    def __init__(self, root: Path, name: str) -> None:
        self._path = _chat_path(root, name)
        self._lock = _taken(self._path)
        try:
            self.record = _read(self._path)
        except BaseException:
            os.close(self._lock)
            raise
        self._size_bytes = self.record.size_bytes

    def append(
        self, messages: Sequence[Message], *, model: str, system: str | None, adapter: str | None = None
    ) -> None:
        """Keep one turn with its answer; when this returns, it is on the disk."""
        line = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "model": model,
            "system": system,
            **({} if adapter is None else {"adapter": adapter}),
            "messages": [_as_json(message) for message in messages],
        }
        # Half of a character pair has no UTF-8; its JSON escape has.
        data = json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            with os.fdopen(handle, "r+b") as file:
                file.truncate(self._size_bytes)
                file.seek(self._size_bytes)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(error, self._path) from error
        self._size_bytes += len(data)

    def close(self) -> None:
        """Let other processes have the chat."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_chat(root: Path, name: str) -> ChatRecord:
    """A kept chat, also while another process goes on with it.

    Raises:
        ChatError: there is none of that name, or a line in it is no turn.
    """
    return _read(_existing(root, name))


def list_chats(root: Path) -> list[ChatRecord]:
    """All kept chats with an answer, the last used first. One that cannot be read is named with no answers."""
    found = []
    for path in sorted((root / "chats").glob("*.jsonl")):
        try:
            record = _read(path)
        except ChatError:
            found.append(ChatRecord(path.stem))
            continue
        if record.n_answers:
            found.append(record)
    return sorted(found, key=lambda record: record.time, reverse=True)


def last_chat(root: Path) -> str:
    """Name of the chat that was used last.

    Raises:
        ChatError: no chat was kept yet.
    """
    chats = [record for record in list_chats(root) if record.n_answers]
    if not chats:
        raise ChatError("no chat was kept yet", remedy="Begin one with `homespun run --chat NAME`.")
    return chats[0].name


def remove_chat(root: Path, name: str) -> None:
    """Delete a kept chat, readable or not.

    Raises:
        ChatError: there is none of that name, or another process has it.
    """
    path = _existing(root, name)
    lock = _taken(path)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        os.close(lock)


def _existing(root: Path, name: str) -> Path:
    path = _chat_path(root, name)
    if not path.is_file():
        raise ChatError(f"there is no chat {name!r}", remedy="`homespun chats list` shows what there is.")
    return path


def _taken(path: Path) -> int:
    """The open lock file of a chat. It is never deleted, so that nobody can hold a lock on a deleted one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(f".{path.stem}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise disk_error(error, path) from error
    if try_lock(lock):
        return lock
    os.close(lock)
    raise ChatError(
        f"the chat {path.stem!r} is open in another process", remedy="End it there, or use another name."
    )


def _chat_path(root: Path, name: str) -> Path:
    if not _NAME.fullmatch(name) or name.endswith("."):
        raise ChatError(
            f"a chat cannot be called {name!r}",
            remedy="Use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first.",
        )
    return root / "chats" / f"{name}.jsonl"


def _read(path: Path) -> ChatRecord:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return ChatRecord(path.stem)
    except OSError as error:
        raise ChatError(f"cannot be read: {error.strerror}", where=str(path)) from error
    messages: list[Message] = []
    line: dict[str, Any] = {}
    n_answers = size_bytes = 0
    for number, data in enumerate(lines[:-1], 1):
        try:
            line = json.loads(data)
            messages += [_as_message(item) for item in line["messages"]]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if not any(lines[number:]):  # the last one: what a crash left
                break
            raise ChatError(
                f"line {number} is no turn of a chat",
                where=str(path),
                remedy="Take that line out, or remove the chat.",
            ) from error
        n_answers += 1
        size_bytes += len(data) + 1
    if not n_answers:
        return ChatRecord(path.stem)
    last = json.loads(lines[n_answers - 1])
    model, system, time = last.get("model"), last.get("system"), str(last.get("time", ""))
    return ChatRecord(
        path.stem, tuple(messages), model, system, time, n_answers, size_bytes, last.get("adapter")
    )


def _as_json(message: Message) -> dict[str, Any]:
    item: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        item["name"] = message.name
    if message.tool_calls:
        item["tool_calls"] = [
            {"name": call.name, "arguments": dict(call.arguments)} for call in message.tool_calls
        ]
    return item


def _as_message(item: Mapping[str, Any]) -> Message:
    calls = tuple(ToolCall(str(call["name"]), dict(call["arguments"])) for call in item.get("tool_calls", ()))
    if not isinstance(item["content"], str) or item["role"] not in ("user", "assistant", "tool"):
        raise ValueError("no message")
    return Message(item["role"], item["content"], calls, item.get("name"))
