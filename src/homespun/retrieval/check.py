"""Whether a library is what it says: every offset, digest, vector and count, computed again."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homespun.errors import HomespunError
from homespun.models.digest import hash_file
from homespun.models.home import Home
from homespun.models.home_check import ModelsCheck, Problem, check_models
from homespun.progress import Progress, no_progress
from homespun.retrieval.library import Library, LibraryDocument, library_names
from homespun.retrieval.sync import content_id_of

#: Vectors are of length 1 up to what float32 and reduced precision round away.
_NORM_TOLERANCE = 0.01
#: So many problems of one kind are told one by one.
_MOST_TOLD = 5


@dataclass(frozen=True)
class LibraryCheck:
    """What was found. No problems: the library is whole.

    Attributes:
        n_documents, n_passages: that were looked at.
        changed_files, missing_files: documents whose files are no longer as they were ingested, or not there.
            That is no fault of the library: the next ingest brings it into step.
    """

    name: str
    n_documents: int
    n_passages: int
    problems: tuple[Problem, ...]
    changed_files: tuple[str, ...] = ()
    missing_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class HomeReport:
    """All of a home: its models, and each library."""

    models: ModelsCheck
    libraries: tuple[LibraryCheck, ...]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Of models and libraries together."""
        return (*self.models.problems, *(problem for one in self.libraries for problem in one.problems))


def check_home(home: Home, *, progress: Progress = no_progress) -> HomeReport:
    """Check every model, embedder and library of a home. A library that cannot be read is a problem told.

    Raises:
        HomeError: the list of models cannot be read.
    """
    models = check_models(home, progress=progress)
    libraries = []
    for name in library_names(home):
        try:
            libraries.append(check_library(Library.open(home, name), progress=progress))
        except HomespunError as error:
            what = Problem(error.where or name, error.what, error.remedy or "Ingest its files anew.")
            libraries.append(LibraryCheck(name, 0, 0, (what,)))
    return HomeReport(models, tuple(libraries))


def check_library(library: Library, *, progress: Progress = no_progress) -> LibraryCheck:
    """Compute again what can be: `text[start:end]` is each passage, ids fit digests, vectors have length 1.

    Others may read meanwhile; a writer waits until the check has ended.

    Raises:
        LibraryError: the tables cannot be read at all.
        LibraryBusyError: another process writes to it for longer than a minute.
    """
    with library.writing(60, progress):
        return _Check(library, progress).run()


class _Check:
    def __init__(self, library: Library, progress: Progress) -> None:
        self.library = library
        self.progress = progress
        self.where = str(library.path)
        self.found: dict[str, list[str]] = {}

    def run(self) -> LibraryCheck:
        documents = self.library.documents()
        by_content = {document.content_id: document for document in documents if document.content_id}
        self._check_documents(documents)
        texts = self._check_texts(by_content)
        n_passages = self._check_passages(by_content, texts)
        changed, missing = self._compare_files(documents)
        remedy = f"Remove the library with `homespun libraries remove {self.library.name}` and ingest again."
        problems = [Problem(self.where, what, remedy) for kind in self.found.values() for what in _told(kind)]
        return LibraryCheck(self.library.name, len(documents), n_passages, tuple(problems), changed, missing)

    def _tell(self, kind: str, what: str) -> None:
        self.found.setdefault(kind, []).append(what)

    def _check_documents(self, documents: list[LibraryDocument]) -> None:
        for column in ("name", "source"):
            for value, n in Counter(getattr(document, column) for document in documents).items():
                if n > 1:
                    self._tell(f"double {column}", f"{n} documents have the {column} {value!r}.")
        for document in documents:
            if document.status == "not read":
                if document.content_id:
                    self._tell("not read", f"{document.name!r} is not read, but has a text.")
            elif document.content_id != content_id_of(document.digest, document.source, document.made):
                self._tell("id", f"The text of {document.name!r} is not that of the digest of its file.")

    def _check_texts(self, by_content: dict[str, LibraryDocument]) -> dict[str, str]:
        texts: dict[str, str] = {}
        for row in _rows(self.library.tables.all_texts()):
            content_id, text = row["content_id"], row["text"]
            document = by_content.get(content_id)
            if document is None:
                self._tell("orphan text", "There is a text that belongs to no document.")
            elif content_id in texts:
                self._tell("double text", f"The text of {document.name!r} is there twice.")
            elif len(text) != document.n_chars:
                what = f"The text of {document.name!r} has {len(text)} characters, not {document.n_chars}."
                self._tell("length", what)
            texts[content_id] = text
        for content_id, document in by_content.items():
            if content_id not in texts:
                self._tell("no text", f"The text of {document.name!r} is missing.")
        return texts

    def _check_passages(self, by_content: dict[str, LibraryDocument], texts: dict[str, str]) -> int:
        numbers: dict[str, list[int]] = {}
        total = self.library.tables.n_passages()
        columns = ("content_id", "number", "start", "end", "text", "keywords", "vector")
        for n_seen, row in enumerate(_rows(self.library.tables.all_passages(columns))):
            self.progress("Checking passages", n_seen, total)
            document = by_content.get(row["content_id"])
            if document is None:
                self._tell("orphan passage", "There is a passage that belongs to no document.")
                continue
            numbers.setdefault(row["content_id"], []).append(row["number"])
            self._check_passage(row, document.name, texts.get(row["content_id"], ""))
        for content_id, document in by_content.items():
            there = sorted(numbers.get(content_id, []))
            if there != list(range(document.n_passages)):
                what = f"{document.name!r} should have {document.n_passages} passages and has {len(there)}."
                self._tell(
                    "passages", what if len(there) != document.n_passages else f"{what} Some are double."
                )
        return total

    def _check_passage(self, row: dict[str, Any], name: str, text: str) -> None:
        which = f"Passage {row['number']} of {name!r}"
        if text and text[row["start"] : row["end"]] != row["text"]:
            self._tell("offsets", f"{which} is not what its document has at {row['start']}-{row['end']}.")
        if not row["keywords"].strip():
            self._tell("keywords", f"{which} has no keywords.")
        vector = np.asarray(row["vector"] if row["vector"] is not None else [], np.float64)
        norm = float(np.linalg.norm(vector)) if vector.size == self.library.facts.dimensions else 0.0
        if not abs(norm - 1) <= _NORM_TOLERANCE:  # also when it is no number
            self._tell("vector", f"{which} has no vector of length 1 (but of {norm:.3f}).")

    def _compare_files(self, documents: list[LibraryDocument]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        changed, missing = [], []
        for n_done, document in enumerate(documents):
            self.progress("Comparing files", n_done, len(documents))
            path = Path(document.source)
            if (
                "://" in document.source
                or not document.digest
                or ("!" in document.source and not path.exists())
            ):
                continue  # a web page, or a part of an archive
            try:
                if hash_file(path) != document.digest:
                    changed.append(document.name)
            except OSError:
                missing.append(document.name)
        return tuple(changed), tuple(missing)


def _rows(batches: Iterator[Any]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from batch.to_pylist()


def _told(whats: list[str]) -> list[str]:
    more = len(whats) - _MOST_TOLD
    return [*whats[:_MOST_TOLD], f"The same of {more} more."] if more > 0 else whats
