"""What is looked at before a schema, regular expression or grammar is compiled, and which part of it failed.

The compilers descend by recursion and take some keywords by building a state for each number, so a hostile
text could end the process or hold it up; such texts are refused here.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from homespun.engines.errors import ConstraintError

#: Longer ones are refused; the largest schemas in use have some 100 kB.
MAX_CHARS = 1_000_000
#: Brackets inside each other.
MAX_DEPTH = 100
#: Rules of a grammar and references of a schema: one may lead to the next, and so on.
MAX_RULES = 2_000
#: A state is built for each remainder: more takes seconds and hundreds of MB.
MAX_MULTIPLE = 10_000
#: Parts tried at most to find the failing one; in a larger schema it is not named.
_MAX_PARTS = 2_000

_RULE = re.compile(
    r"^\s*[\w.!?-]+\s*(?:\[[^\]]*\]|\{[^}]*\})?\s*:|\"\$(?:dynamic)?ref\"", re.MULTILINE | re.IGNORECASE
)
_MULTIPLE = re.compile(r'"multipleOf"\s*:\s*(-?[\d.]+(?:[eE][+-]?\d+)?)')


def check_size(text: str, name: str) -> None:
    """Refuse what is too large to compile.

    Raises:
        ConstraintError: naming what there is too much of.
    """
    remedy = "Use a smaller one."
    if len(text) > MAX_CHARS:
        raise ConstraintError(f"the {name} has more than {MAX_CHARS:,} characters", remedy=remedy)
    depth = deepest = 0
    for match in re.finditer(r"[(\[{]|[)\]}]", text):
        depth += 1 if match[0] in "([{" else -1
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise ConstraintError(
            f"the {name} has more than {MAX_DEPTH} brackets inside each other", remedy=remedy
        )
    if sum(1 for _ in _RULE.finditer(text)) > MAX_RULES:
        raise ConstraintError(f"the {name} has more than {MAX_RULES:,} rules or references", remedy=remedy)
    for match in _MULTIPLE.finditer(text):
        if _digits(match[1]) > MAX_MULTIPLE:
            raise ConstraintError(
                f"the {name} cannot be enforced: multipleOf {match[1]} has too many digits",
                remedy=f"Use one of at most {MAX_MULTIPLE:,}.",
            )


def checked_schema(text: str) -> str:
    """A schema's text in plain form.

    Raises:
        ConstraintError: it is no JSON, or no schema.
    """
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConstraintError(
            f"the JSON schema is not valid JSON: {error}", remedy="Give a JSON object, or @FILE."
        ) from None
    if schema is True:
        schema = {}
    if not isinstance(schema, dict):
        raise ConstraintError(
            f"the JSON schema is {text.strip()[:60]}, but a schema is a JSON object",
            remedy='For example {"type": "object"}.',
        )
    plain = json.dumps(schema)  # one spelling for every key
    check_size(plain, "JSON schema")
    return plain


def failing_part(schema_text: str, error: str, error_of: Callable[[str], str]) -> str | None:
    """The place (`#/properties/name`) of the innermost part that alone gives the same error.

    Args:
        schema_text: the whole schema.
        error: what was wrong with it.
        error_of: tells what is wrong with a schema text, or nothing.
    """
    schema = json.loads(schema_text)
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    for n_tried, (place, part) in enumerate(_parts(schema, "#")):
        if n_tried >= _MAX_PARTS:
            return None
        if place != "#" and error_of(json.dumps({**shared, **part})) == error:
            return place
    return None


def _parts(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """All objects in it with their places, inner ones first; most of them are schemas."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = key.replace("~", "~0").replace("/", "~1")
            yield from _parts(inner, f"{place}/{name}")
        yield place, value
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _parts(inner, f"{place}/{number}")


def _digits(number: str) -> int:
    """The number as an integer of its last digit's place: 0.25 is 25."""
    try:
        mantissa, _, exponent = number.lower().partition("e")
        whole, _, fraction = mantissa.lstrip("-").partition(".")
        places = max(int(exponent or 0) + len(whole), 0) if exponent else 0
        return int((whole + fraction.rstrip("0")).ljust(min(places, 400), "0") or 0)
    except ValueError:
        return 0
