"""Bring a library to the state of the files: add, renew, rename and remove, and leave the rest alone.

A file is known by its path and its content by a digest, so a renamed or copied file costs no reading, and
an unchanged one only a look at its bytes. Files are read by worker processes while the passages of those
before them are embedded. Work is committed in groups; a process that is killed loses at most the groups it
was at, and the next ingest goes on from there.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from homespun.documents.document import Document
from homespun.documents.read import ReadOptions
from homespun.documents.split import Passage, SplitOptions, TokenLimit, split_document
from homespun.documents.workers import ReadingPool, ReadJob
from homespun.errors import HomespunError
from homespun.progress import Progress, no_progress
from homespun.retrieval.groups import GroupWriter
from homespun.retrieval.keywords import document_title
from homespun.retrieval.library import Library, LibraryDocument
from homespun.retrieval.plan import FileToRead, Known, Plan, WebPage, is_made_so, plan_ingest
from homespun.retrieval.report import IngestReport, make_report

#: Raised whenever the same file and options give other texts, passages, keywords or vectors.
READING_VERSION = 4


@dataclass(frozen=True)
class IngestOptions:
    """How files are brought into a library."""

    split: SplitOptions | None = field(
        default=None, metadata={"help": "how long passages are; none: as the library was made", "flag": False}
    )
    read: ReadOptions | None = field(default=None, metadata={"help": "how files are read", "flag": False})
    follow_links: bool = field(default=False, metadata={"help": "follow links out of the given folders"})
    n_workers: int = field(default=0, metadata={"help": "processes that read files; 0: one for each core"})
    wait_s: float = field(
        default=600.0, metadata={"help": "seconds to wait while another process writes to the library"}
    )


def ingest(
    library: Library,
    paths: Iterable[Path],
    options: IngestOptions | None = None,
    *,
    limits: Sequence[TokenLimit] = (),
    known: Known = Known(),
    pages: Sequence[WebPage] = (),
    progress: Progress = no_progress,
) -> IngestReport:
    """Make a library hold what the files under `paths` hold now.

    Documents of other paths stay as they are, unless the splitting changes: then all are split anew
    whose files are still there. A document that cannot be read is listed with its reason and never stops
    the others.

    Args:
        library: opened with its embedder.
        paths: files, folders and patterns; each member of an archive is a document.
        options: splitting, links and waiting.
        limits: of further tokenizers that will read the passages; the embedder's own always holds.
        known: files that need no look, as a watcher knows them.
        pages: web pages that were fetched.
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
        made = made_id(library)
        library.tables.remove_orphans()  # of a writer that was killed
        documents = library.documents()
        stale_roots = {Path(document.root) for document in documents if not is_made_so(document, made)}
        plan = plan_ingest(
            documents,
            [*map(Path, paths), *(root for root in sorted(stale_roots) if root.exists())],
            made,
            follow_links=options.follow_links,
            known=known,
            again=_way(options.read) != "",
            pages=pages,
            on_file=lambda done, total: progress("Looking for changes", done, total),
        )
        written = _Sync(library, made, limits, options, progress).run(plan, documents)
        n_passages = library.tables.n_passages()
    return make_report(plan, written, n_passages, time.monotonic() - started)


