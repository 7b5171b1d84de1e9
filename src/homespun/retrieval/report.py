"""What an ingest did, for people and programs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from homespun.documents.walk import Skipped
from homespun.retrieval.library import LibraryDocument
from homespun.retrieval.plan import Plan


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

    @property
    def changed(self) -> bool:
        """Whether the library holds anything else than before."""
        return bool(self.added or self.updated or self.renamed or self.removed)


def make_report(
    plan: Plan, written: Sequence[LibraryDocument], n_passages: int, seconds: float
) -> IngestReport:
    """The report of a plan that was carried out; `written` are the documents of `plan.to_read`, in its order."""
    rows = list(zip(plan.to_read, written, strict=True))
    read = [(file, row) for file, row in rows if row.status != "not read"]
    renamed = {
        file.source: (file.moved_from.name, row.name)
        for file, row in rows
        if file.moved_from and file.moved_from.content_id == row.content_id != ""
    }
    moved = {old for old, _ in renamed.values()}
    now = [*plan.unchanged, *written]
    partly = [NotRead(row.name, row.reason) for row in now if row.status == "partly read"]
    not_read = [NotRead(row.name, row.reason) for row in written if row.status == "not read"]
    return IngestReport(
        added=_sorted(row.name for file, row in read if not file.before and file.source not in renamed),
        updated=_sorted(row.name for file, row in read if file.before),
        renamed=tuple(sorted(renamed.values())),
        unchanged=_sorted(row.name for row in plan.unchanged),
        not_read=tuple(sorted(not_read, key=lambda item: item.name)),
        partly_read=tuple(sorted(partly, key=lambda item: item.name)),
        removed=_sorted(row.name for row in plan.gone if row.name not in moved),
        skipped=plan.skipped,
        n_passages=n_passages,
        seconds=seconds,
    )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
