"""What a model hub that speaks Hugging Face's protocol has: the files of a repository, and their bytes.

The list of files names one commit, and every file is fetched at that commit, so that files of two versions
never mix. `HF_ENDPOINT` names another hub; `HF_TOKEN` is shown to that hub alone, never to the servers that
it points to.
"""

import hashlib
import http.client
import json
import os
import re
import urllib.error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from homespun.models.download import download_file
from homespun.models.errors import FetchError
from homespun.models.package_index import open_url, reason, without_login
from homespun.models.storage import disk_error
from homespun.progress import Progress

_PUBLIC_HUB = "https://huggingface.co"
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_LIST_BYTES = 50_000_000
_MAX_SMALL_BYTES = 100_000_000


@dataclass(frozen=True)
class HubFile:
    """One file of a repository.

    Attributes:
        path: its place in the repository, with slashes.
        size_bytes: its size.
        sha256: of its bytes, for the large ones.
        git_id: git's SHA-1 of a small one, whose bytes it is over.
    """

    path: str
    size_bytes: int
    sha256: str | None
    git_id: str | None


@dataclass(frozen=True)
class HubRepo:
    """A repository at one commit.

    Attributes:
        name: owner/name.
        commit: the commit that all files are of.
        files: path -> file.
        licence: as its page says, or None.
    """

    name: str
    commit: str
    files: Mapping[str, HubFile]
    licence: str | None


def hub_endpoint() -> str:
    """The hub's address: `HF_ENDPOINT`, else the public one."""
    return (os.environ.get("HF_ENDPOINT", "").strip() or _PUBLIC_HUB).rstrip("/")


def read_repo(name: str, revision: str = "main") -> HubRepo:
    """The files of a repository.

    Args:
        name: owner/name.
        revision: a branch, tag or commit.

    Raises:
        FetchError: no such repository, closed to this token, or the hub cannot be reached.
    """
    if not _REPO.fullmatch(name):
        raise FetchError(f"{name!r} is no repository's name", remedy="It is written owner/name.")
    url = f"{hub_endpoint()}/api/models/{name}/revision/{quote(revision, safe='')}?blobs=true"
    answer = fetch_json(url, f"the repository {name}", _token())
    try:
        files = [_hub_file(entry) for entry in answer["siblings"]]
        commit = str(answer["sha"])
    except (KeyError, TypeError, ValueError) as error:
        raise FetchError(
            f"the hub's answer about {name} is not understood ({error})", where=without_login(url)
        ) from error
    safe = {file.path: file for file in files if _is_inside(file.path)}
    return HubRepo(name, commit, safe, _licence(answer))


def fetch_file(repo: HubRepo, file: HubFile, target: Path, progress: Progress) -> None:
    """Fetch one file at the repository's commit; it has its name only when whole and right.

    Raises:
        FetchError: not there, closed, cut again and again, or the wrong bytes.
        HomeError: the disk is full or refuses.
    """
    url = f"{hub_endpoint()}/{repo.name}/resolve/{quote(repo.commit)}/{quote(file.path)}"
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.sha256 is None:
        _fetch_small(url, file, target)
    else:
        fetch_checked(url, target, file.sha256, f"the file {file.path} of {repo.name}", progress, _token())


