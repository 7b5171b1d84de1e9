"""A chat with a model: the turns so far, and the next answer within the window."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from homespun.engines.engine import Engine, GenerateOptions, Generation, GenerationStream, Request, Step
from homespun.engines.errors import WindowError
from homespun.engines.reasoning import opened_marker, split_reasoning
from homespun.engines.tool_calls import ToolAnswer, parse_tool_calls, tool_format
from homespun.models.template import Message, ToolCall

#: Enough tokens from the prompt's end to see an opening marker, however it is cut.
_N_END_TOKENS = 24


@dataclass(frozen=True)
class Answer:
    """An answer taken apart: what it says, what was thought before, which tools it asks for.

    Attributes:
        tool_errors: why something that began like a call stayed text.
    """

    text: str
    reasoning: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_errors: tuple[str, ...] = ()


@dataclass
class Conversation:
    """The turns of one chat. When they no longer fit the window, the oldest leave and are counted.

    Attributes:
        system: instructions that stay, or None for the template's own.
        n_dropped: turns that no longer fit and were left out of the last prompt.
        tools: functions that the model may ask for (see `ChatTemplate.encode`); none is ever run.
        on_answer: told each turn with its answer, once that is finished.
    """

    engine: Engine
    system: str | None = None
    adapter: str | None = None
    messages: list[Message] = field(default_factory=list)
    n_dropped: int = 0
    tools: tuple[Mapping[str, Any], ...] = ()
    on_answer: Callable[[Sequence[Message]], None] | None = None

    def ask(self, text: str, options: GenerateOptions) -> "Reply":
        """Begin the answer to a user's turn; both turns are kept once the reply is read to its end.

        Raises:
            WindowError: the turn alone does not fit the window.
            TemplateError: the template refuses the turns, or has no place for tools.
        """
        turn = Message("user", text)
        token_ids = self._prompt(turn, options)
        return Reply(self, turn, token_ids, self.engine.stream(Request(token_ids, options, self.adapter)))

    def _prompt(self, turn: Message, options: GenerateOptions) -> tuple[int, ...]:
        head = [] if self.system is None else [Message("system", self.system)]
        room = self.engine.facts.window
        # The past may not take the answer's room; the turn itself may, to the last token.
        wanted = min(options.max_new_tokens, room // 4)
        for first in range(0, len(self.messages) + 1, 2):
            token_ids = self._encoded([*head, *self.messages[first:], turn])
            if len(token_ids) + (wanted if first < len(self.messages) else 1) <= room:
                self.n_dropped = first
                return tuple(token_ids)
        raise WindowError(
            f"the message needs {len(token_ids)} tokens; the window holds {room}, answer included",
            remedy="Shorten it, or split it into several.",
        )

    def _encoded(self, messages: Sequence[Message]) -> list[int]:
        template = self.engine.template
        return template.encode(messages, tools=self.tools) if self.tools else template.encode(messages)


class Reply:
    """An answer in a chat while it is written.

    Attributes:
        inside: the marker of a reasoning section that the prompt opened already, or None.
    """

    def __init__(
        self, conversation: Conversation, turn: Message, token_ids: Sequence[int], stream: GenerationStream
    ) -> None:
        self._conversation = conversation
        self._turn = turn
        self._stream = stream
        tokenizer = conversation.engine.tokenizer
        self.inside = opened_marker(tokenizer.decode(token_ids[-_N_END_TOKENS:], skip_control=False))

    def __iter__(self) -> Iterator[Step]:
        yield from self._stream
        answer = self.answer
        # Earlier reasoning does not go back into a prompt.
        turns = [self._turn, Message("assistant", answer.text, answer.tool_calls)]
        self._conversation.messages += turns
        if self._conversation.on_answer is not None:
            self._conversation.on_answer(turns)

    @property
    def result(self) -> Generation:
        """The finished answer."""
        return self._stream.result

    @cached_property
    def answer(self) -> Answer:
        """The finished answer, taken apart."""
        split = split_reasoning(self.result.text, inside=self.inside)
        if not self._conversation.tools:
            return Answer(split.text, split.reasoning)
        found = self._tool_answer()
        return Answer(found.text if found.calls else split.text, split.reasoning, found.calls, found.errors)

    def _tool_answer(self) -> ToolAnswer:
        engine = self._conversation.engine
        # Markers of calls may be control tokens, which an answer's text leaves out.
        spelled = engine.tokenizer.decode(self.result.token_ids, skip_control=False) or self.result.text
        names = {tool.get("function", tool)["name"] for tool in self._conversation.tools}
        text = split_reasoning(spelled, inside=self.inside).text
        return parse_tool_calls(text, tool_format(engine.template.text), names)
