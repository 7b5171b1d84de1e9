"""Whether a remote answer keeps to its JSON schema: asked here, because servers may only promise it."""

import json
from typing import Any

from homespun.engines.constraint_checks import checked_schema
from homespun.engines.errors import ConstraintError


def read_schema(text: str) -> Any:
    """A schema that can be checked here afterwards, as the object that is sent.

    Raises:
        ConstraintError: it is no schema, or holds what cannot be checked.
    """
    plain = checked_schema(text)
    matcher = _matcher(plain)
    if matcher.is_error():
        why = " ".join(matcher.get_error().split())[:200]
        raise ConstraintError(f"the JSON schema cannot be checked here: {why}")
    return json.loads(plain)


def keeps_to_schema(answer: str, schema_text: str) -> bool:
    """Whether the whole answer satisfies a schema, properties in the schema's order as everywhere here."""
    matcher = _matcher(checked_schema(schema_text))
    return bool(matcher.consume_tokens(list(answer.strip().encode("utf-8"))) and matcher.is_accepting())


def _matcher(schema: str) -> Any:
    """llguidance's automaton over bytes."""
    from llguidance import LLMatcher, LLTokenizer

    return LLMatcher(LLTokenizer("byte"), LLMatcher.grammar_from_json_schema(schema), log_level=0)
