"""Style write: the model answers from the passages; what it claims is checked afterwards."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from homespun.engines.engine import Engine, GenerateOptions, Generation, Request
from homespun.rag.prompt import FittedPrompt

#: Numbers that a model puts behind its sentences. Sources come from the check, never from the model.
_MARK = re.compile(r"[ \t]*\[(?:passage )?\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*\]", re.IGNORECASE)
_MAY_BECOME_MARK = re.compile(r"[ \t]+\Z|[ \t]*\[[^\]\[\n]{0,24}\Z")
_REFUSAL = re.compile(
    r"\b(?:passages?|documents?|text|context|information|they|it)\b[^.]{0,40}\b(?:do(?:es)? not|don['’]t|doesn['’]t|"
    r"did not|cannot|is not|are not)\b[^.]{0,30}\b(?:say|mention|contain|provide|specify|state|include|answer|"
    r"tell|provided|specified|mentioned)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Written:
    """What the model wrote, without its own source marks; `text` is exactly what was streamed."""

    text: str
    generation: Generation

    @property
    def is_refusal(self) -> bool:
        """Whether it says in one sentence that the passages do not hold the answer."""
        return len(self.text) < 200 and _REFUSAL.search(self.text) is not None


class MarkFilter:
    """Takes source marks like "[9]" out of a text that arrives in pieces."""

    def __init__(self) -> None:
        self._pending = ""
        self._is_started = False

    def push(self, piece: str) -> str:
        """What is certain now: all but the beginning of a possible mark."""
        self._pending = _MARK.sub("", self._pending + piece)
        waiting = _MAY_BECOME_MARK.search(self._pending)
        at = waiting.start() if waiting else len(self._pending)
        ready, self._pending = self._pending[:at], self._pending[at:]
        if not self._is_started:
            ready = ready.lstrip()
            self._is_started = bool(ready)
        return ready

    def flush(self) -> str:
        """The rest, at the end of the text."""
        rest, self._pending = self._pending, ""
        return rest.rstrip() if self._is_started else rest.strip()


def write_answer(
    engine: Engine,
    prompt: FittedPrompt,
    options: GenerateOptions,
    on_text: Callable[[str], None] | None = None,
) -> Written:
    """Let the model answer.

    Args:
        engine: the model.
        prompt: what it reads.
        options: length and sampling; the template's stop texts are added.
        on_text: told each piece of the answer as it becomes certain.
    """
    stop = (*options.stop, *engine.template.stop_texts)
    options = GenerateOptions(**{**options.__dict__, "stop": stop})
    stream = engine.stream(Request(prompt.token_ids, options))
    marks = MarkFilter()
    pieces: list[str] = []

    def tell(piece: str) -> None:
        if piece:
            pieces.append(piece)
            if on_text:
                on_text(piece)

    for step in stream:
        tell(marks.push(step.text))
    tell(marks.flush())
    return Written("".join(pieces), stream.result)
