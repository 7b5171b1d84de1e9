"""Rows into a library in groups, each committed at once; one is embedded while the next files are read."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from homespun.documents.document import Document
from homespun.documents.split import Passage, TokenLimit
from homespun.progress import Progress, no_progress
from homespun.retrieval.keywords import passage_keywords
from homespun.retrieval.library import Library, LibraryDocument
from homespun.retrieval.store import Group, text_row

#: A group is committed when it has so many passages or documents, or is so many seconds old.
GROUP_PASSAGES = 512
GROUP_DOCUMENTS = 128
GROUP_AGE_S = 10.0
#: From so many passages on, the embedding of one group tells how far it is.
_LONG_GROUP = 2048


class GroupWriter:
    """Collects documents with their contents, and commits them in the order in which they came.

    A context manager: leaving it commits what is left, and leaving it by an exception does not. A failed
    commit is raised by the next call.
    """

    def __init__(self, library: Library, progress: Progress = no_progress) -> None:
        self._library = library
        self._progress = progress
        self._waiting: queue.Queue[_Rows | None] = queue.Queue(maxsize=1)
        self._failure: BaseException | None = None
        self._is_abandoned = False
        self._rows = _Rows()
        self._thread = threading.Thread(target=self._work, name="embedding", daemon=True)
        self._thread.start()

    def __enter__(self) -> "GroupWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._is_abandoned = kind is not None
        if not self._is_abandoned and self._rows.documents and self._failure is None:
            self._waiting.put(self._rows)
        self._waiting.put(None)
        self._thread.join()  # the lock is held until nothing writes any more
        if kind is None:
            self._raise()

    def add(
        self, document: LibraryDocument, read: Document | None = None, passages: Sequence[Passage] = ()
    ) -> None:
        """One document; with its text and passages where its content is not in the library yet."""
        self._raise()
        self._rows.documents.append(document)
        if read is not None:
            self._rows.texts.append(text_row(document.content_id, read))
            self._rows.passages.extend((document, passage) for passage in passages)
        if self._rows.is_full():
            self._waiting.put(self._rows)
            self._rows = _Rows()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while (rows := self._waiting.get()) is not None:
            if self._failure is not None or self._is_abandoned:
                continue  # nothing is written after a gap
            try:
                self._commit(rows)
            except BaseException as error:
                self._failure = error

    def _commit(self, rows: "_Rows") -> None:
        embedder = self._library.embedder
        texts = [embedded_text(passage, embedder.token_limit) for _, passage in rows.passages]
        told = self._progress if len(texts) >= _LONG_GROUP else no_progress
        vectors = embedder.embed(texts, "passage", told)
        if self._is_abandoned:
            return
        numbers: dict[str, int] = {}
        stored = []
        for place, ((document, passage), vector) in enumerate(zip(rows.passages, vectors, strict=True)):
            number = numbers.get(document.content_id, 0)
            numbers[document.content_id] = number + 1
            beside = (rows.beside(place, -1), rows.beside(place, 1))
            keywords = passage_keywords(document.title, passage, *beside)
            stored.append(_passage_row(document, passage, number, keywords, vector))
        documents = [asdict(document) for document in rows.documents]
        self._library.tables.write(Group(documents, rows.texts, stored))


class _Rows:
    """What is committed together."""

    def __init__(self) -> None:
        self.documents: list[LibraryDocument] = []
        self.texts: list[dict[str, Any]] = []
        self.passages: list[tuple[LibraryDocument, Passage]] = []
        self._started = time.monotonic()

    def beside(self, place: int, step: int) -> Passage | None:
        """The passage before (-1) or after (1) one, if it is of the same content."""
        other = place + step
        if not 0 <= other < len(self.passages):
            return None
        same = self.passages[other][0].content_id == self.passages[place][0].content_id
        return self.passages[other][1] if same else None

    def is_full(self) -> bool:
        return (
            len(self.passages) >= GROUP_PASSAGES
            or len(self.documents) >= GROUP_DOCUMENTS
            or time.monotonic() - self._started > GROUP_AGE_S
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


def _passage_row(
    document: LibraryDocument, passage: Passage, number: int, keywords: str, vector: Any
) -> dict[str, Any]:
    return {
        "content_id": document.content_id,
        "number": number,
        "start": passage.start,
        "end": passage.end,
        "page": passage.page,
        "headings": list(passage.headings),
        "text": passage.text,
        "keywords": keywords,
        "vector": vector,
    }
