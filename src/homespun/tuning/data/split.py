"""A share of the examples held out, such that nothing in it was learnt in other words."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from homespun.tuning.data.likeness import asked, near_pairs, said, same_places
from homespun.tuning.errors import DataError
from homespun.tuning.examples import Example


@dataclass(frozen=True)
class Split:
    """Two sides of a data set, each in the order in which it was read.

    Attributes:
        n_groups: sets of examples that had to stay together, those of one example too.
    """

    train: tuple[Example, ...]
    heldout: tuple[Example, ...]
    n_groups: int


def split_examples(examples: Sequence[Example], share: float, seed: int = 0) -> Split:
    """Hold out a share of the examples.

    On one side stay together: examples of one `group`, examples that ask the same but for case and spaces,
    and those that share at least 80% of their runs of three words. Which side a group falls on depends on the
    seed and its own content alone, so an added row moves few others.

    Args:
        share: of the examples, 0 to below 1; at most so many are held out, but one group at least where there
            are two and the share is above 0.

    Raises:
        DataError: a share that is none.
    """
    if not 0 <= share < 1:
        raise DataError(f"the share held out is {share}; it must be at least 0 and below 1")
    groups = _groups(examples)
    room = share * len(examples)
    heldout: set[int] = set()
    ordered: list[list[int]] = sorted(groups, key=lambda group: _rank(examples, group, seed))
    for group in ordered:
        if len(heldout) + len(group) <= room:
            heldout |= set(group)
    if not heldout and room > 0 and len(groups) > 1:
        heldout = set(sorted(ordered, key=len)[0])
    return Split(
        tuple(example for place, example in enumerate(examples) if place not in heldout),
        tuple(example for place, example in enumerate(examples) if place in heldout),
        len(groups),
    )


def _groups(examples: Sequence[Example]) -> list[list[int]]:
    """The places of examples that belong together, joined as far as any rule joins them."""
    first = list(range(len(examples)))

    def root(place: int) -> int:
        while first[place] != place:
            first[place] = place = first[first[place]]
        return place

    def join(one: int, other: int) -> None:
        first[max(root(one), root(other))] = min(root(one), root(other))

    alike = same_places([asked(example) for example in examples])
    named: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        if example.group:
            named[example.group].append(place)
    for group in [*alike, *named.values()]:
        for place in group[1:]:
            join(group[0], place)
    texts: dict[str, int] = {}
    for place, example in enumerate(examples):
        texts.setdefault(said(example), place)
    places = list(texts.values())
    for one, other, _ in near_pairs(list(texts)):
        join(places[one], places[other])
    found: dict[int, list[int]] = defaultdict(list)
    for place in range(len(examples)):
        found[root(place)].append(place)
    return list(found.values())


def _rank(examples: Sequence[Example], group: list[int], seed: int) -> bytes:
    key = min(said(examples[place]) for place in group)
    return hashlib.sha256(f"{seed}\n{key}".encode("utf-8", "replace")).digest()
