"""What stands where a model would, in ways that need none."""

from dataclasses import dataclass
from typing import Any, cast

from homespun.engines.engine import Engine, EngineFacts


class _NoTokenizer:
    """Counts nothing, for nothing is read."""

    def count(self, text: str) -> int:
        return 0


@dataclass(frozen=True)
class _NoModel:
    """Of an engine what quoting asks for; all else is an error."""

    facts: EngineFacts
    tokenizer: Any


def no_model() -> Engine:
    """An engine that writes nothing: quoting takes sentences as they are, so that no model need be there."""
    facts = EngineFacts("none", "", "", "none", "exact", 4096, 0, "none", "none", "none")
    return cast(Engine, _NoModel(facts, _NoTokenizer()))