def fetch_range(repo: HubRepo, file: HubFile, start: int, end: int) -> bytes:
    """Some bytes of a file at the repository's commit, and no more: its header, to plan with.

    Args:
        start, end: first byte, and the one after the last.

    Raises:
        FetchError: not there, closed, unreachable, or a server that only sends whole files.
    """
    url = f"{hub_endpoint()}/{repo.name}/resolve/{quote(repo.commit)}/{quote(file.path)}"
    what = f"the file {file.path} of {repo.name}"
    headers = {"Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    with _answers_told(what, url), open_url(url, headers, _token()) as answer:
        if start and answer.status != 206:
            raise FetchError(
                f"the server sends whole files only, asked for a part of {what}", where=without_login(url)
            )
        content: bytes = answer.read(end - start)
    if len(content) < min(end, file.size_bytes) - start:
        raise FetchError(
            f"the connection was cut, asked for {what}", where=without_login(url), remedy="Try again."
        )
    return content


def fetch_checked(
    url: str, target: Path, sha256: str, what: str, progress: Progress, token: str | None = None
) -> None:
    """Download a file whose unfinished form is named after its checksum: two versions cannot mix.

    Raises:
        FetchError: see `download_file`; a closed or missing file is told in terms of `what`.
    """
    part_path = target.with_name(f"{target.name}.{sha256[:12]}.part")
    for other in target.parent.glob(f"{_glob_escaped(target.name)}.*.part"):
        if other != part_path:
            other.unlink(missing_ok=True)
    try:
        download_file(url, target, sha256, progress, token=token, part_path=part_path)
    except FetchError as error:
        if isinstance(error.__cause__, urllib.error.HTTPError):
            raise refusal(error.__cause__.code, what, url) from None
        raise


def fetch_json(url: str, what: str, token: str | None = None, accept: str = "application/json") -> Any:
    """A small JSON answer.

    Raises:
        FetchError: refused, unreachable, or no JSON.
    """
    try:
        return json.loads(_read(url, what, _MAX_LIST_BYTES, token, accept))
    except ValueError as error:
        raise FetchError(
            f"the answer about {what} is no JSON",
            where=without_login(url),
            remedy="Check the address of the server, and whether a proxy asks for a sign-in.",
        ) from error


def refusal(code: int, what: str, url: str) -> FetchError:
    """What an HTTP error means for a person."""
    where = without_login(url)
    if code in (401, 403):
        remedy = (
            "If it is gated, accept its licence on its page, then set HF_TOKEN to a token that may read it; "
            "if HF_TOKEN is set, check that it is right."
        )
        return FetchError(f"{what} is not open to you (error {code})", where=where, remedy=remedy)
    if code == 404:
        return FetchError(f"there is no such thing: {what}", where=where, remedy="Check its name.")
    return FetchError(
        f"the server answered with error {code}, asked for {what}", where=where, remedy="Try again later."
    )


@contextmanager
def _answers_told(what: str, url: str) -> Iterator[None]:
    """What the server refuses, or that it cannot be reached, as a sentence."""
    try:
        yield
    except urllib.error.HTTPError as error:
        raise refusal(error.code, what, url) from None
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(
            f"the server cannot be reached ({reason(error)}), asked for {what}",
            where=without_login(url),
            remedy="Check the connection and the proxy, then try again.",
        ) from None


def _read(url: str, what: str, limit: int, token: str | None, accept: str = "*/*") -> bytes:
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    with _answers_told(what, url), open_url(url, headers, token) as answer:
        content: bytes = answer.read(limit + 1)
    if len(content) > limit:
        raise FetchError(f"the answer about {what} is longer than {limit:,} bytes", where=without_login(url))
    return content


def _fetch_small(url: str, file: HubFile, target: Path) -> None:
    """A file that git itself keeps is checked by git's own checksum."""
    content = _read(url, f"the file {file.path}", _MAX_SMALL_BYTES, _token())
    found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    if len(content) != file.size_bytes or file.git_id not in (None, found):
        raise FetchError(
            f"{file.path} is not the file that the hub lists ({len(content):,} bytes came)",
            where=without_login(url),
            remedy="Try again.",
        )
    part_path = target.with_name(target.name + ".part")
    try:
        part_path.write_bytes(content)
        part_path.replace(target)
    except OSError as error:
        raise disk_error(error, target) from error


def _hub_file(entry: Mapping[str, Any]) -> HubFile:
    large = entry.get("lfs") or {}
    sha256 = large.get("sha256")
    if sha256 is not None and not _SHA256.fullmatch(str(sha256)):
        raise ValueError("a checksum that is none")
    size_bytes = int(large.get("size") or entry.get("size") or 0)
    return HubFile(str(entry["rfilename"]), size_bytes, sha256, entry.get("blobId"))


def _is_inside(path: str) -> bool:
    """Whether a path that the hub names stays inside of the folder that it is written to."""
    pure = PurePosixPath(path)
    return not (pure.is_absolute() or ".." in pure.parts or "\\" in path or ":" in path or "\0" in path)


def _licence(answer: Mapping[str, Any]) -> str | None:
    tags = answer.get("tags")
    found = [str(tag) for tag in tags if str(tag).startswith("license:")] if isinstance(tags, list) else []
    return found[0].partition(":")[2] if found else None


def _glob_escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _token() -> str | None:
    return os.environ.get("HF_TOKEN", "").strip() or None
