"""Archives that hold several documents: their members, read one at a time and never written to disk.

A member is called by its path in the archive, with "/" between folders and nothing in it that could lead
out of a folder; one of an archive inside the archive is called "inner.zip/path.pdf".
"""

import io
import lzma
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO

from homespun.documents.decode import decode_text
from homespun.documents.errors import UnreadableFile
from homespun.documents.junk import junk_reason
from homespun.documents.readers import SUPPORTED_SUFFIXES
from homespun.documents.safe_zip import ZipLimits, refuse_too_much

#: The endings of files that hold documents of their own.
BUNDLE_SUFFIXES = frozenset((".zip",))
#: An archive in an archive is opened, one in that is not.
MAX_DEPTH = 2
MAX_MEMBER_BYTES = 256 * 2**20
#: For one file and all archives in it together; a member that is too large is refused by itself.
LIMITS = ZipLimits(max_members=10_000, max_total_bytes=2**30, max_member_bytes=2**63)

_UNSEEN_SIGNS = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffd\ud800-\udfff]")
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
)


@dataclass(frozen=True)
class Member:
    """One file of an archive; `data` is empty where `reason` is not.

    `reason` is a plain sentence why it cannot be read. Where `is_skipped`, it is no document (another
    kind of file, or left by a system) and the reason is a phrase as in `walk.Skipped`.
    """

    name: str
    data: bytes = b""
    reason: str = ""
    is_skipped: bool = False


def is_bundle(path: Path) -> bool:
    """Whether a file's ending says that it holds several documents."""
    return path.suffix.lower() in BUNDLE_SUFFIXES


def members(path: Path) -> list[Member]:
    """All members at once; `iterate_members` needs the memory of one.

    Raises:
        UnreadableFile: it is no archive that can be opened, or a bomb.
        OSError: the file cannot be opened.
    """
    return list(iterate_members(path))


def iterate_members(path: Path) -> Iterator[Member]:
    """The members in the order of the archive, those of inner archives in their place.

    Raises:
        UnreadableFile: it is no archive that can be opened, or a bomb.
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        yield from _Archive(file, path.stat().st_size, 1, _Budget()).members()


def iterate_members_of(data: bytes) -> Iterator[Member]:
    """As `iterate_members`, of an archive in memory."""
    return _Archive(io.BytesIO(data), len(data), 1, _Budget()).members()


def read_member(path: Path, name: str) -> bytes:
    """The bytes of the member that `members` calls so.

    Raises:
        UnreadableFile: it cannot be read, or there is none of this name.
        OSError: the archive cannot be opened.
    """
    status = path.stat()
    with _LOCK:
        return _opened(path, status.st_size, status.st_mtime_ns).read(name)


def member_source(source: str, name: str) -> str:
    """How a library notes where a member comes from."""
    return f"{source}!{name}"


def safe_name(name: str) -> str:
    """A member's name as a relative path that cannot lead anywhere else: "../../etc/passwd" is etc/passwd."""
    parts = [_UNSEEN_SIGNS.sub("", part).strip() for part in name.replace("\\", "/").split("/")]
    if parts and re.fullmatch(r"[A-Za-z]:", parts[0]):
        parts = parts[1:]
    return "/".join(part for part in parts if part.strip(". ")) or "unnamed"


_LOCK = threading.Lock()


@lru_cache(maxsize=1)
def _opened(path: Path, size_bytes: int, mtime_ns: int) -> "_Archive":
    """The archive read last stays open: its list of members is long to read again for each of them."""
    return _Archive(path.open("rb"), size_bytes, 1, _Budget())


class _Budget:
    """What may still be unpacked from one file."""

    def __init__(self) -> None:
        self.limits = LIMITS

    def take(self, infos: list[zipfile.ZipInfo], size_bytes: int) -> None:
        """Take what an archive claims off it; what a member really has is held to its claim."""
        refuse_too_much(infos, size_bytes, self.limits)
        self.limits = replace(
            self.limits,
            max_members=self.limits.max_members - len(infos),
            max_total_bytes=self.limits.max_total_bytes - sum(info.file_size for info in infos),
        )


