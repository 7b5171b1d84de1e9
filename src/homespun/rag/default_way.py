"""The way in which a library's questions are answered where nobody says otherwise, and why that way."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from homespun.models.storage import write_atomically
from homespun.rag.answer import AnswerOptions
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
        rerank: who reads the first passages again, as in search; empty: nobody.
        may_abstain: whether it is judged before answering that nothing relevant was found.
        evidence: which comparison, of which questions, with which scores.
    """

    style: Style
    n_passages: int
    max_new_tokens: int
    model: str = ""
    adapter: str = ""
    rerank: str = ""
    may_abstain: bool = True
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def options(self, asked: AnswerOptions) -> AnswerOptions:
        """How to answer: this way where the person left the defaults."""
        plain = AnswerOptions()
        return replace(
            asked,
            style=self.style,
            n_passages=self.n_passages if asked.n_passages == plain.n_passages else asked.n_passages,
            max_new_tokens=(
                self.max_new_tokens if asked.max_new_tokens == plain.max_new_tokens else asked.max_new_tokens
            ),
            may_abstain=asked.may_abstain and self.may_abstain,
        )

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
        known = {item.name: found[item.name] for item in fields(DefaultWay) if item.name in found}
        return DefaultWay(**known)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnswerError(
            f"The library's default way cannot be read ({error}).",
            where=str(path),
            remedy="Compare and promote again, or delete this file.",
        ) from error
