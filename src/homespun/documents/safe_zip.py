"""Archives from strangers: what a zip claims is checked before anything of it is unpacked.

Nothing is ever written to a disk; members are unpacked into memory, one at a time and bounded.
"""

import contextlib
import dataclasses
import io
import zipfile
from dataclasses import dataclass, field

from homespun.documents.errors import UnreadableFile

_OLD_OFFICE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1
_MIB = 2**20
# Text shrinks to a tenth, monotonous tables to a hundredth; only made-up files go far beyond.
_SUSPICIOUS_BYTES = 8 * _MIB


@dataclass(frozen=True)
class ZipLimits:
    """How much an archive may hold; sizes are of what it unpacks to."""

    max_members: int = field(default=10_000, metadata={"help": "Files in one archive."})
    max_total_bytes: int = field(default=512 * _MIB, metadata={"help": "Bytes that all files unpack to."})
    max_member_bytes: int = field(default=256 * _MIB, metadata={"help": "Bytes that one file unpacks to."})
    max_ratio: int = field(
        default=400, metadata={"help": "How many times larger than packed a large file may be."}
    )


@dataclass(frozen=True)
class ArchiveMember:
    """One file in an archive. `trouble` is one plain sentence if it is not to be read, else empty."""

    name: str
    size_bytes: int
    trouble: str


class Archive:
    """The files of a zip archive in memory, folders left out.

    An archive that claims too much (see `ZipLimits`) is refused as a whole; a single file that is
    encrypted, doubled, or that names a place outside the archive is listed with its trouble.

    For an archive inside an archive, give `limits` whose `max_total_bytes` is what is left: the
    outer one's limit less its `total_bytes`.

    Raises:
        UnreadableFile: it is no zip archive, it is broken, or it holds too much.
    """

    def __init__(self, data: bytes, limits: ZipLimits | None = None) -> None:
        self._limits = limits or ZipLimits()
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError, OverflowError) as error:
            raise UnreadableFile("It is broken or no archive: it cannot be unpacked.") from error
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        refuse_too_much(infos, len(data), self._limits)
        self._infos: dict[str, zipfile.ZipInfo] = {}
        members: list[ArchiveMember] = []
        for info in infos:
            name = _shown_name(info)
            trouble = _trouble(info, name)
            if not trouble and name in self._infos:
                trouble = "The archive holds two files of this name."
            self._infos.setdefault(name, info)
            members.append(ArchiveMember(name, info.file_size, trouble))
        self._troubles = {member.name: member.trouble for member in members if member.trouble}
        self.members = tuple(
            dataclasses.replace(member, trouble=self._troubles.get(member.name, "")) for member in members
        )
        self.total_bytes = sum(info.file_size for info in infos)

    def __contains__(self, name: str) -> bool:
        return name in self._infos

    def read(self, name: str) -> bytes:
        """The content of the file of this name.

        Raises:
            UnreadableFile: it is not there, it is broken, or the member has a trouble.
        """
        info = self._infos.get(name)
        if info is None:
            raise UnreadableFile(f"It is broken: it holds no {name}.")
        if name in self._troubles:
            raise UnreadableFile(f"{self._troubles[name]} ({name})")
        try:
            with self._zip.open(info) as file:
                # A claimed size may be false; zipfile stops at it and the checksum tells.
                return file.read(self._limits.max_member_bytes + 1)
        except (
            zipfile.BadZipFile,
            EOFError,
            OSError,
            ValueError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise UnreadableFile(f"It is broken: its part {name} cannot be unpacked.") from error
        except Exception as error:  # zlib.error, lzma.LZMAError and others share no base
            raise UnreadableFile(f"It is broken: its part {name} cannot be unpacked.") from error

    def find(self, name: str) -> bytes | None:
        """As `read`, but None where there is no such file."""
        return self.read(name) if name in self else None


def refuse_too_much(infos: list[zipfile.ZipInfo], size_bytes: int, limits: ZipLimits) -> None:
    """Raise `UnreadableFile` if the files of an archive of this size claim more than the limits allow."""
    if len(infos) > limits.max_members:
        raise UnreadableFile(
            f"It holds {len(infos)} files and at most {limits.max_members} are unpacked; "
            "unpack it yourself and add the folder."
        )
    for info in infos:
        if info.file_size > limits.max_member_bytes:
            raise UnreadableFile(
                f"Its part {_shown_name(info)} unpacks to {info.file_size / _MIB:.0f} MiB and at most "
                f"{limits.max_member_bytes / _MIB:.0f} MiB are unpacked."
            )
        if info.file_size > max(_SUSPICIOUS_BYTES, limits.max_ratio * max(1, info.compress_size)):
            raise UnreadableFile(
                f"It looks like a zip bomb: its part {_shown_name(info)} unpacks to "
                f"{info.file_size // max(1, info.compress_size)} times its size."
            )
    total = sum(info.file_size for info in infos)
    if total > limits.max_total_bytes:
        raise UnreadableFile(
            f"It unpacks to {total / _MIB:.0f} MiB and at most "
            f"{max(0, limits.max_total_bytes) / _MIB:.0f} MiB are unpacked."
        )
    # Honest files share no bytes, so together they are not packed into more than the archive.
    if sum(info.compress_size for info in infos) > size_bytes:
        raise UnreadableFile("It looks like a zip bomb: its files lie over each other.")


def open_office_archive(data: bytes, suffix: str, newer: str) -> Archive:
    """The archive that an office document is; old and locked ones are refused with what to do.

    Args:
        data: the file.
        suffix: the ending of the old format, such as ".doc".
        newer: the ending of the format to save it in, such as ".docx".
    """
    if data.startswith(_OLD_OFFICE_MAGIC):
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise UnreadableFile("It needs a password; save it without one and try again.")
        raise UnreadableFile(f"It is an old {suffix} file; save it as {newer} and try again.")
    return Archive(data)


def _shown_name(info: zipfile.ZipInfo) -> str:
    """The name with forward slashes; names without the UTF-8 mark are tried as UTF-8 too."""
    name = info.orig_filename.split("\0")[0]
    if not info.flag_bits & _UTF8_FLAG and not name.isascii():
        with contextlib.suppress(UnicodeEncodeError, UnicodeDecodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/").encode("utf-8", "replace").decode("utf-8")


def _trouble(info: zipfile.ZipInfo, name: str) -> str:
    parts = name.split("/")
    if ".." in parts or name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        return "Its name leads out of the archive."
    if info.flag_bits & _ENCRYPTED_FLAG:
        return "It needs a password."
    if (info.external_attr >> 16) & 0o170000 == 0o120000:
        return "It is a link."
    return ""