class _Archive:
    """One opened archive."""

    def __init__(self, file: IO[bytes], size_bytes: int, depth: int, budget: _Budget) -> None:
        try:
            self._zip = zipfile.ZipFile(file)
            infos = [info for info in self._zip.infolist() if not info.is_dir()]
        except _BROKEN as error:
            raise UnreadableFile("It is broken or no zip archive: it cannot be opened.") from error
        self._depth = depth
        self._budget = budget
        budget.take(infos, size_bytes)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            self._infos[self._free_name(safe_name(_decoded_name(info)))] = info
        self._inner: tuple[str, _Archive] | None = None  # the one that was opened last

    def _free_name(self, name: str) -> str:
        stem, dot, suffix = name.rpartition(".")
        number, free = 1, name
        while free in self._infos:
            number += 1
            free = f"{stem} ({number}){dot}{suffix}" if stem else f"{name} ({number})"
        return free

    def members(self) -> Iterator[Member]:
        for name, info in self._infos.items():
            suffix = PurePosixPath(name).suffix.lower()
            phrase = _skip_phrase(info, name, suffix)
            if phrase:
                yield Member(name, reason=phrase, is_skipped=True)
                continue
            try:
                data = self._unpack(info)
                inner = self._open(data) if suffix in BUNDLE_SUFFIXES else None
            except UnreadableFile as error:
                yield Member(name, reason=error.what)
                continue
            if inner is None:
                yield Member(name, data)
                continue
            for member in inner.members():
                yield replace(member, name=f"{name}/{member.name}")

    def read(self, name: str) -> bytes:
        if name in self._infos:
            return self._unpack(self._infos[name])
        for above in self._infos:
            if name.startswith(above + "/") and PurePosixPath(above).suffix.lower() in BUNDLE_SUFFIXES:
                if self._inner is None or self._inner[0] != above:
                    self._inner = above, self._open(self._unpack(self._infos[above]))
                return self._inner[1].read(name[len(above) + 1 :])
        raise UnreadableFile("It is no longer in the archive.")

    def _open(self, data: bytes) -> "_Archive":
        if self._depth >= MAX_DEPTH:
            raise UnreadableFile("It is an archive inside an inner archive, which is not opened.")
        return _Archive(io.BytesIO(data), len(data), self._depth + 1, self._budget)

    def _unpack(self, info: zipfile.ZipInfo) -> bytes:
        if info.flag_bits & 0x1:
            raise UnreadableFile("It needs a password; unpack the archive and try again.")
        if info.file_size > MAX_MEMBER_BYTES:
            raise UnreadableFile(
                f"It is {info.file_size / 2**20:.0f} MiB large and at most "
                f"{MAX_MEMBER_BYTES // 2**20} MiB are read."
            )
        try:
            with self._zip.open(info) as file:
                data = file.read(MAX_MEMBER_BYTES + 1)
        except _BROKEN as error:
            raise UnreadableFile("It is broken: it cannot be unpacked.") from error
        if len(data) > MAX_MEMBER_BYTES:
            raise UnreadableFile(f"It unpacks to more than {MAX_MEMBER_BYTES // 2**20} MiB.")
        return data


def _skip_phrase(info: zipfile.ZipInfo, name: str, suffix: str) -> str:
    for part in name.split("/"):
        if phrase := junk_reason(part):
            return phrase
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        return "a link"
    if suffix in SUPPORTED_SUFFIXES or suffix in BUNDLE_SUFFIXES:
        return ""
    return f"{suffix} files are not supported" if suffix else "files without an ending are not supported"


def _decoded_name(info: zipfile.ZipInfo) -> str:
    """The name as its writer saw it: what is not marked as UTF-8 often is, or is in a local encoding."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        raw = info.orig_filename.encode("cp437")
    except UnicodeEncodeError:
        return info.filename
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return decode_text(raw).text
    except UnreadableFile:
        return info.filename
