"""How long work tells how far it is; who renders it (terminal, page, server) is decided above."""

from collections.abc import Callable

#: Called with what is being done, how much is done and how much there is in all (None: unknown).
#: The three mean one step of work each; counts are in the unit that the text names.
Progress = Callable[[str, float, float | None], None]


def no_progress(what: str, done: float, total: float | None) -> None:
    """The progress of work that nobody watches."""
