"""What one rendering of a chat template may use: steps and characters, never a clock."""

from typing import Any

import jinja2
from jinja2.utils import Namespace

#: Every operation costs at least this many characters, so that characters bound time too.
LEAST = 16


class Budget:
    """What one rendering may use, by the size of what it renders.

    Args:
        n_messages: turns.
        n_characters: of everything that is handed in.
    """

    def __init__(self, n_messages: int, n_characters: int) -> None:
        self._steps = 200_000 + 2_000 * n_messages
        self._characters = 10_000_000 + 200 * n_characters

    def step(self, n_characters: int) -> None:
        """Pay one turn of a loop, or one call."""
        self._steps -= 1
        if self._steps < 0:
            raise jinja2.TemplateRuntimeError("it does not end within a sensible number of steps")
        self.pay(n_characters)

    def pay(self, n_characters: int) -> None:
        """Pay work on that many characters."""
        self._characters -= max(n_characters, LEAST)
        if self._characters < 0:
            raise jinja2.TemplateRuntimeError("it makes more text than any chat needs")

    def weigh(self, value: Any) -> int:
        """Pay all that a value holds, however deep; shared parts count every time, as in its text."""
        weight, waiting = 0, [value]
        while waiting:
            item = waiting.pop()
            weight += 8
            if isinstance(item, (str, bytes)):
                weight += len(item)
            elif isinstance(item, (list, tuple, set, frozenset)):
                waiting.extend(item)
            elif isinstance(item, dict):
                waiting.extend(item.keys())
                waiting.extend(item.values())
            elif isinstance(item, Namespace):
                waiting.extend(object.__getattribute__(item, "_Namespace__attrs").values())
            if weight + len(waiting) > self._characters:
                self.pay(weight + len(waiting))
        self.pay(weight)
        return weight

    def glance(self, value: Any) -> None:
        """Pay a value's outermost level."""
        self.pay(len(value) if isinstance(value, (str, bytes, list, tuple, dict)) else 1)
