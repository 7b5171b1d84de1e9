"""SHA-256 of files, remembered so that a model of many gigabytes is read for it only once."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def home_root() -> Path:
    """The folder of everything that Homespun keeps: `HOMESPUN_HOME`, else `~/.homespun`."""
    return Path(os.environ.get("HOMESPUN_HOME") or Path.home() / ".homespun").expanduser()


def hash_file(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file's bytes in hex; `on_bytes` is told how many bytes each step read."""
    sha256 = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            sha256.update(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return sha256.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file, remembered in the home under the file's identity, size and time of change.

    Nothing is remembered while there is no home folder.
    """
    note_path = _note_path(path)
    try:
        note = json.loads(note_path.read_text("utf-8"))
        if isinstance(note, dict) and len(note.get("sha256", "")) == 64:
            return str(note["sha256"])
    except (OSError, ValueError):
        pass
    digest = hash_file(path)
    remember_digest(path, digest)
    return digest


def remember_digest(path: Path, digest: str) -> None:
    """Keep a digest that was just computed for `path`; a home that cannot be written is no failure."""
    if not home_root().is_dir():
        return
    note_path = _note_path(path)
    try:
        note_path.parent.mkdir(parents=True, exist_ok=True)
        part_path = note_path.with_suffix(f".{os.getpid()}.part")
        part_path.write_text(json.dumps({"sha256": digest, "file": path.name}), "utf-8")
        part_path.replace(note_path)
    except OSError:
        pass


def _note_path(path: Path) -> Path:
    """Where the digest of this very state of this very file is kept."""
    stat = path.stat()
    identity = f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}"
    key = hashlib.sha256(identity.encode()).hexdigest()[:32]
    return home_root() / "cache" / "digests" / f"{key}.json"
