"""Which slot of llama.cpp's server computes a step: the one that already holds the most of it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Slot:
    """One place of the server: the tokens whose keys and values it holds, and for which adapter version."""

    number: int
    token_ids: list[int] = field(default_factory=list)
    version: int = 0
    is_busy: bool = False
    last_used: int = 0


class SlotTable:
    """Lends slots for single steps, so that a stream which nobody reads keeps nobody waiting."""

    def __init__(self, n_slots: int) -> None:
        self._slots = [Slot(number) for number in range(n_slots)]
        self._free = threading.Condition()
        self._clock = 0

    @contextmanager
    def lease(self, token_ids: Sequence[int], version: int) -> Iterator[Slot]:
        """A slot for computing these tokens; waits while all are busy."""
        with self._free:
            while not (free := [slot for slot in self._slots if not slot.is_busy]):
                self._free.wait()
            slot = max(free, key=lambda s: (_n_shared(s, token_ids, version), -s.last_used))
            slot.is_busy = True
            self._clock += 1
            slot.last_used = self._clock
        try:
            yield slot
            slot.token_ids, slot.version = list(token_ids), version
        finally:
            with self._free:
                slot.is_busy = False
                self._free.notify()


def _n_shared(slot: Slot, token_ids: Sequence[int], version: int) -> int:
    """Tokens at the beginning that the slot holds already."""
    if slot.version != version:
        return 0
    n_both = min(len(slot.token_ids), len(token_ids))
    if slot.token_ids[:n_both] == list(token_ids[:n_both]):
        return n_both
    pairs = zip(slot.token_ids, token_ids, strict=False)
    return next(place for place, (ours, theirs) in enumerate(pairs) if ours != theirs)
