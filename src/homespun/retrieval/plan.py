"""What an ingest has to do: the files that are there against the documents that the library holds."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.documents.walk import FoundFiles, Skipped, find_files
from homespun.models.digest import hash_file
from homespun.retrieval.library import LibraryDocument


@dataclass(frozen=True)
class FileToRead:
    """A file whose document is new or no longer what the library holds.

    `digest` is that of its bytes at planning; `before` is the document of this very path, `moved_from`
    one with the same bytes and ending whose file is gone.
    """

    path: Path
    source: str
    root: str
    name: str
    digest: str
    before: LibraryDocument | None
    moved_from: LibraryDocument | None


@dataclass(frozen=True)
class Plan:
    """`gone` are the documents whose files are no longer there, `unchanged` those to leave alone."""

    to_read: tuple[FileToRead, ...]
    unchanged: tuple[LibraryDocument, ...]
    gone: tuple[LibraryDocument, ...]
    skipped: tuple[Skipped, ...]


def plan_ingest(
    documents: Sequence[LibraryDocument],
    paths: Iterable[Path],
    made: str,
    *,
    follow_links: bool = False,
    on_file: Callable[[int, int], None] = lambda done, total: None,
) -> Plan:
    """Compare paths with a library.

    A document belongs to these paths if its file is one of them or lies below one of them. One whose
    file is not there any more is gone; but nothing is gone because a whole given folder is missing or
    cannot be opened: that is told as skipped, for a disk may only be unplugged.

    Args:
        documents: all that the library holds.
        paths: files and folders.
        made: the digest of the present way of reading and splitting.
        follow_links: as for `find_files`.
        on_file: told how many files were looked at, and of how many.
    """
    roots = _roots(paths)
    found = find_files(roots, follow_links=follow_links)
    by_source = {document.source: document for document in documents}
    sources = {source_name(path) for path in found.files}
    gone = [
        document
        for document in documents
        if document.source not in sources and _is_gone(document.source, roots, found)
    ]
    names = _Names(document.name for document in documents if document not in set(gone))
    vanished: dict[tuple[str, str], list[LibraryDocument]] = defaultdict(list)
    for document in reversed(gone):
        vanished[document.digest, Path(document.source).suffix.lower()].append(document)
    to_read: list[FileToRead] = []
    unchanged: list[LibraryDocument] = []
    for index, path in enumerate(found.files):
        on_file(index, len(found.files))
        source = source_name(path)
        digest = _digest(path)
        before = by_source.get(source)
        if before and _is_same(before, digest, made):
            unchanged.append(before)
            continue
        same = vanished[digest, path.suffix.lower()] if digest and not before else []
        root = _outermost(path, roots)
        name = before.name if before else names.take(path, root)
        moved_from = same.pop() if same else None
        to_read.append(FileToRead(path, source, source_name(root), name, digest, before, moved_from))
    return Plan(tuple(to_read), tuple(unchanged), tuple(gone), found.skipped)


def source_name(path: Path) -> str:
    """A path as a key: absolute, and with undecodable bytes of its name written out."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")


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


def _is_same(document: LibraryDocument, digest: str, made: str) -> bool:
    """What could not be read is tried again each time: what was missing then may be there now."""
    return (
        bool(digest) and document.digest == digest and document.made == made and document.status != "not read"
    )


def _is_gone(source: str, roots: Sequence[Path], found: FoundFiles) -> bool:
    for root in map(source_name, roots):
        if source == root:
            return not os.path.lexists(source)
        if source.startswith(root.rstrip(os.sep) + os.sep) and Path(root).is_dir():
            unopened = (source_name(skip.path) for skip in found.skipped if "cannot be opened" in skip.reason)
            return not any(source == path or source.startswith(path + os.sep) for path in unopened)
    return False


def _outermost(path: Path, roots: Sequence[Path]) -> Path:
    above = [root for root in roots if root == path or root in path.parents]
    return min(above, key=lambda root: len(root.parts), default=path)


def _digest(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError:
        return ""


class _Names:
    """Names of documents, each given once."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def take(self, path: Path, root: Path) -> str:
        """The path below the root; where another document has it, with the folders above the root too."""
        inner = path.relative_to(root).parts if path != root else (path.name,)
        above = [part for part in (root if path != root else root.parent).parts if part != path.anchor]
        candidates = ["/".join((*above[len(above) - n :], *inner)) for n in range(len(above) + 1)]
        candidates += [f"{candidates[-1]} ({number})" for number in range(2, len(self._taken) + 3)]
        shown = (name.encode("utf-8", "replace").decode("utf-8") for name in candidates)
        name = next(name for name in shown if name not in self._taken)
        self._taken.add(name)
        return name
