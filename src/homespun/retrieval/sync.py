"""Bring a library to the state of the files: add, renew, rename and remove, and leave the rest alone.

A file is known by its path and its content by a digest, so a renamed or copied file costs no reading, and
an unchanged one only a look at its bytes. Work is committed in groups; a process that is killed loses at
most the group it was at, and the next ingest goes on from there.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from homespun.documents.document import Document
from homespun.documents.read import read_document
from homespun.documents.split import Passage, SplitOptions, TokenLimit, split_document
from homespun.documents.walk import Skipped
from homespun.errors import HomespunError
from homespun.progress import Progress, no_progress
from homespun.retrieval.keywords import document_title, passage_keywords
from homespun.retrieval.library import Library, LibraryDocument
from homespun.retrieval.plan import FileToRead, Plan, plan_ingest
from homespun.retrieval.store import Group, text_row

#: Raised whenever the same file and options give other texts, passages, keywords or vectors.
READING_VERSION = 2
#: A group is committed when it has so many passages or documents, or is so many seconds old.
GROUP_PASSAGES = 256
GROUP_DOCUMENTS = 64
GROUP_AGE_S = 10.0


@dataclass(frozen=True)
class IngestOptions:
    """How files are brought into a library."""

    split: SplitOptions | None = field(
        default=None, metadata={"help": "how long passages are; none: as the library was made", "flag": False}
    )
    follow_links: bool = field(default=False, metadata={"help": "follow links out of the given folders"})
    wait_s: float = field(
        default=600.0, metadata={"help": "seconds to wait while another process writes to the library"}
    )


@dataclass(frozen=True)
class NotRead:
    """A document without passages, or with a part missing, and why, in one sentence."""

    name: str
    reason: str


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did. Names of documents, sorted; each file is in exactly one of the first five.

    Attributes:
        added: were not in the library.
        updated: their bytes, or the way of splitting, changed.
        renamed: (old name, new name) of files that moved without a change.
        unchanged: were left as they are.
        not_read: hold no text that could be read; listed in the library without passages.
        partly_read: are in the library with a part missing.
        removed: their files are gone.
        skipped: paths that are no documents.
        n_passages: in the whole library now.
    """

    added: tuple[str, ...]
    updated: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    unchanged: tuple[str, ...]
    not_read: tuple[NotRead, ...]
    partly_read: tuple[NotRead, ...]
    removed: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    n_passages: int
    seconds: float

    @property
    def is_complete(self) -> bool:
        """Whether every document was read whole."""
        return not self.not_read and not self.partly_read


def ingest(
    library: Library,
    paths: Iterable[Path],
    options: IngestOptions | None = None,
    *,
    limits: Sequence[TokenLimit] = (),
    progress: Progress = no_progress,
) -> IngestReport:
    """Make a library hold what the files under `paths` hold now.

    Documents of other paths stay as they are, unless the splitting changes: then all are split anew
    whose files are still there. A document that cannot be read is listed with its reason and never stops
    the others.

    Args:
        library: opened with its embedder.
        paths: files and folders.
        options: splitting, links and waiting.
        limits: of further tokenizers that will read the passages; the embedder's own always holds.
        progress: told how many files are done.

    Raises:
        LibraryBusyError: another process writes for longer than `options.wait_s`.
        LibraryError: the library cannot be written, for one because the disk is full.
    """
    options = options or IngestOptions()
    started = time.monotonic()
    with library.writing(options.wait_s, progress):
        if options.split and options.split != library.facts.split:
            library.set_split(options.split)
        sync = _Sync(library, limits, progress)
        library.tables.remove_orphans()  # of a writer that was killed
        documents = library.documents()
        stale_roots = {Path(document.root) for document in documents if document.made != sync.made}
        wanted = [*map(Path, paths), *(root for root in sorted(stale_roots) if root.exists())]
        plan = plan_ingest(
            documents,
            wanted,
            sync.made,
            follow_links=options.follow_links,
            on_file=lambda done, total: progress("Looking for changes", done, total),
        )
        sync.run(plan, documents)
        return sync.report(plan, time.monotonic() - started)


