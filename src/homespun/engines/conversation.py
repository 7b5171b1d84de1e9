"""A chat with a model: the turns so far, and the next answer within the window."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from homespun.engines.engine import Engine, GenerateOptions, Generation, GenerationStream, Request, Step
from homespun.engines.errors import WindowError
from homespun.models.template import Message


@dataclass
class Conversation:
    """The turns of one chat. When they no longer fit the window, the oldest leave and are counted.

    Attributes:
        system: instructions that stay, or None for the template's own.
        n_dropped: turns that no longer fit and were left out of the last prompt.
    """

    engine: Engine
    system: str | None = None
    adapter: str | None = None
    messages: list[Message] = field(default_factory=list)
    n_dropped: int = 0

    def ask(self, text: str, options: GenerateOptions) -> "Reply":
        """Begin the answer to a user's turn; both turns are kept once the reply is read to its end.

        Raises:
            WindowError: the turn alone does not fit the window.
        """
        turn = Message("user", text)
        return Reply(
            self, turn, self.engine.stream(Request(self._prompt(turn, options), options, self.adapter))
        )

    def _prompt(self, turn: Message, options: GenerateOptions) -> tuple[int, ...]:
        head = [] if self.system is None else [Message("system", self.system)]
        room = self.engine.facts.window
        # The past may not take the answer's room; the turn itself may, to the last token.
        wanted = min(options.max_new_tokens, room // 4)
        for first in range(0, len(self.messages) + 1, 2):
            token_ids = self.engine.template.encode([*head, *self.messages[first:], turn])
            if len(token_ids) + (wanted if first < len(self.messages) else 1) <= room:
                self.n_dropped = first
                return tuple(token_ids)
        raise WindowError(
            f"the message needs {len(token_ids)} tokens; the window holds {room}, answer included",
            remedy="Shorten it, or split it into several.",
        )


class Reply:
    """An answer in a chat while it is written."""

    def __init__(self, conversation: Conversation, turn: Message, stream: GenerationStream) -> None:
        self._conversation = conversation
        self._turn = turn
        self._stream = stream

    def __iter__(self) -> Iterator[Step]:
        yield from self._stream
        messages = self._conversation.messages
        messages += [self._turn, Message("assistant", self.result.text)]

    @property
    def result(self) -> Generation:
        """The finished answer."""
        return self._stream.result
