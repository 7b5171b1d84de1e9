"""What a library's library.json says, and what of it an older Homespun said otherwise."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homespun.documents.split import SplitOptions
from homespun.models.storage import write_atomically
from homespun.retrieval.errors import LibraryError

#: 1: texts without places and pages. 2: with them.
LIBRARY_VERSION = 2
FACTS_FILE = "library.json"


@dataclass(frozen=True)
class LibraryFacts:
    """What library.json says: who made the vectors, and how documents were split.

    The embedder's precision is not here: its vectors may be compared whatever they were computed in.
    `store` is the address of the server that keeps the rows, without a password; empty: they lie beside this.
    """

    name: str
    embedder_name: str
    embedder_identity: str
    dimensions: int
    split: SplitOptions
    version: int = LIBRARY_VERSION
    store: str = ""


def write_facts(path: Path, facts: LibraryFacts) -> None:
    """Replace the facts of the library in this folder, as a whole."""
    write_atomically(path / FACTS_FILE, json.dumps(asdict(facts), indent=2) + "\n")


def read_facts(path: Path) -> LibraryFacts:
    """The facts of the library in this folder, of this version or an older one.

    Raises:
        LibraryError: they cannot be read, or a newer Homespun wrote them.
    """
    try:
        stored: dict[str, Any] = json.loads((path / FACTS_FILE).read_text("utf-8"))
        version = int(stored["version"])
        if version <= LIBRARY_VERSION:
            return LibraryFacts(**{**stored, "split": SplitOptions(**stored["split"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LibraryError(
            f"library.json cannot be read ({error}).",
            where=str(path),
            remedy="Move this folder away and ingest again.",
        ) from error
    raise LibraryError(
        f"A newer Homespun made this library (version {version}, known: {LIBRARY_VERSION}).",
        where=str(path),
        remedy="Update Homespun.",
    )
