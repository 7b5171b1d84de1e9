"""A library: a folder of the home that holds documents, their passages, vectors and keywords."""

import contextlib
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from homespun.documents.document import Place, Status
from homespun.documents.split import Passage, SplitOptions
from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder
from homespun.retrieval.errors import LibraryError
from homespun.retrieval.facts import LIBRARY_VERSION, LibraryFacts, read_facts, write_facts
from homespun.retrieval.keywords import latin_languages
from homespun.retrieval.locate import Location, locate
from homespun.retrieval.lock import hold_lock
from homespun.retrieval.migrate import migrate

if TYPE_CHECKING:
    from homespun.retrieval.store import Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class LibraryDocument:
    """One file of a library.

    Attributes:
        name: what people call it, different for each document of the library.
        source: the file that it came from; `root`: the path that was given to ingest.
        digest: sha256 of the file's bytes, empty when they could not be had.
        status, reason: as `read_document` said.
        content_id: of its text and passages; copies have the same, and a document not read has none.
        made: a digest of the way of reading and splitting.
    """

    name: str
    source: str
    root: str
    digest: str
    status: Status
    reason: str
    title: str
    size_bytes: int
    n_chars: int
    n_passages: int
    n_pages: int
    content_id: str
    made: str


def library_names(home: Home) -> list[str]:
    """The names of all libraries of a home, sorted."""
    return sorted(path.parent.name for path in home.libraries_path.glob("*/library.json"))


