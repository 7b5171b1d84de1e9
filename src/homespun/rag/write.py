"""Style write: the model answers from the passages; what it claims is checked afterwards."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from homespun.engines.engine import Engine, GenerateOptions, Generation, Request
from homespun.rag.prompt import FittedPrompt
from homespun.rag.result import AnswerFinish

#: Shorter sentences ("Yes.") may well stand twice in a good answer.
FEWEST_REPEATED_WORDS = 4
#: Small models go on with the prompt that they read; an answer ends where it would turn into one.
PROMPT_BEGINNINGS = ("\nPassage ", "\nQuestion:")

#: Numbers that a model puts behind its sentences. Sources come from the check, never from the model.
#: At most 61 characters inside, so that the beginning of one can be held back.
_MARK = re.compile(r"[ \t]*\[(?:passage )?\d{1,3}(?:[ \t]?[,;–-][ \t]?\d{1,3}){0,8}\]", re.IGNORECASE)
_MAY_BECOME_MARK = re.compile(r"[ \t]+\Z|[ \t]*\[[^\]\[\n]{0,60}\Z")
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
    is_repeating: bool = False

    @property
    def finish(self) -> AnswerFinish:
        """Why the answer ended; `repeats` when it would have gone on saying the same."""
        return "repeats" if self.is_repeating else self.generation.finish

    @property
    def is_refusal(self) -> bool:
        """Whether it says in one sentence that the passages do not hold the answer."""
        return is_refusal(self.text)


def is_refusal(text: str) -> bool:
    """Whether a text says in one sentence that the passages do not hold the answer."""
    return len(text) < 200 and _REFUSAL.search(text) is not None


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


class RepeatFilter:
    """Ends a text that begins to say again what it has said, before the repeated sentence is shown.

    Small models fall into loops. While the sentence that is being written equals the beginning of an
    earlier one, it is held back: it either goes another way and comes out, or it was a repetition.
    """

    def __init__(self) -> None:
        self._said: list[str] = []
        self._sentence = ""
        self._n_shown = 0
        self.is_repeating = False

    def push(self, piece: str) -> str:
        """What may be shown now."""
        shown = ""
        for character in piece:
            self._sentence += character
            if character in "\n.!?":
                shown += self._close()
            if self.is_repeating:
                return shown
        if self._may_repeat():
            return shown
        return shown + self._show()

    def flush(self) -> str:
        """The rest, at the end of the text, unless it is a repetition."""
        if self.is_repeating:
            return ""
        self.is_repeating = self._is_repetition(_plain(self._sentence))
        return "" if self.is_repeating else self._show()

    def _close(self) -> str:
        plain = _plain(self._sentence)
        if self._is_repetition(plain):
            self.is_repeating = True
            return ""
        shown = self._show()
        self._said.append(plain)
        self._sentence, self._n_shown = "", 0
        return shown

    def _is_repetition(self, plain: str) -> bool:
        return len(plain.split()) >= FEWEST_REPEATED_WORDS and plain in self._said

    def _may_repeat(self) -> bool:
        plain = _plain(self._sentence)
        return any(said.startswith(plain) for said in self._said)

    def _show(self) -> str:
        shown = self._sentence[self._n_shown :]
        self._n_shown = len(self._sentence)
        return shown


def _plain(sentence: str) -> str:
    """A sentence's words, for comparing."""
    return " ".join(re.findall(r"\w+", sentence.casefold()))


def answer_request(
    engine: Engine, token_ids: tuple[int, ...], options: GenerateOptions, adapter: str | None = None
) -> Request:
    """The request for an answer: it also ends where the template or a repeated prompt would begin."""
    stop = (*options.stop, *engine.template.stop_texts, *PROMPT_BEGINNINGS)
    return Request(token_ids, replace(options, stop=stop), adapter)


def written_of(generation: Generation) -> Written:
    """A text that was generated as a whole, as `write_answer` would have streamed it."""
    marks, repeats = MarkFilter(), RepeatFilter()
    text = ""
    for piece in (*(step.text for step in generation.steps), ""):
        text += repeats.push(marks.push(piece))
        if repeats.is_repeating:
            return Written(text, generation, True)
    text += repeats.push(marks.flush())
    return Written(text + repeats.flush(), generation, repeats.is_repeating)


def write_answer(
    engine: Engine,
    prompt: FittedPrompt,
    options: GenerateOptions,
    on_text: Callable[[str], None] | None = None,
    adapter: str | None = None,
) -> Written:
    """Let the model answer.

    Args:
        engine: the model.
        prompt: what it reads.
        options: length and sampling; the template's stop texts are added.
        on_text: told each piece of the answer as it becomes certain.
        adapter: a loaded adapter's name.
    """
    stream = engine.stream(answer_request(engine, prompt.token_ids, options, adapter))
    marks = MarkFilter()
    pieces: list[str] = []

    def tell(piece: str) -> None:
        if piece:
            pieces.append(piece)
            if on_text:
                on_text(piece)

    repeats = RepeatFilter()
    for step in stream:
        tell(repeats.push(marks.push(step.text)))
        if repeats.is_repeating:
            stream.cancel()
    if not repeats.is_repeating:
        tell(repeats.push(marks.flush()))
        tell(repeats.flush())
    return Written("".join(pieces), stream.result, repeats.is_repeating)
