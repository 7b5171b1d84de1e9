"""Text and messages as token ids for servers that take only text, and back.

Everything above the engines speaks in token ids. A remote model's tokenizer is not here, so texts are cut
into pieces of about a token each, numbered as they are first seen. Cutting is exactly reversible; counts are
estimates, and the server says the true ones afterwards.
"""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from homespun.engines.errors import RemoteError
from homespun.models.template import ChatTemplate, Message, Role
from homespun.models.tokenizer import Tokenizer

_PIECE = re.compile(r" ?[^\W\d_]{1,6}|[^\W\d_]{1,6}|\d{1,3}| ?[^\w\s]{1,2}|\s{1,4}|_|.", re.DOTALL)
_ROLES: tuple[Role, ...] = get_args(Role)
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
        names = [*(f"<{role}>" for role in _ROLES), "<end>"]
        for name in names:
            self.texts.append(name)
            self.token_bytes.append(b"")
        self.control_ids = frozenset(range(len(names)))
        self.stop_ids = frozenset((len(names) - 1,))

    def number(self, piece: str) -> int:
        with self._lock:
            if piece not in self.numbers:
                self.texts.append(piece)
                self.token_bytes.append(piece.encode("utf-8"))
                self.numbers[piece] = len(self.texts) - 1
            return self.numbers[piece]


class RemoteTokenizer(Tokenizer):
    """Pieces of text instead of tokens. Safe to share between threads."""

    def __init__(self) -> None:
        self._pieces: Any = _Pieces()
        super().__init__(cast(Any, self._pieces), None, add_bos=False, space_prefix=False)

    @property
    def end_id(self) -> int:
        """Ends a message."""
        return len(_ROLES)

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

    def messages(self, ids: Sequence[int]) -> list[dict[str, str]]:
        """The messages that `RemoteTemplate.encode` made these ids from; plain text is one user message."""
        messages: list[dict[str, str]] = []
        for token_id in ids:
            if token_id < self.end_id:
                messages.append({"role": _ROLES[token_id], "content": ""})
            elif token_id > self.end_id:
                if not messages:
                    messages.append({"role": "user", "content": ""})
                messages[-1]["content"] += self._pieces.texts[token_id]
        return messages


class RemoteTemplate(ChatTemplate):
    """Marks whose turn a text is; the server has the model's own template."""

    def __init__(self, tokenizer: RemoteTokenizer) -> None:
        self.is_fallback = False
        self.text = ""
        self.stop_texts = ()
        self._remote = tokenizer

    @property
    def supports_system(self) -> bool:  # type: ignore[override]
        """The server decides."""
        return True

    def encode(
        self, messages: Sequence[Message], *, add_generation_prompt: bool = True, **more: Any
    ) -> list[int]:
        """Ids from which the same messages come out again; see `ChatTemplate.encode`."""
        if any(more.values()):
            raise RemoteError(f"{', '.join(more)} cannot be sent to a remote model yet")
        ids: list[int] = []
        for message in messages:
            if message.role == "tool" or message.tool_calls:
                raise RemoteError("tool calls cannot be sent to a remote model yet")
            ids += [self._remote.role_id(message.role), *self._remote.encode(message.content)]
            ids.append(self._remote.end_id)
        return ids

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = True, **more: Any) -> str:
        """The messages one below the other, for people to look at."""
        return "\n\n".join(f"{message.role}: {message.content}" for message in messages)