class Library:
    """An open library. Reading is possible while another process writes; each read sees the last commit."""

    def __init__(self, path: Path, facts: LibraryFacts, embedder: Embedder | None) -> None:
        self.path = path
        self.facts = facts
        self._embedder = embedder
        self._list: tuple[str, list[LibraryDocument], dict[str, list[LibraryDocument]]] | None = None
        self._languages: tuple[str, tuple[str, ...]] | None = None

    @classmethod
    def open(
        cls,
        home: Home,
        name: str,
        embedder: Embedder | None = None,
        *,
        create: bool = False,
        split: SplitOptions | None = None,
        store: str = "",
    ) -> "Library":
        """Open a library of a home.

        Args:
            home: where libraries are.
            name: of the library.
            embedder: needed for searching and ingesting; without it the library can be looked at.
            create: make it if it is not there; `embedder` is needed then.
            split: the splitting of a new library.
            store: the address where a new library keeps its rows; empty: in the home.

        Raises:
            LibraryError: no such library, a name that is not allowed, a library that another embedder or
                a newer Homespun made, or an unreadable library.json.
        """
        if not _NAME.fullmatch(name):
            raise LibraryError(
                f"{name!r} cannot be the name of a library: it may have up to 64 letters, digits, dots, "
                "hyphens and underscores, and begins with a letter or digit."
            )
        path = home.libraries_path / name
        if not (path / "library.json").is_file():
            if not create or embedder is None:
                raise _unknown(home, name)
            facts = LibraryFacts(
                name,
                embedder.name,
                embedder.identity,
                embedder.dimensions,
                split or SplitOptions(),
                store=store,
            )
            if store:
                from homespun.retrieval.open_store import open_store

                with contextlib.closing(open_store(store, path, name, embedder.dimensions)) as opened:
                    claimed = opened.claim(embedder.identity)
                if claimed != embedder.identity:  # another home's library, before anything is kept of it here
                    raise LibraryError(
                        f"Another embedder than {embedder.name} made the library {name!r} there.",
                        where=store,
                        remedy="Use the embedder that made it, or another name.",
                    )
            path.mkdir(parents=True, exist_ok=True)
            write_facts(path, facts)
        facts = read_facts(path)
        if facts.version < LIBRARY_VERSION:
            facts = migrate(path)
        if embedder is not None and embedder.identity != facts.embedder_identity:
            raise LibraryError(
                of_another_embedder(facts, embedder),
                where=str(path),
                remedy="Use the first embedder, or ingest the documents into a new library with the other one.",
            )
        return cls(path, facts, embedder)

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def embedder(self) -> Embedder:
        """The embedder that it was opened with.

        Raises:
            LibraryError: it was opened without one.
        """
        if self._embedder is None:
            raise LibraryError("This library was opened without an embedder.", where=str(self.path))
        return self._embedder

    @cached_property
    def tables(self) -> "Store":
        """Where its rows are, opened when first needed: `homespun libraries list` does without."""
        from homespun.retrieval.open_store import open_store

        return open_store(self.facts.store, self.path / "tables", self.name, self.facts.dimensions)

    def documents(self) -> list[LibraryDocument]:
        """All documents by name, those that could not be read too."""
        return list(self._listed()[0])

    def documents_of_contents(self) -> Mapping[str, Sequence[LibraryDocument]]:
        """Each content's documents by name: more than one where a file has copies."""
        return self._listed()[1]

    def latin_languages(self) -> tuple[str, ...]:
        """The languages of its passages that share the Latin script, asked again only after a commit."""
        version = self.tables.version()
        if self._languages is None or self._languages[0] != version:
            self._languages = version, latin_languages(self.tables)
        return self._languages[1]

    def _listed(self) -> tuple[list[LibraryDocument], dict[str, list[LibraryDocument]]]:
        """The documents, read again only after a commit."""
        version = self.tables.version()
        if self._list is None or self._list[0] != version:
            rows = [LibraryDocument(**row) for row in self.tables.document_rows()]
            rows.sort(key=lambda document: document.name)
            by_content: dict[str, list[LibraryDocument]] = {}
            for document in rows:
                if document.content_id:
                    by_content.setdefault(document.content_id, []).append(document)
            self._list = version, rows, by_content
        return self._list[1:]

    def document(self, name: str) -> LibraryDocument:
        """One document by its name.

        Raises:
            LibraryError: no such document.
        """
        for document in self.documents():
            if document.name == name:
                return document
        raise LibraryError(
            f"The library {self.name!r} has no document {name!r}.",
            remedy=f"List them with `homespun libraries show {self.name}`.",
        )

    def text(self, document: str) -> str:
        """The text that all offsets of a document refer to.

        Raises:
            LibraryError: no such document, or one that could not be read.
        """
        found = self.document(document)
        text = self.tables.text(found.content_id) if found.content_id else None
        if text is None:
            raise LibraryError(f"The document {document!r} has no text: {found.reason}")
        return text

    def passages(self, document: str) -> list[Passage]:
        """The passages of a document, in order.

        Raises:
            LibraryError: no such document.
        """
        content_id = self.document(document).content_id
        if not content_id:
            return []
        rows = self.tables.passages(content_id)
        return [
            Passage(document, row["start"], row["end"], row["text"], row["page"], tuple(row["headings"]))
            for row in rows.drop_columns(["vector", "keywords"]).to_pylist()
        ]

    def places(self, document: str) -> tuple[Place, ...]:
        """The named places of a document (sheets and rows, slides, messages), by their start."""
        content_id = self.document(document).content_id
        return self.tables.places(content_id) if content_id else ()

    def locate(self, document: str, start: int, end: int) -> Location:
        """Where a stretch of a document's text stands: page, heading, named place, lines.

        Args:
            document: its name.
            start, end: offsets into `text(document)`, in code points.

        Raises:
            LibraryError: no such document, or one that could not be read.
        """
        return locate(self.text(document), self.passages(document), self.places(document), start, end)

    def remove(
        self, document: str, *, wait_s: float = 60, progress: Progress = no_progress
    ) -> LibraryDocument:
        """Take a document out; its file stays, and ingesting that file again brings it back.

        Raises:
            LibraryError: no such document, or it could not be removed.
            LibraryBusyError: another process writes for longer than `wait_s`.
        """
        with self.writing(wait_s, progress):
            found = self.document(document)
            self.tables.remove_documents([found.source])
            self.tables.remove_orphans()
            self.tables.tidy()
        return found

    def purge(self, *, wait_s: float = 60, progress: Progress = no_progress) -> None:
        """Leave no word of removed documents in the library's files; removing alone only hides them at first.

        Chats and answers that were saved, and backups, are their own files and stay as they are.

        Raises:
            LibraryError: it could not be rewritten.
            LibraryBusyError: another process writes for longer than `wait_s`.
        """
        with self.writing(wait_s, progress):
            progress("Rewriting the library", 0, None)
            self.tables.purge()

    def drop(self, *, wait_s: float = 60, progress: Progress = no_progress) -> None:
        """Delete the whole library.

        Raises:
            LibraryError: it could not be deleted.
            LibraryBusyError: another process writes for longer than `wait_s`.
        """
        with self.writing(wait_s, progress):
            if self.facts.store:
                self.tables.drop()
            self.__dict__.pop("tables", None)
            try:
                (self.path / "library.json").unlink()  # first: from here on there is no such library
                shutil.rmtree(self.path / "tables", ignore_errors=True)
            except OSError as error:
                raise LibraryError(
                    f"It could not be deleted ({error.strerror}).", where=str(self.path)
                ) from error
        shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def writing(self, wait_s: float, progress: Progress = no_progress) -> Iterator[None]:
        """Be the only writer.

        Raises:
            LibraryError: it was removed while this one waited.
            LibraryBusyError: another process writes for longer than `wait_s` seconds.
        """
        with hold_lock(self.path / "writer.lock", wait_s, progress):
            if not (self.path / "library.json").is_file():
                raise LibraryError(f"The library {self.name!r} was removed meanwhile.")
            yield

    def set_split(self, split: SplitOptions) -> None:
        """Remember how documents are split from now on."""
        self.facts = replace(self.facts, split=split)
        write_facts(self.path, self.facts)


def _unknown(home: Home, name: str) -> LibraryError:
    names = library_names(home)
    there = f"There are: {', '.join(names)}." if names else "There is none yet."
    return LibraryError(
        f"There is no library {name!r}. {there}",
        remedy=f"Make it with `homespun ingest PATH --library {name}`.",
    )


def of_another_embedder(facts: LibraryFacts, embedder: Embedder) -> str:
    """What is told when a library is opened with another embedder than its own."""
    return (
        f"The library {facts.name!r} was made with the embedder {facts.embedder_name} ({facts.dimensions} "
        f"dimensions, {facts.embedder_identity[:12]}) and cannot be used with {embedder.name} "
        f"({embedder.dimensions} dimensions, {embedder.identity[:12]}); it was left as it is."
    )
