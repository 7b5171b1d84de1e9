"""Which files a person means by the paths that they give."""

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from homespun.documents.bundle import BUNDLE_SUFFIXES
from homespun.documents.junk import junk_reason
from homespun.documents.readers import SUPPORTED_SUFFIXES


@dataclass(frozen=True)
class Skipped:
    """A path that is not read, and why, as a phrase."""

    path: Path
    reason: str


@dataclass(frozen=True)
class FoundFiles:
    """The files to read, and what was left out; both in the order of their paths."""

    files: tuple[Path, ...]
    skipped: tuple[Skipped, ...]


def find_files(paths: Iterable[Path], *, follow_links: bool = False) -> FoundFiles:
    """Find the supported files that are or lie under `paths`, each real file once.

    A path that does not exist and holds `*`, `?` or `[` is a pattern, see `expand_patterns`; archives of
    documents (`bundle.is_bundle`) are among the files. Hidden files and what systems leave behind are
    skipped when met in a folder, not when given. Links to places outside the given folders are followed
    only with `follow_links`; links never make a file count twice or the walk endless. Every skipped path
    is listed with its reason.
    """
    walk = _Walk(follow_links)
    roots = expand_patterns(paths)
    for root in roots:
        walk.add_root(root)
    for root in roots:
        walk.visit_given(root)
    walk.visit_links()
    return FoundFiles(
        tuple(sorted(walk.files, key=_by_parts)),
        tuple(sorted(walk.skipped, key=lambda skip: _by_parts(skip.path))),
    )


def expand_patterns(paths: Iterable[Path]) -> list[Path]:
    """The paths, with each pattern that the shell did not expand replaced by what it matches, sorted.

    In a pattern `**` stands for any folders: "notes/**/*.md". A pattern without a match stays as it is,
    and so is told as a path that does not exist; hidden files are matched only by a pattern that says so.
    """
    expanded: list[Path] = []
    for path in map(Path, paths):
        if not glob.has_magic(str(path)) or os.path.lexists(path):
            expanded.append(path)
            continue
        # Path.glob would need a folder to begin in, and finds hidden files.
        matches = sorted(map(Path, glob.glob(str(path.expanduser()), recursive=True)), key=_by_parts)  # noqa: PTH207
        expanded.extend(matches or [path])
    return expanded


def _by_parts(path: Path) -> tuple[str, ...]:
    return path.parts


class _Walk:
    def __init__(self, follow_links: bool) -> None:
        self.follow_links = follow_links
        self.files: list[Path] = []
        self.skipped: list[Skipped] = []
        self.roots: list[Path] = []  # real paths of the given folders
        self.seen_folders: set[tuple[int, int]] = set()
        self.seen_files: dict[tuple[int, int], Path] = {}
        # Real names come first, so links wait until all of those are known.
        self.links: list[Path] = []

    def skip(self, path: Path, reason: str) -> None:
        self.skipped.append(Skipped(path, reason))

    def add_root(self, path: Path) -> None:
        try:
            if path.is_dir():
                self.roots.append(path.resolve())
        except (OSError, RuntimeError):
            pass  # told when it is visited

    def visit_given(self, path: Path) -> None:
        try:
            is_folder = path.is_dir()
            exists = is_folder or path.exists()
        except OSError as error:
            self.skip(path, f"cannot be opened ({error.strerror})")
            return
        if not exists:
            self.skip(path, _absence(path))
        elif is_folder:
            self.visit_folder(path)
        else:
            self.visit_file(path, is_given=True)

    def visit_folder(self, top: Path) -> bool:
        """Visit all below a folder; False when it was visited before."""
        waiting = [top]
        is_new = False
        while waiting:
            folder = waiting.pop()
            try:
                status = folder.stat()
                identity = (status.st_dev, status.st_ino)
                if identity in self.seen_folders:
                    continue
                self.seen_folders.add(identity)
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                self.skip(folder, f"cannot be opened ({error.strerror})")
                continue
            is_new = True
            waiting.extend(self._visit_entries(folder, entries))
        return is_new

    def _visit_entries(self, folder: Path, entries: list[os.DirEntry[str]]) -> list[Path]:
        """Visit what is in one folder; gives the folders in it, the last first."""
        below = []
        for entry in entries:
            path = folder / entry.name
            if phrase := junk_reason(entry.name):
                self.skip(path, phrase)
            elif entry.is_symlink() or _is_junction(path):
                self.links.append(path)
            elif entry.is_dir(follow_symlinks=False):
                below.append(path)
            else:
                self.visit_file(path)
        return below[::-1]

    def visit_file(self, path: Path, *, is_given: bool = False) -> None:
        try:
            status = path.stat()
        except OSError as error:
            self.skip(path, f"cannot be opened ({error.strerror})")
            return
        suffix = path.suffix.lower()
        identity = (status.st_dev, status.st_ino)
        if not path.is_file():
            self.skip(path, "not a regular file")
        elif suffix not in SUPPORTED_SUFFIXES and suffix not in BUNDLE_SUFFIXES:
            self.skip(
                path,
                f"{suffix} files are not supported"
                if suffix
                else "files without an ending are not supported",
            )
        elif identity in self.seen_files:
            first = self.seen_files[identity]
            if path != first and not (is_given and path.resolve() == first.resolve()):
                self.skip(path, f"the same file as {first}")
        else:
            self.seen_files[identity] = path
            self.files.append(path)

    def visit_links(self) -> None:
        """Visit the links, also those that are found behind followed ones."""
        position = 0
        while position < len(self.links):
            self._visit_link(self.links[position])
            position += 1

    def _visit_link(self, path: Path) -> None:
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            self.skip(path, "a link that leads nowhere or to itself")
            return
        is_inside = any(target == root or root in target.parents for root in self.roots)
        if not is_inside and not self.follow_links:
            self.skip(path, f"a link to {target}, outside the given folders")
        elif not target.is_dir():
            self.visit_file(path)
        elif not self.visit_folder(path):
            self.skip(path, f"a link to {target}, which is visited already")


def _absence(path: Path) -> str:
    if path.is_symlink():
        return "a link that leads nowhere"
    return "nothing matches this pattern" if glob.has_magic(str(path)) else "no such file or folder"


def _is_junction(path: Path) -> bool:
    """Whether it is a Windows directory junction, which is no symbolic link."""
    is_junction = getattr(os.path, "isjunction", None)  # from Python 3.12
    return bool(is_junction and is_junction(path))