class _Sync:
    """One ingest: collects rows into groups and commits them."""

    def __init__(self, library: Library, limits: Sequence[TokenLimit], progress: Progress) -> None:
        self.library = library
        self.limits = [library.embedder.token_limit, *limits]
        self.progress = progress
        self.made = _made(library)
        self.contents: dict[str, LibraryDocument] = {}
        self.written: dict[str, LibraryDocument] = {}
        self.renamed: dict[str, str] = {}
        self._start_group()

    def run(self, plan: Plan, documents: Sequence[LibraryDocument]) -> None:
        self.contents = {document.content_id: document for document in documents if document.content_id}
        for index, file in enumerate(plan.to_read):
            self.progress("Reading documents", index, len(plan.to_read))
            self._take(file)
            if self._group_is_full():
                self._commit()
        self._commit()
        self.progress("Reading documents", len(plan.to_read), len(plan.to_read))
        if plan.gone:
            self.library.tables.remove_documents(document.source for document in plan.gone)
        if plan.gone or plan.to_read:
            self.library.tables.remove_orphans()
        self.library.tables.tidy()

    def _take(self, file: FileToRead) -> None:
        """Put one file into the group: by its known content, or by reading it."""
        known = self.contents.get(_content_id(file.digest, file.path, self.made)) if file.digest else None
        if known is None:
            known, read, passages = self._read(file)
            if known.content_id and known.content_id not in self.contents:
                self.contents[known.content_id] = known
                self._texts.append(text_row(known.content_id, read))
                self._passages.extend((known, passage) for passage in passages)
        row = asdict(known) | {"name": file.name, "source": file.source, "root": file.root}
        document = LibraryDocument(**row)
        self.written[file.source] = document
        self._documents.append(document)
        if file.moved_from and file.moved_from.content_id == document.content_id != "":
            self.renamed[file.source] = file.moved_from.name

    def _read(self, file: FileToRead) -> tuple[LibraryDocument, Document, list[Passage]]:
        document, passages = self._read_and_split(file)
        is_read = document.status != "not read"
        try:
            size_bytes = file.path.stat().st_size
        except OSError:
            size_bytes = 0
        row = LibraryDocument(
            name=file.name,
            source=file.source,
            root=file.root,
            digest=document.digest,
            status=document.status,
            reason=document.reason,
            title=document_title(document),
            size_bytes=size_bytes,
            n_chars=len(document.text),
            n_passages=len(passages),
            n_pages=len(document.pages),
            content_id=_content_id(document.digest, file.path, self.made) if is_read else "",
            made=self.made,
        )
        return row, document, passages

    def _read_and_split(self, file: FileToRead) -> tuple[Document, list[Passage]]:
        """Whatever a file does to its reader, the others go on."""
        try:
            document = read_document(file.path, file.name)
            if document.status == "not read":
                return document, []
            return document, split_document(document, self.library.facts.split, self.limits)
        except HomespunError as error:
            reason = error.what
        except Exception as error:
            reason = (
                f"It could not be processed ({type(error).__name__}: {' '.join(str(error).split())[:200]})."
            )
        return Document(file.path, file.name, "", (), (), "not read", reason, file.digest), []

    def _start_group(self) -> None:
        self._documents: list[LibraryDocument] = []
        self._texts: list[dict[str, Any]] = []
        self._passages: list[tuple[LibraryDocument, Passage]] = []
        self._group_started = time.monotonic()

    def _group_is_full(self) -> bool:
        return (
            len(self._passages) >= GROUP_PASSAGES
            or len(self._documents) >= GROUP_DOCUMENTS
            or time.monotonic() - self._group_started > GROUP_AGE_S
        )

    def _commit(self) -> None:
        if not self._documents:
            return
        limit = self.library.embedder.token_limit
        texts = [embedded_text(passage, limit) for _, passage in self._passages]
        vectors = self.library.embedder.embed(texts, "passage")
        numbers: dict[str, int] = {}
        rows = []
        for (document, passage), vector in zip(self._passages, vectors, strict=True):
            number = numbers.get(document.content_id, 0)
            numbers[document.content_id] = number + 1
            rows.append(_passage_row(document, passage, number, vector))
        documents = [asdict(document) for document in self._documents]
        self.library.tables.write(Group(documents, self._texts, rows))
        self._start_group()

    def report(self, plan: Plan, seconds: float) -> IngestReport:
        rows = [(file, self.written[file.source]) for file in plan.to_read]
        read = [(file, row) for file, row in rows if row.status != "not read"]
        moved = set(self.renamed.values())
        now = [*plan.unchanged, *(row for _, row in rows)]
        partly = [NotRead(row.name, row.reason) for row in now if row.status == "partly read"]
        return IngestReport(
            added=_sorted(
                row.name for file, row in read if not file.before and file.source not in self.renamed
            ),
            updated=_sorted(row.name for file, row in read if file.before),
            renamed=tuple(sorted((old, self.written[source].name) for source, old in self.renamed.items())),
            unchanged=_sorted(row.name for row in plan.unchanged),
            not_read=tuple(
                sorted(
                    (NotRead(row.name, row.reason) for _, row in rows if row.status == "not read"), key=_name
                )
            ),
            partly_read=tuple(sorted(partly, key=_name)),
            removed=_sorted(row.name for row in plan.gone if row.name not in moved),
            skipped=plan.skipped,
            n_passages=self.library.tables.n_passages(),
            seconds=seconds,
        )


def embedded_text(passage: Passage, limit: TokenLimit) -> str:
    """What of a passage becomes its vector: the headings above it, then its text.

    On a set of headed articles the right section came first for 0.65 of the questions instead of 0.53.
    Where they do not fit the embedder's window together, the highest headings are left out; text never is.
    """
    for n_left_out in range(len(passage.headings)):
        text = " > ".join(passage.headings[n_left_out:]) + "\n" + passage.text
        if len(limit.offsets(text)) <= limit.max_tokens:
            return text
    return passage.text


def _passage_row(document: LibraryDocument, passage: Passage, number: int, vector: Any) -> dict[str, Any]:
    return {
        "content_id": document.content_id,
        "number": number,
        "start": passage.start,
        "end": passage.end,
        "page": passage.page,
        "headings": list(passage.headings),
        "text": passage.text,
        "keywords": passage_keywords(document.title, passage),
        "vector": vector,
    }


def _made(library: Library) -> str:
    """A digest of all but the file that decides its passages: where they are cut and by whom read."""
    stated = [
        READING_VERSION,
        asdict(library.facts.split),
        library.facts.embedder_identity,
        library.embedder.max_tokens,
    ]
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:16]


def _content_id(digest: str, path: Path, made: str) -> str:
    """The ending counts: it decides how the bytes are read."""
    return hashlib.sha256(f"{digest} {path.suffix.lower()} {made}".encode()).hexdigest()[:32]


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _name(item: NotRead) -> str:
    return item.name
