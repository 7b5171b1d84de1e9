"""A library of an older version into one of this: once, under its lock, and again from anywhere it stopped."""

from dataclasses import replace
from pathlib import Path

from homespun.progress import no_progress
from homespun.retrieval.facts import LIBRARY_VERSION, LibraryFacts, read_facts, write_facts
from homespun.retrieval.lock import hold_lock

_WAIT_S = 600.0


def migrate(path: Path) -> LibraryFacts:
    """Bring the library in this folder to the present version; it can be searched at once as before.

    Version 1 had neither pages nor places beside its texts: its texts say none until the next ingest, which
    reads all files again.

    Raises:
        LibraryError: it cannot be read or written.
        LibraryBusyError: another process writes to it for longer than ten minutes.
    """
    from homespun.retrieval.tables import LanceStore

    with hold_lock(path / "writer.lock", _WAIT_S, no_progress):
        facts = read_facts(path)
        if facts.version < LIBRARY_VERSION:  # else another process was faster
            LanceStore(path / "tables", facts.dimensions).upgrade()
            # The number comes last: a process that ended before it does the same again.
            facts = replace(facts, version=LIBRARY_VERSION)
            write_facts(path, facts)
    return facts
