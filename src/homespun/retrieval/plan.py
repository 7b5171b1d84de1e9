"""What an ingest has to do: the files that are there against the documents that the library holds."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from homespun.documents.bundle import BUNDLE_SUFFIXES, is_bundle, iterate_members, member_source
from homespun.documents.errors import UnreadableFile
from homespun.documents.walk import FoundFiles, Skipped, expand_patterns, find_files
from homespun.models.digest import hash_file
from homespun.retrieval.library import LibraryDocument


@dataclass(frozen=True)
class FileToRead:
    """A file (or a member of an archive) whose document is new or no longer what the library holds.

    `digest` is that of its bytes at planning; `before` is the document of this very source, `moved_from`
    one with the same bytes and ending whose file is gone. Where `reason` is not empty, it cannot be read.
    """

    path: Path
    source: str
    root: str
    name: str
    digest: str
    before: LibraryDocument | None = None
    moved_from: LibraryDocument | None = None
    member: str | None = None
    reason: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class Plan:
    """`gone` are the documents whose files are no longer there, `unchanged` those to leave alone."""

    to_read: tuple[FileToRead, ...]
    unchanged: tuple[LibraryDocument, ...]
    gone: tuple[LibraryDocument, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class Known:
    """What a watcher knows of files, so that they need no look.

    Attributes:
        same: have not been touched since the last ingest.
        busy: are just being written; their documents stay as they are for now.
    """

    same: Collection[Path] = frozenset()
    busy: Collection[Path] = frozenset()


@dataclass(frozen=True)
class WebPage:
    """What was fetched for an address: a temporary file, or the reason why there is none."""

    url: str
    path: Path
    reason: str = ""


def plan_ingest(
    documents: Sequence[LibraryDocument],
    paths: Iterable[Path],
    made: str,
    *,
    follow_links: bool = False,
    known: Known = Known(),
    again: bool = False,
    pages: Sequence[WebPage] = (),
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """Compare paths with a library.

    A document belongs to these paths if its file is one of them or lies below one of them. One whose
    file is not there any more is gone; but nothing is gone because a whole given folder is missing or
    cannot be opened: that is told as skipped, for a disk may only be unplugged. Each member of an archive
    is a document.

    Args:
        documents: all that the library holds.
        paths: files, folders and patterns.
        made: the digest of the present way of reading and splitting.
        follow_links: as for `find_files`.
        known: files that need no look.
        again: read those again that were read in part only.
        pages: fetched web pages; one that could not be fetched leaves what the library has of it.
        on_file: told how many files were looked at, and of how many.
    """
    look = _Look(documents, made, _roots(expand_patterns(paths)), follow_links, known, again, on_file)
    look.at_files()
    for page in pages:
        look.at_page(page)
    gone = [document for document in documents if look.is_gone(document)]
    is_gone = {document.source for document in gone}
    names = _Names(document.name for document in documents if document.source not in is_gone)
    vanished: dict[tuple[str, str], list[LibraryDocument]] = defaultdict(list)
    for document in reversed(gone):
        vanished[document.digest, Path(document.source).suffix.lower()].append(document)
    to_read: list[FileToRead] = []
    for item in look.items:
        before = look.by_source.get(item.source)
        suffix = Path(item.source).suffix.lower()
        same = vanished[item.digest, suffix] if item.digest and not before and not item.reason else []
        root = _outermost(item.path, look.roots)
        is_page = "://" in item.source
        name = before.name if before else item.source if is_page else names.take(item.path, root, item.member)
        moved_from = same.pop() if same else None
        root_name = item.source if is_page else source_name(root)
        to_read.append(
            FileToRead(
                item.path,
                item.source,
                root_name,
                name,
                item.digest,
                before,
                moved_from,
                item.member,
                item.reason,
                item.size_bytes,
            )
        )
    return Plan(tuple(to_read), tuple(look.unchanged), tuple(gone), tuple(look.skipped))


def source_name(path: Path) -> str:
    """A path as a key: absolute, and with undecodable bytes of its name written out."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


def archive_of(source: str) -> str:
    """The archive that a document came from; empty if it came from none."""
    place = source.find("!")
    while place >= 0:
        if Path(source[:place]).suffix.lower() in BUNDLE_SUFFIXES:
            return source[:place]
        place = source.find("!", place + 1)
    return ""


@dataclass(frozen=True)
class _Item:
    path: Path
    source: str
    digest: str
    member: str | None = None
    reason: str = ""
    size_bytes: int = 0


