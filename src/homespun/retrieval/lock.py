"""One writer a library, for as long as its process lives: nothing is left behind by one that was killed."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from homespun.models.storage import try_lock
from homespun.progress import Progress
from homespun.retrieval.errors import LibraryBusyError, LibraryError

_POLL_S = 0.1


@contextlib.contextmanager
def hold_lock(path: Path, wait_s: float, progress: Progress) -> Iterator[None]:
    """Hold a lock file, waiting for another process or thread that has it.

    Raises:
        LibraryBusyError: it was not free after `wait_s` seconds.
        LibraryError: the lock file cannot be made.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise LibraryError(f"The library cannot be written ({error.strerror}).", where=str(path)) from error
    try:
        deadline = time.monotonic() + wait_s
        while not try_lock(handle):
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise LibraryBusyError(
                    f"Another process is writing to this library and was not done after {wait_s:.0f} s.",
                    where=str(path.parent),
                    remedy="Try again when it has finished.",
                )
            progress("Waiting for another process that writes to this library", wait_s - left_s, wait_s)
            time.sleep(min(_POLL_S, left_s))
        yield
    finally:
        os.close(handle)
