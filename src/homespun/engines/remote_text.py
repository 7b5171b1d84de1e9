"""Text and messages as token ids for servers that take only text, and back.

Everything above the engines speaks in token ids. A remote model's tokenizer is not here, so texts are cut
into pieces of about a token each, numbered as they are first seen. Cutting is exactly reversible; counts are
estimates, and the server says the true ones afterwards.
"""

import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from homespun.engines.errors import RemoteError
from homespun.engines.tool_calls import HERMES_OPEN
from homespun.models.template import ChatTemplate, Message, Role
from homespun.models.tokenizer import Tokenizer

_PIECE = re.compile(r" ?[^\W\d_]{1,6}|[^\W\d_]{1,6}|\d{1,3}| ?[^\w\s]{1,2}|\s{1,4}|_|.", re.DOTALL)
_ROLES: tuple[Role, ...] = get_args(Role)
#: What a text is that no role says: the tools on offer, the calls of a turn (both as JSON), the end.
_MARKS = (*(f"<{role}>" for role in _ROLES), "<tools>", "<calls>", "<end>")
_TOOLS, _CALLS, _END = len(_ROLES), len(_ROLES) + 1, len(_ROLES) + 2
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass
class _Pieces:
    """A vocabulary that grows: what `Tokenizer` and its decoder read."""

    texts: list[str] = field(default_factory=list)
    token_bytes: list[bytes] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)
    markers: dict[str, int] = field(default_factory=dict)
    named_ids: dict[str, int] = field(default_factory=dict)
    control_ids: frozenset[int] = frozenset()
    stop_ids: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        for name in _MARKS:
            self.texts.append(name)
            self.token_bytes.append(b"")
        self.control_ids = frozenset(range(len(_MARKS)))
        self.stop_ids = frozenset((_END,))

    def number(self, piece: str) -> int:
        with self._lock:
            if piece not in self.numbers:
                self.texts.append(piece)
                self.token_bytes.append(piece.encode("utf-8"))
                self.numbers[piece] = len(self.texts) - 1
            return self.numbers[piece]


@dataclass(frozen=True)
class RemoteChat:
    """Messages and tools as an OpenAI-compatible server takes them."""

    messages: list[dict[str, Any]]
    tools: list[Any]


class RemoteTokenizer(Tokenizer):
    """Pieces of text instead of tokens. Safe to share between threads."""

    def __init__(self) -> None:
        self._pieces: Any = _Pieces()
        super().__init__(cast(Any, self._pieces), None, add_bos=False, space_prefix=False)

    @property
    def end_id(self) -> int:
        """Ends a message."""
        return _END

    def role_id(self, role: str) -> int:
        """Begins a message of a role."""
        return _ROLES.index(role)  # type: ignore[arg-type]

    def intern(self, piece: str) -> int:
        """The id of one piece, such as a token that the server reports."""
        return int(self._pieces.number(_SURROGATES.sub("\ufffd", piece)))

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """See `Tokenizer.encode_with_offsets`."""
        found = list(_PIECE.finditer(_SURROGATES.sub("\ufffd", text)))
        return [self.intern(piece[0]) for piece in found], [piece.span() for piece in found]

    def _encode_plain(self, text: str) -> list[int]:
        return self.encode_with_offsets(text)[0]

    def chat(self, ids: Sequence[int]) -> RemoteChat:
        """What `RemoteTemplate.encode` made these ids from; plain text is one user message."""
        parts: list[tuple[int, str]] = []
        for token_id in ids:
            if token_id < _END:
                parts.append((token_id, ""))
            elif token_id > _END:
                mark, text = parts.pop() if parts else (_ROLES.index("user"), "")
                parts.append((mark, text + self._pieces.texts[token_id]))
        return _chat(parts)


def _chat(parts: Sequence[tuple[int, str]]) -> RemoteChat:
    """Marked texts as the wire has them. Tools answer the calls before them in order, which numbers the calls."""
    messages: list[dict[str, Any]] = []
    tools: list[Any] = []
    waiting: list[str] = []
    n_calls = 0
    for mark, text in parts:
        if mark == _TOOLS:
            tools = json.loads(text)
        elif mark == _CALLS:
            calls = []
            for call in json.loads(text):
                waiting.append(f"call_{n_calls}")
                calls.append({"id": waiting[-1], "type": "function", "function": call})
                n_calls += 1
            messages[-1]["tool_calls"] = calls
        elif _ROLES[mark] == "tool":
            if not waiting:
                raise RemoteError("a tool answers, but nothing before it called one")
            messages.append({"role": "tool", "content": text, "tool_call_id": waiting.pop(0)})
        else:
            messages.append({"role": _ROLES[mark], "content": text})
    return RemoteChat(messages, tools)


class RemoteTemplate(ChatTemplate):
    """Marks whose turn a text is; the server has the model's own template."""

    def __init__(self, tokenizer: RemoteTokenizer) -> None:
        self.is_fallback = False
        self.text = HERMES_OPEN  # calls that the server reports are written in this way
        self.stop_texts = ()
        self._remote = tokenizer

    @property
    def supports_system(self) -> bool:  # type: ignore[override]
        """The server decides."""
        return True

    def encode(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
        **more: Any,
    ) -> list[int]:
        """Ids from which the same messages and tools come out again; see `ChatTemplate.encode`."""
        if any(more.values()):
            raise RemoteError(f"{', '.join(more)} cannot be sent to a remote model yet")
        remote = self._remote
        ids: list[int] = []
        if tools:
            ids += [_TOOLS, *remote.encode(json.dumps(list(tools))), _END]
        for message in messages:
            ids += [remote.role_id(message.role), *remote.encode(message.content)]
            if message.tool_calls:
                calls = [
                    {"name": call.name, "arguments": json.dumps(dict(call.arguments))}
                    for call in message.tool_calls
                ]
                ids += [_CALLS, *remote.encode(json.dumps(calls))]
            ids.append(_END)
        return ids

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True, **more: Any) -> str:
        """The messages one below the other, for people to look at."""
        return "\n\n".join(f"{message.role}: {message.content}" for message in messages)
