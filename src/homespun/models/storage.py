"""Writing to disk so that a crash, or a second process, leaves the old state or the new one."""

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from homespun.models.errors import HomeError

# Room that is left to everything else on the disk.
SPARE_BYTES = 64 << 20


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's text as a whole: temporary file, flush to disk, rename.

    Raises:
        HomeError: the disk refuses.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise disk_error(error, path) from error
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Make a rename inside a folder last through a power cut (POSIX; elsewhere it does by itself)."""
    if os.name != "posix":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)


def check_free_space(folder: Path, needed_bytes: int) -> None:
    """Refuse before the work, not in its middle.

    Raises:
        HomeError: less than `needed_bytes` (and a little spare) is free where `folder` lies.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + SPARE_BYTES:
        raise HomeError(
            f"the disk is too full: {megabytes(needed_bytes + SPARE_BYTES)} are needed, "
            f"{megabytes(free_bytes)} are free",
            where=str(folder),
            remedy="Free some space, or set HOMESPUN_HOME to a folder on another disk.",
        )


def megabytes(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1e6:,.0f} MB"


def disk_error(error: OSError, path: Path) -> HomeError:
    """What the system says about a failed write, as a sentence with a remedy."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HomeError(
            "the disk is full",
            where=str(path),
            remedy="Free some space, or set HOMESPUN_HOME to a folder on another disk.",
        )
    return HomeError(
        f"cannot be written: {error.strerror or error}",
        where=str(path),
        remedy="Check that the folder may be written, or set HOMESPUN_HOME to another one.",
    )


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file, so that two processes change the same thing one after the other.

    The system lets go of it when the process ends, however it ends.

    Raises:
        HomeError: the lock file cannot be made.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        while not try_lock(handle):
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file if it is free; the system frees it when the process ends, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX and Windows; anything else is no lock held by another
        return False
    return True
