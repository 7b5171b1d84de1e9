"""Downloads one file with a known checksum; what was already fetched is never fetched again."""

import http.client
import time
import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homespun.models.digest import hash_file
from homespun.models.errors import FetchError
from homespun.models.package_index import open_url, reason, without_login
from homespun.models.storage import check_free_space, disk_error
from homespun.progress import Progress, no_progress

# Tries in a row that bring nothing; one that brings bytes starts the count anew.
MAX_TRIES = 5
FIRST_WAIT_S = 0.5
_CHUNK_BYTES = 1 << 18


def download_file(
    url: str,
    target: Path,
    sha256: str,
    progress: Progress = no_progress,
    wait: Callable[[float], None] = time.sleep,
    *,
    token: str | None = None,
    part_path: Path | None = None,
) -> Path:
    """Fetch a file, going on where an earlier try stopped, and check it.

    Until it is whole and right, its name ends in ".part".

    Args:
        url: where it is.
        target: where it goes.
        sha256: what it must hash to, in hex.
        progress: told the bytes fetched.
        wait: called with the seconds to wait between tries.
        token: shown to the server of `url`, and to no other that it points to.
        part_path: where the unfinished file lies; by default beside the target, with ".part" behind.

    Raises:
        FetchError: not there, given up after several tries, or the wrong bytes.
        HomeError: the disk is full or refuses.
    """
    if target.is_file() and hash_file(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part_path = part_path or target.with_name(target.name + ".part")
    is_stitched = _size(part_path) > 0
    what = f"Fetching {target.name}"
    is_stitched |= _fetch_whole(url, part_path, what, progress, wait, token)
    found = hash_file(part_path)
    if found != sha256 and is_stitched:
        # What an earlier try left may be of another version of the file.
        part_path.unlink()
        _fetch_whole(url, part_path, what, progress, wait, token)
        found = hash_file(part_path)
    if found != sha256:
        part_path.unlink()
        raise FetchError(
            f"the downloaded file is not the expected one (SHA-256 {found[:12]}…, expected {sha256[:12]}…)",
            where=without_login(url),
            remedy="Try again; if it stays so, the index serves another file than the published one.",
        )
    part_path.replace(target)
    return target


def _fetch_whole(
    url: str,
    part_path: Path,
    what: str,
    progress: Progress,
    wait: Callable[[float], None],
    token: str | None,
) -> bool:
    """Fetch until the last byte is here; True when that took several connections."""
    tries, is_stitched = 0, False
    while True:
        before = _size(part_path)
        try:
            if _fetch_rest(url, part_path, what, progress, token):
                return is_stitched
            failure = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code not in (408, 425, 429, 500, 502, 503, 504):
                raise FetchError(
                    f"the server answered with error {error.code}", where=without_login(url)
                ) from error
            failure = f"the server answered with error {error.code}"
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            failure = reason(error)
        except OSError as error:
            raise disk_error(error, part_path) from error
        is_stitched |= _size(part_path) > 0
        tries = 0 if _size(part_path) > before else tries + 1
        if tries >= MAX_TRIES:
            raise FetchError(
                f"given up after {MAX_TRIES} tries: {failure}",
                where=without_login(url),
                remedy="Run the same command again later; what is already here is kept.",
            )
        wait(FIRST_WAIT_S * 2 ** max(0, tries - 1))


def _fetch_rest(url: str, part_path: Path, what: str, progress: Progress, token: str | None) -> bool:
    """Ask for the bytes that are missing; False when the connection ended before the last one."""
    have = _size(part_path)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        answer = open_url(url, headers, token)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        if error.headers.get("Content-Range", "").rpartition("/")[2] == str(have):
            return True
        part_path.unlink()
        return _fetch_rest(url, part_path, what, progress, token)
    with answer:
        if answer.status != 206:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else None
        check_free_space(part_path.parent, int(length or 0))
        _append(answer, part_path, have, lambda done: progress(what, done, total))
    return total is None or _size(part_path) >= total


def _append(answer: Any, part_path: Path, have: int, on_total: Callable[[int], None]) -> None:
    with part_path.open("ab" if have else "wb") as out:
        while chunk := answer.read(_CHUNK_BYTES):
            out.write(chunk)
            have += len(chunk)
            on_total(have)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
