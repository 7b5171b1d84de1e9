"""A few models that read well, and what each would need on this machine; nothing is asked of the network.

The list itself is `suggestions.json`, with its date and, for each entry, whether the file's name and size
were read on its source's page. Memory is computed here from the model's shape.
"""

import json
import os
from dataclasses import dataclass
from importlib import resources

from homespun.sizing.memory import kv_bytes_per_token

#: The window that memory is computed for: a question with its passages, and the answer.
WINDOW_TOKENS = 8192
#: Of the machine's memory, for the model; the rest is the system's and other programs'.
MEMORY_SHARE = 0.6
# What an engine itself takes, and the rows that it works on.
_WORKING_BYTES = 500_000_000
_GB = 1_000_000_000


@dataclass(frozen=True)
class Suggestion:
    """A model that reads well for its size.

    Attributes:
        name: what people call it.
        source: where it is, as `homespun pull` takes it.
        tier_gb: the memory of the machine that it is meant for: 8, 16 or 32.
        n_parameters: about.
        n_layers, n_kv_heads, head_size: its shape, for the keys and values.
        size_bytes: of the file.
        licence: of the weights.
        date: when it was published (year and month).
        is_verified: the file's name and size were read on the source's page.
        cache_bytes: keys and values of `WINDOW_TOKENS` tokens, 16 bits each, as if every layer kept all of them
            (those of Gemma that see only a window may keep less).
        needed_bytes: file, keys and values, and what the engine itself takes.
        fits: in the share of the memory that a model may take.
    """

    name: str
    source: str
    tier_gb: int
    n_parameters: int
    n_layers: int
    n_kv_heads: int
    head_size: int
    size_bytes: int
    licence: str
    date: str
    is_verified: bool
    cache_bytes: int
    needed_bytes: int
    fits: bool

    @property
    def command(self) -> str:
        """What fetches it."""
        return f"homespun pull {self.source}"


@dataclass(frozen=True)
class Advice:
    """Suggestions for a machine: those that fit first, the largest of them at the top.

    Attributes:
        memory_bytes: of the machine.
        share: of it, for a model.
        as_of: the date of the list.
        suggestions: all entries.
    """

    memory_bytes: int
    share: float
    as_of: str
    suggestions: tuple[Suggestion, ...]


def suggest_models(memory_bytes: int | None = None) -> Advice:
    """What would run in so much memory.

    Args:
        memory_bytes: of the machine; None: of this one.
    """
    memory_bytes = machine_memory_bytes() if memory_bytes is None else memory_bytes
    text = resources.files("homespun.sizing").joinpath("suggestions.json").read_text(encoding="utf-8")
    stored = json.loads(text)
    room_bytes = memory_bytes * MEMORY_SHARE
    suggestions = []
    for entry in stored["models"]:
        per_token = kv_bytes_per_token(entry["n_layers"], entry["n_kv_heads"], 2 * entry["head_size"], "f16")
        cache_bytes = per_token * WINDOW_TOKENS
        needed_bytes = entry["size_bytes"] + cache_bytes + _WORKING_BYTES
        suggestions.append(
            Suggestion(
                **entry, cache_bytes=cache_bytes, needed_bytes=needed_bytes, fits=needed_bytes <= room_bytes
            )
        )
    suggestions.sort(key=lambda item: (not item.fits, -item.needed_bytes if item.fits else item.needed_bytes))
    return Advice(memory_bytes, MEMORY_SHARE, stored["as_of"], tuple(suggestions))


def machine_memory_bytes() -> int:
    """This machine's memory; that of a small one (8 GB) where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * _GB
