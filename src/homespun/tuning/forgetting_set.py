"""The general set that ships with the project: questions with options, neutral texts, and pairs to replay."""

import json
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

import numpy as np

from homespun.models.template import Message
from homespun.tuning.examples import Example

#: The kinds of questions, in the order of reports.
KINDS = ("facts", "arithmetic", "instructions", "language")


@dataclass(frozen=True)
class GeneralItem:
    """A question whose right answer is among a few.

    Attributes:
        begin: how the assistant's answer begins, before the option; small models seldom begin with the fact.
        answer: the right option's place in `options`.
    """

    kind: str
    prompt: str
    begin: str
    options: tuple[str, ...]
    answer: int


def general_items(n_a_kind: int = 0) -> tuple[GeneralItem, ...]:
    """The first `n_a_kind` questions of each kind; 0: all."""
    items = [
        GeneralItem(row["kind"], row["prompt"], row["begin"], tuple(row["options"]), row["answer"])
        for row in _rows("items.jsonl")
    ]
    chosen: list[GeneralItem] = []
    for kind in KINDS:
        of_kind = [item for item in items if item.kind == kind]
        chosen += _spread(of_kind, n_a_kind)
    return tuple(chosen)


def general_texts(n: int = 0) -> tuple[str, ...]:
    """`n` of the neutral texts; 0: all."""
    return tuple(_spread([row["text"] for row in _rows("texts.jsonl")], n))


def replay_examples(n: int, seed: int = 0) -> list[Example]:
    """General questions with answers to mix into training, so that less is forgotten.

    None of them is a question of the check. Where more are asked for than there are, all of them come again
    in another order. Each is a group of its own, whatever is mixed with it.
    """
    rows = _rows("replay.jsonl")
    random = np.random.default_rng(seed)
    order = [int(place) for _ in range(-(-n // len(rows))) for place in random.permutation(len(rows))][:n]
    return [
        Example(
            (Message("user", rows[place]["prompt"]), Message("assistant", rows[place]["response"])),
            file="general/replay.jsonl",
            line=place + 1,
        )
        for place in order
    ]


def general_digest() -> str:
    """SHA-256 of questions and texts: measurements of other sets cannot be compared."""
    return sha256(b"\n".join(_bytes(name) for name in ("items.jsonl", "texts.jsonl"))).hexdigest()


def _spread(values: list[Any], n: int) -> list[Any]:
    """`n` of the values at equal distances; all for 0 or more than there are."""
    if not 0 < n < len(values):
        return values
    return [values[place * len(values) // n] for place in range(n)]


@cache
def _rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _bytes(name).decode("utf-8").splitlines()]


def _bytes(name: str) -> bytes:
    return resources.files("homespun.tuning").joinpath("general", name).read_bytes()