class _Sync:
    """One ingest: carries out a plan."""

    def __init__(
        self,
        library: Library,
        made: str,
        limits: Sequence[TokenLimit],
        options: IngestOptions,
        progress: Progress,
    ) -> None:
        self.library = library
        self.made = (made + _way(options.read), made)
        self.limits = [library.embedder.token_limit, *limits]
        self.options = options
        self.progress = progress
        #: By content id: what the library has, or will have when the group is committed.
        self.contents: dict[str, LibraryDocument] = {}

    def run(self, plan: Plan, documents: Sequence[LibraryDocument]) -> list[LibraryDocument]:
        """The documents of `plan.to_read`, in its order, all committed."""
        written: list[LibraryDocument] = []
        self.contents = {document.content_id: document for document in documents if document.content_id}
        total = len(plan.to_read)
        if plan.to_read:
            with (
                ReadingPool(self.options.n_workers or None, options=self.options.read) as pool,
                GroupWriter(self.library, self.progress) as writer,
            ):
                for file, read in self._read_all(plan.to_read, pool):
                    self.progress("Reading documents", len(written), total)
                    written.append(self._take(file, read, pool, writer))
            self.progress("Reading documents", total, total)
        if plan.gone:
            self.library.tables.remove_documents(document.source for document in plan.gone)
        if plan.gone or plan.to_read:
            self.library.tables.remove_orphans()
        self.library.tables.tidy()
        return written

    def _read_all(
        self, files: Sequence[FileToRead], pool: ReadingPool
    ) -> Iterator[tuple[FileToRead, Document | None]]:
        """Each file with what it holds; None where its content is known, or will be when its turn comes."""
        awaited = set(self.contents)
        to_open = []
        for file in files:
            content_id = content_id_of(file.digest, file.source, self.made[0]) if file.digest else ""
            is_known = self._known(file) is not None or content_id in awaited
            to_open.append(not file.reason and not is_known)
            awaited |= {content_id} - {""}
        opened = (file for file, is_wanted in zip(files, to_open, strict=True) if is_wanted)
        documents = pool.read(_job(file) for file in opened)
        for file, is_wanted in zip(files, to_open, strict=True):
            yield file, next(documents) if is_wanted else None

    def _take(
        self, file: FileToRead, read: Document | None, pool: ReadingPool, writer: GroupWriter
    ) -> LibraryDocument:
        """Hand one file to the writer: by its known content, or with what was read."""
        if file.reason:
            read = Document(file.path, file.name, "", (), (), "not read", file.reason, file.digest)
        elif read is None:
            known = self._known(file)
            if known is not None:
                document = replace(
                    known, name=file.name, source=file.source, root=file.root, size_bytes=file.size_bytes
                )
                writer.add(document)
                return document
            (read,) = pool.read([_job(file)])  # its twin changed before it was read
        read, passages = self._split(read)
        document = self._row(file, read, len(passages))
        if document.content_id and document.content_id not in self.contents:
            self.contents[document.content_id] = document
            writer.add(document, read, passages)
        else:
            writer.add(document)
        return document

    def _known(self, file: FileToRead) -> LibraryDocument | None:
        """A document with this file's content: read as it is to be read now, or whole in the plainer way."""
        for made in self.made if file.digest else ():
            known = self.contents.get(content_id_of(file.digest, file.source, made))
            if known is not None and (made == self.made[0] or known.status == "read"):
                return known
        return None

    def _split(self, read: Document) -> tuple[Document, list[Passage]]:
        """Whatever a text does to the splitter, the others go on."""
        if read.status == "not read":
            return read, []
        try:
            return read, split_document(read, self.library.facts.split, self.limits)
        except HomespunError as error:
            reason = error.what
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            reason = f"It could not be processed ({type(error).__name__}: {said})."
        return Document(read.path, read.name, "", (), (), "not read", reason, read.digest), []

    def _row(self, file: FileToRead, read: Document, n_passages: int) -> LibraryDocument:
        is_read = read.status != "not read"
        return LibraryDocument(
            name=file.name,
            source=file.source,
            root=file.root,
            digest=read.digest,
            status=read.status,
            reason=read.reason,
            title=document_title(read),
            size_bytes=file.size_bytes,
            n_chars=len(read.text),
            n_passages=n_passages,
            n_pages=len(read.pages),
            content_id=content_id_of(read.digest, file.source, self.made[0]) if is_read else "",
            made=self.made[0],
        )


def made_id(library: Library) -> str:
    """A digest of all but the file that decides its passages: where they are cut and by whom read."""
    stated = [
        READING_VERSION,
        asdict(library.facts.split),
        library.facts.embedder_identity,
        library.embedder.max_tokens,
    ]
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:16]


def content_id_of(digest: str, source: str, made: str) -> str:
    """The id of what a file became. The ending of its source counts: it decides how the bytes are read."""
    return hashlib.sha256(f"{digest} {Path(source).suffix.lower()} {made}".encode()).hexdigest()[:32]


def _way(read: ReadOptions | None) -> str:
    """What of the way of reading a person may choose; behind the "+" of `LibraryDocument.made`."""
    return f"+ocr {read.ocr_languages}" if read and read.ocr else ""


def _job(file: FileToRead) -> ReadJob:
    return ReadJob(file.path, file.name, file.member)
