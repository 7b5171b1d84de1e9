"""How a reader with long honest work (a page of a scan after the other) says that it goes on."""

from collections.abc import Callable

_listener: Callable[[], None] | None = None


def beat() -> None:
    """Start the time anew that one file may take; to be called between parts that may each take long."""
    if _listener is not None:
        _listener()


def listen(listener: Callable[[], None] | None) -> None:
    """Set who is told in this process; None for nobody."""
    global _listener
    _listener = listener
