"""What is learnt: a text, or the assistant's turns of a chat."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from homespun.models.template import Message


@dataclass(frozen=True)
class Example:
    """One thing to learn.

    Attributes:
        messages: the turns of a chat; the assistant's are learnt. Empty where `text` is given.
        text: a plain text that is learnt whole (continued pre-training).
        tools: functions that the chat offers (see `ChatTemplate.encode`).
        file, line: where it was read, counted from 1; line 0: unknown.
        group: examples of one group (a document, a patient) stay on one side of a split; empty: its own.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    tools: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    file: str = ""
    line: int = 0
    group: str = ""

    @property
    def prompt(self) -> str:
        """What comes before the last turn, a turn a line: for messages and comparisons, never for training."""
        return "\n".join(message.content for message in self.messages[:-1])

    @property
    def response(self) -> str:
        """The last turn's text, or the whole plain text."""
        return self.messages[-1].content if self.messages else self.text


@dataclass(frozen=True)
class EncodedExample:
    """The tokens that the model sees, and which of them it learns to write.

    Attributes:
        token_ids: as the serving engine would be given them, the answer and its end token behind.
        labelled: per token, whether it carries loss (it is predicted from those before it).
    """

    token_ids: tuple[int, ...]
    labelled: tuple[bool, ...]
    file: str = ""
    line: int = 0

    @property
    def n_labelled(self) -> int:
        """Tokens that carry loss."""
        return sum(self.labelled)
