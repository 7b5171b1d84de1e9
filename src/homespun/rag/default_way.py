"""The way in which a library's questions are answered where nobody says otherwise, and why that way."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from homespun.models.storage import write_atomically
from homespun.rag.errors import AnswerError
from homespun.rag.result import Style
from homespun.retrieval.library import Library

FILE = "way.json"
VERSION = 1


@dataclass(frozen=True)
class DefaultWay:
    """What a comparison promoted.

    Attributes:
        model, adapter: names; empty: the home's default one, none.
        evidence: which comparison, of which questions, with which scores.
    """

    style: Style
    n_passages: int
    max_new_tokens: int
    model: str = ""
    adapter: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why this way, in words."""
        return f"promoted: the comparison {self.evidence.get('comparison', 'unknown')} shows it to be best"


def write_default_way(library: Library, way: DefaultWay) -> None:
    """Replace a library's default way.

    Raises:
        HomeError: the disk refuses.
    """
    text = json.dumps({"version": VERSION, **asdict(way)}, indent=2, ensure_ascii=False)
    write_atomically(library.path / FILE, text + "\n")


def read_default_way(library: Library) -> DefaultWay | None:
    """A library's default way; None where none was promoted.

    Raises:
        AnswerError: it cannot be read, or a newer Homespun wrote it.
    """
    path = library.path / FILE
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["version"] > VERSION:
            raise ValueError("a newer Homespun wrote it")
        return DefaultWay(**{item.name: found[item.name] for item in fields(DefaultWay)})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnswerError(
            f"The library's default way cannot be read ({error}).",
            where=str(path),
            remedy="Compare and promote again, or delete this file.",
        ) from error
