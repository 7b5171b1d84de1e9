"""What a model thought and what it answered, told apart: `<think>...</think>` sections and their kin.

Pure text, no tokens: the markers may be ordinary text, and may be cut anywhere between tokens. White space
that stands between a section and the answer belongs to neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: Opening and closing marker, as different families write them.
MARKERS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
)


@dataclass(frozen=True)
class Split:
    """A text without its reasoning, and the reasoning; either may be empty."""

    reasoning: str
    text: str


def split_reasoning(text: str, *, inside: str | None = None) -> Split:
    """Take the reasoning at the beginning of an answer apart from what follows.

    Only a section at the very beginning counts: a marker later on is what the model says.

    Args:
        text: the whole answer.
        inside: the opening marker that the prompt already ended with, if it did (see `opened_marker`).

    Returns:
        Both parts. A section that was never closed is all reasoning.
    """
    splitter = ReasoningSplitter(inside=inside)
    parts = [splitter.push(text), splitter.flush()]
    return Split("".join(part.reasoning for part in parts), "".join(part.text for part in parts))


def opened_marker(prompt: str) -> str | None:
    """The opening marker that a prompt ends with, so that the answer begins inside the section."""
    end = prompt.rstrip()
    return next((opening for opening, _ in MARKERS if end.endswith(opening)), None)


def without_reasoning(text: str) -> str:
    """An answer as it goes back into the history: templates leave earlier reasoning out."""
    return split_reasoning(text).text


class ReasoningSplitter:
    """Splits an answer as it comes. What `push` and `flush` return, joined, never depends on the chunks."""

    def __init__(self, *, inside: str | None = None) -> None:
        self._held = ""
        self._closing = dict(MARKERS)[inside] if inside else ""
        self._state = "inside" if inside else "start"
        self._skips_space = bool(inside)

    @property
    def is_inside(self) -> bool:
        """Whether what comes next is reasoning."""
        return self._state == "inside"

    def push(self, text: str) -> Split:
        """What became certain with this piece."""
        self._held += text
        if self._state == "start" and not self._open():
            return Split("", "")
        reasoning = self._take_reasoning() if self._state == "inside" else ""
        if self._state == "inside":
            return Split(reasoning, "")
        return Split(reasoning, self._take_text())

    def flush(self) -> Split:
        """What was held back, when the answer ends."""
        held, self._held = self._held, ""
        if self._state == "inside":
            return Split(held.rstrip(), "")
        return Split("", "" if self._skips_space and not held.strip() else held)

    def _open(self) -> bool:
        """Whether it is decided if the answer begins with a section."""
        begun = self._held.lstrip()
        for opening, closing in MARKERS:
            if begun.startswith(opening):
                self._held = begun[len(opening) :]
                self._closing, self._state, self._skips_space = closing, "inside", True
                return True
        if not begun or any(opening.startswith(begun) for opening, _ in MARKERS):
            return False
        self._state = "text"
        return True

    def _take_reasoning(self) -> str:
        if self._skips_space:
            self._held = self._held.lstrip()
            self._skips_space = not self._held
        place = self._held.find(self._closing)
        if place >= 0:
            reasoning = self._held[:place].rstrip()
            self._held = self._held[place + len(self._closing) :]
            self._state, self._skips_space = "text", True
            return reasoning
        # The end may begin the closing marker, and white space before the marker is dropped.
        keep = _overlap(self._held, [self._closing])
        certain = self._held[: len(self._held) - keep].rstrip()
        self._held = self._held[len(certain) :]
        return certain

    def _take_text(self) -> str:
        if self._skips_space:
            self._held = self._held.lstrip()
            self._skips_space = not self._held
        text, self._held = self._held, ""
        return text


def _overlap(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of the text that begins one of the markers."""
    for length in range(min(len(text), max(map(len, markers)) - 1), 0, -1):
        if any(marker.startswith(text[-length:]) for marker in markers):
            return length
    return 0
