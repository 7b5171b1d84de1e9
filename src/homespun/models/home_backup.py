"""A home into one archive, and back: every file with its digest, and nothing half done.

The archive is a tar whose last member lists the size and SHA-256 of all others, so a cut or changed one is
known for what it is. Each library is copied while nobody else may write to it.
"""

import contextlib
import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from homespun.models.errors import HomeError
from homespun.models.home import Home
from homespun.models.storage import disk_error, flush_folder, locked, try_lock
from homespun.progress import Progress, no_progress

BACKUP_VERSION = 1
MANIFEST = "homespun-backup.json"
#: Ending of the archive -> how it is written. Models hardly shrink, so the quickest compression is enough.
ENDINGS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz"}
_LOCKS = frozenset((".home.lock", "writer.lock"))


@dataclass(frozen=True)
class BackupOptions:
    """What a backup holds."""

    models: bool = field(default=True, metadata={"help": "with the files of the models"})
    wait_s: float = field(
        default=600.0, metadata={"help": "seconds to wait while another process writes to a library"}
    )


@dataclass(frozen=True)
class BackupReport:
    """What went into an archive.

    Attributes:
        path: the archive.
        n_files, n_bytes: in it, before compression.
        left_out: what a person may miss: models by name whose files are not in it.
    """

    path: Path
    n_files: int
    n_bytes: int
    left_out: tuple[str, ...]


def backup_home(
    home: Home, path: Path, options: BackupOptions = BackupOptions(), *, progress: Progress = no_progress
) -> BackupReport:
    """Write a home into one archive. Caches are left out, and models that lie outside of the home.

    Other processes may go on: each library is taken as its last finished write left it.

    Args:
        home: what to copy.
        path: of the archive, ending in .tar, .tar.gz or .tgz; it must not be there yet.
        options: whether models go in, and how long to wait for writers.
        progress: told bytes.

    Raises:
        HomeError: the archive is there, has another ending or lies in the home; a library stays busy; a file
            goes away meanwhile; the disk is full.
    """
    path = Path(path).expanduser().absolute()
    mode = next((mode for ending, mode in ENDINGS.items() if path.name.lower().endswith(ending)), None)
    if mode is None:
        raise HomeError(f"a backup ends in {', '.join(ENDINGS)}, and this name does not", where=str(path))
    if path.is_relative_to(home.root.resolve()) or path.is_relative_to(home.root):
        raise HomeError("a backup cannot lie in the home that it is of", where=str(path))
    if path.exists():
        raise HomeError("there is a file of this name already", where=str(path), remedy="Choose another.")
    try:
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                report = _write(home, path, stream, mode, options, progress)
                stream.flush()
                os.fsync(stream.fileno())
            Path(part).replace(path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise disk_error(error, path) from error
    flush_folder(path.parent)
    return report


def _write(
    home: Home, path: Path, stream: IO[bytes], mode: str, options: BackupOptions, progress: Progress
) -> BackupReport:
    total = sum(_size(file) for file in _files(home.root, options))
    listed: dict[str, dict[str, int | str]] = {}

    def done() -> int:
        return sum(int(entry["size"]) for entry in listed.values())

    with contextlib.ExitStack() as stack:
        compression = {"compresslevel": 1} if mode == "w:gz" else {}
        archive = stack.enter_context(tarfile.open(fileobj=stream, mode=mode, **compression))  # type: ignore[call-overload]
        left_out = _left_out(home, options)
        # First the list of models: what is added after it is in no backup, and what it names is looked for.
        with locked(home.root / ".home.lock"):
            if (home.root / "home.json").is_file():
                _add(archive, home.root, home.root / "home.json", listed)
        for folder in sorted(home.libraries_path.glob("*")):
            if not (folder / "library.json").is_file():
                continue
            with _quiet(folder, options.wait_s, progress):
                if (folder / "library.json").is_file():  # else it was removed meanwhile
                    for file in _below(folder):
                        progress("Copying libraries", done(), max(total, done()))
                        _add(archive, home.root, file, listed)
        for file in _files(home.root, options):
            name = file.relative_to(home.root)
            if name.parts[0] != "libraries" and name.as_posix() not in listed:
                progress(f"Copying {file.name}", done(), max(total, done()))
                _add(archive, home.root, file, listed)
        manifest = {"version": BACKUP_VERSION, "left_out": left_out, "files": listed}
        data = json.dumps(manifest, ensure_ascii=False, indent=1).encode("utf-8")
        member = tarfile.TarInfo(MANIFEST)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return BackupReport(path, len(listed), done(), left_out)


def _left_out(home: Home, options: BackupOptions) -> tuple[str, ...]:
    return tuple(model.name for model in home.models() if model.is_reference or not options.models)


def _files(root: Path, options: BackupOptions) -> Iterator[Path]:
    """What a home keeps: all but caches, locks, unfinished files and, if so asked, models."""
    skipped = {"cache"} if options.models else {"cache", "models"}
    for entry in sorted(root.iterdir()):
        if entry.is_dir() and entry.name not in skipped and not entry.name.startswith("."):
            yield from _below(entry)
        elif entry.is_file() and entry.name not in _LOCKS and not entry.name.endswith(".part"):
            yield entry


def _below(folder: Path) -> Iterator[Path]:
    """All files below a folder; a link counts as what it leads to."""
    seen: set[str] = set()
    for where, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            if name not in _LOCKS and not name.endswith(".part") and path.is_file():
                yield path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _add(archive: tarfile.TarFile, root: Path, path: Path, listed: dict[str, dict[str, int | str]]) -> None:
    name = PurePosixPath(path.relative_to(root)).as_posix()
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = (
                status.st_size,
                int(status.st_mtime),
                status.st_mode & 0o777,
            )
            reader = Hashed(file)
            archive.addfile(member, reader)  # type: ignore[arg-type]
    except FileNotFoundError as error:
        raise HomeError(
            "this file was removed while it was to be copied", where=str(path), remedy="Run it again."
        ) from error
    except OSError as error:
        if "unexpected end of data" in str(error):  # what tarfile says of a file that became shorter
            raise HomeError("this file became shorter while it was copied", where=str(path)) from error
        raise
    listed[name] = {"size": member.size, "sha256": reader.digest()}


class Hashed:
    """A stream that hashes what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def read(self, n_bytes: int = -1) -> bytes:
        data = self._stream.read(n_bytes)
        self._sha256.update(data)
        return data

    def digest(self) -> str:
        """SHA-256 in hex of what was read so far."""
        return self._sha256.hexdigest()


@contextlib.contextmanager
def _quiet(folder: Path, wait_s: float, progress: Progress) -> Iterator[None]:
    """Nobody else writes to a library for so long."""
    handle = os.open(folder / "writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _wait(lambda: try_lock(handle), folder, wait_s, progress)
        yield
    finally:
        os.close(handle)


def _wait(is_free: Callable[[], bool], folder: Path, wait_s: float, progress: Progress) -> None:
    deadline = time.monotonic() + wait_s
    while not is_free():
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise HomeError(
                f"another process is writing to this library and was not done after {wait_s:.0f} s",
                where=str(folder),
                remedy="Try again when it has finished.",
            )
        progress("Waiting for another process that writes to a library", wait_s - left_s, wait_s)
        time.sleep(min(0.1, left_s))
