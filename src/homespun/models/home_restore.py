"""A home out of an archive that `backup_home` wrote: all of it, verified, or nothing."""

import json
import shutil
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from homespun.models.errors import HomeError
from homespun.models.home_backup import BACKUP_VERSION, MANIFEST, Hashed
from homespun.models.storage import disk_error
from homespun.progress import Progress, no_progress

_MANIFEST_BYTES = 256 << 20
_UNFINISHED = ".restore-"


@dataclass(frozen=True)
class RestoreReport:
    """What came out of an archive. `left_out`: models whose files were not in it."""

    root: Path
    n_files: int
    n_bytes: int
    left_out: tuple[str, ...]


def restore_home(path: Path, root: Path, *, progress: Progress = no_progress) -> RestoreReport:
    """Unpack a backup into an empty (or new) home folder, checking the digest of every file.

    Nothing appears in the folder before all was verified; a home that holds anything is never touched.

    Args:
        path: the archive.
        root: the folder that becomes the home.
        progress: told how many bytes of the archive were read.

    Raises:
        HomeError: the folder holds something; the archive is cut, changed, no backup or of a newer
            Homespun; the disk is full.
    """
    path, root = Path(path).expanduser().absolute(), Path(root).expanduser().absolute()
    if not path.is_file():
        raise HomeError("there is no such backup", where=str(path))
    if found := _content(root):
        raise HomeError(
            f"this home is not empty (it holds {found}), and a restore overwrites nothing",
            where=str(root),
            remedy="Restore into another folder with --into FOLDER.",
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(f"{_UNFINISHED}*"):  # of a restore that was killed
            shutil.rmtree(left, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=root))
        try:
            manifest = _unpack(path, unfinished, progress)
            _move(unfinished, root)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _broken(path, str(error)) from error
    except OSError as error:
        if type(error).__name__ == "BadGzipFile":
            raise _broken(path, str(error)) from error
        raise disk_error(error, root) from error
    sizes = [int(entry["size"]) for entry in manifest["files"].values()]
    return RestoreReport(root, len(sizes), sum(sizes), tuple(manifest["left_out"]))


def _content(root: Path) -> str:
    """What a home holds, as one name; empty for one that was never used."""
    if not root.exists():
        return ""
    if not root.is_dir():
        return "a file"
    for entry in sorted(root.rglob("*")):
        parts = entry.relative_to(root).parts
        if parts[0] == "cache" or parts[0].startswith(_UNFINISHED) or entry.name == ".home.lock":
            continue
        if not entry.is_dir() or entry.is_symlink():
            return "/".join(parts)
    return ""


def _unpack(path: Path, folder: Path, progress: Progress) -> dict[str, Any]:
    """Write all files of an archive and compare them with its list."""
    total = path.stat().st_size
    found: dict[str, dict[str, Any]] = {}
    manifest: dict[str, Any] | None = None
    with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:*") as archive:
        for member in archive:
            progress("Unpacking the backup", min(stream.tell(), total), total)
            source = archive.extractfile(member) if member.isreg() else None
            if source is None:
                raise _broken(path, f"{member.name!r} is no file")
            if manifest is not None:
                raise _broken(path, "something follows its list of files")
            if member.name == MANIFEST:
                manifest = _manifest(path, source.read(_MANIFEST_BYTES))
                continue
            found[member.name] = _write(path, folder, member, source)
    if manifest is None:
        raise _broken(path, "it ends before its list of files")
    for name, entry in manifest["files"].items():
        if found.pop(name, None) != entry:
            raise _broken(path, f"{name} is not what the backup's list says")
    if found:
        raise _broken(path, f"{next(iter(found))} is not in the backup's list")
    return manifest


def _write(path: Path, folder: Path, member: tarfile.TarInfo, source: IO[bytes]) -> dict[str, Any]:
    name = PurePosixPath(member.name)
    if (
        name.is_absolute()
        or ".." in name.parts
        or "\\" in member.name
        or ":" in member.name
        or not name.parts
    ):
        raise _broken(path, f"{member.name!r} would lie outside of the home")
    target = folder.joinpath(*name.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    reader = Hashed(source)
    with target.open("xb") as out:
        shutil.copyfileobj(reader, out, 1 << 20)
    target.chmod(member.mode & 0o777 | 0o600)
    return {"size": member.size, "sha256": reader.digest()}


def _manifest(path: Path, data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        version = int(manifest["version"])
        if version <= BACKUP_VERSION:
            return {"files": dict(manifest["files"]), "left_out": list(manifest["left_out"])}
    except (ValueError, TypeError, KeyError) as error:
        raise _broken(path, f"its list of files cannot be read: {error}") from error
    raise HomeError(
        f"a newer Homespun wrote this backup (version {version}, known: {BACKUP_VERSION})",
        where=str(path),
        remedy="Update Homespun.",
    )


def _move(unfinished: Path, root: Path) -> None:
    """What was verified takes its place; home.json last, for it names the others."""
    for entry in sorted(unfinished.iterdir(), key=lambda entry: (entry.name == "home.json", entry.name)):
        target = root / entry.name
        if target.is_dir():
            shutil.rmtree(target)  # empty, as was checked
        entry.rename(target)


def _broken(path: Path, why: str) -> HomeError:
    return HomeError(
        f"this is no whole backup of a home ({why}); nothing was restored",
        where=str(path),
        remedy="Use another copy of it.",
    )