@dataclass
class _Look:
    """Looks at each file once: which documents stay as they are, and what is new or other than before."""

    documents: Sequence[LibraryDocument]
    made: str
    roots: list[Path]
    follow_links: bool
    known: Known
    again: bool
    on_file: Callable[[int, int], None]
    items: list[_Item] = field(default_factory=list)
    unchanged: list[LibraryDocument] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    found: FoundFiles = field(default_factory=lambda: FoundFiles((), ()))

    def __post_init__(self) -> None:
        self.by_source = {document.source: document for document in self.documents}
        self.seen: set[str] = set()
        self.opened: set[str] = set()  # archives whose members were all listed, or that cannot be opened
        self.of_archive: dict[str, list[LibraryDocument]] = defaultdict(list)
        for document in self.documents:
            if archive := archive_of(document.source):
                self.of_archive[archive].append(document)

    def at_files(self) -> None:
        self.found = find_files(self.roots, follow_links=self.follow_links)
        self.skipped = list(self.found.skipped)
        for index, path in enumerate(self.found.files):
            self.on_file(index, len(self.found.files))
            if not self._is_known(path):
                self._at_archive(path) if is_bundle(path) else self._at(
                    path, source_name(path), _digest(path)
                )

    def at_page(self, page: WebPage) -> None:
        before = self.by_source.get(page.url)
        if page.reason and before and before.status != "not read":
            self.unchanged.append(before)
            self.skipped.append(Skipped(Path(page.url), f"could not be fetched again ({page.reason})"))
            return
        self._at(page.path, page.url, "" if page.reason else _digest(page.path), reason=page.reason)

    def is_gone(self, document: LibraryDocument) -> bool:
        if document.source in self.seen:
            return False
        archive = archive_of(document.source)
        path = archive or document.source
        for root in map(source_name, self.roots):
            if path == root:
                return path in self.opened or not os.path.lexists(path)
            if path.startswith(root.rstrip(os.sep) + os.sep) and Path(root).is_dir():
                skipped = self.found.skipped
                unopened = (source_name(skip.path) for skip in skipped if "cannot be opened" in skip.reason)
                return not any(path == other or path.startswith(other + os.sep) for other in unopened)
        return False

    def _is_known(self, path: Path) -> bool:
        """Whether the documents of a file stay as they are without a look at it."""
        is_busy = path in self.known.busy
        if not is_busy and path not in self.known.same:
            return False
        source = source_name(path)
        there = [self.by_source[source]] if source in self.by_source else []
        there += self.of_archive.get(source, [])
        if not is_busy and not (there and all(self._is_same(one, one.digest) for one in there)):
            return False
        self.unchanged += there
        self.seen.update(document.source for document in there)
        return True

    def _at_archive(self, path: Path) -> None:
        source = source_name(path)
        n_before = len(self.items) + len(self.unchanged)
        self.opened.add(source)
        try:
            for member in iterate_members(path):
                inner = member_source(source, member.name)
                if member.is_skipped:
                    self.skipped.append(Skipped(Path(inner), member.reason))
                    continue
                digest = "" if member.reason else hashlib.sha256(member.data).hexdigest()
                self._at(path, inner, digest, member.name, member.reason, len(member.data))
        except (UnreadableFile, OSError) as error:
            reason = (
                error.what if isinstance(error, UnreadableFile) else f"It cannot be opened: {error.strerror}."
            )
            self._at(path, source, _digest(path), reason=reason)
            return
        if len(self.items) + len(self.unchanged) == n_before:
            self._at(path, source, _digest(path), reason="It holds no document that can be read.")

    def _is_same(self, document: LibraryDocument, digest: str) -> bool:
        """What could not be read is tried again each time: what was missing then may be there now."""
        if not digest or document.digest != digest or not is_made_so(document, self.made):
            return False
        return document.status == "read" or (document.status == "partly read" and not self.again)

    def _at(
        self,
        path: Path,
        source: str,
        digest: str,
        member: str | None = None,
        reason: str = "",
        size_bytes: int | None = None,
    ) -> None:
        self.seen.add(source)
        before = self.by_source.get(source)
        if before and not reason and self._is_same(before, digest):
            self.unchanged.append(before)
        else:
            size_bytes = _size(path) if size_bytes is None else size_bytes
            self.items.append(_Item(path, source, digest, member, reason, size_bytes))


def _roots(paths: Iterable[Path]) -> list[Path]:
    """Absolute, without links in the folders above, each once, in the order given."""
    roots: dict[Path, None] = {}
    for path in paths:
        absolute = Path(path).expanduser().absolute()
        try:
            # A given link to a file keeps its own name; its folder, and a given folder, are the real ones.
            real = absolute.parent.resolve() / absolute.name if absolute.is_file() else absolute.resolve()
        except (OSError, RuntimeError):
            real = absolute
        roots[real] = None
    return list(roots)


def is_made_so(document: LibraryDocument, made: str) -> bool:
    """Whether a document was read and split in this way, with text recognition or without."""
    return document.made.partition("+")[0] == made


def _outermost(path: Path, roots: Sequence[Path]) -> Path:
    above = [root for root in roots if root == path or root in path.parents]
    return min(above, key=lambda root: len(root.parts), default=path)


def _digest(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError:
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class _Names:
    """Names of documents, each given once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def take(self, path: Path, root: Path, member: str | None = None) -> str:
        """The path below the root; where another document has it, with the folders above the root too."""
        inner = path.relative_to(root).parts if path != root else (path.name,)
        inner = inner if member is None else (*inner, member)
        above = [part for part in (root if path != root else root.parent).parts if part != path.anchor]
        candidates = ["/".join((*above[len(above) - n :], *inner)) for n in range(len(above) + 1)]
        candidates += [f"{candidates[-1]} ({number})" for number in range(2, len(self._taken) + 3)]
        shown = (name.encode("utf-8", "replace").decode("utf-8") for name in candidates)
        name = next(name for name in shown if name not in self._taken)
        self._taken.add(name)
        return name
