"""Copies large files so that only a whole, verified copy ever has the final name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from homespun.models.digest import hash_file
from homespun.models.errors import HomeError
from homespun.models.storage import check_free_space, disk_error, flush_folder

_CHUNK_BYTES = 1 << 20


def copy_verified(source: Path, target: Path, digest: str, on_bytes: Callable[[int], None]) -> None:
    """Copy a file, read the copy back and compare its SHA-256, then give it its name.

    Raises:
        HomeError: no room, the disk refuses, or the copy differs.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    check_free_space(target.parent, source.stat().st_size)
    with source.open("rb") as stream:
        write_verified(stream, target, digest, on_bytes)


def write_verified(stream: BinaryIO, target: Path, digest: str, on_bytes: Callable[[int], None]) -> None:
    """Write a stream's bytes to `target`, which appears only when it has the given SHA-256.

    Raises:
        HomeError: the disk refuses, or what was written differs.
    """
    part_path = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part_path.open("wb") as out:
            while chunk := stream.read(_CHUNK_BYTES):
                out.write(chunk)
                on_bytes(len(chunk))
            out.flush()
            os.fsync(out.fileno())
        found = hash_file(part_path)
        if found != digest:
            raise HomeError(
                f"the written file does not have the expected checksum (SHA-256 {found[:12]}…, "
                f"expected {digest[:12]}…)",
                where=str(target),
                remedy="Try again; if it happens twice, check the disk.",
            )
        part_path.replace(target)
    except OSError as error:
        raise disk_error(error, target) from error
    finally:
        part_path.unlink(missing_ok=True)
    flush_folder(target.parent)
