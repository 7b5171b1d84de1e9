"""The blocks of the key-value cache: who holds which, and which still hold a known prefix.

A block holds the keys and values of 32 tokens of one sequence. Full blocks stay known after their
sequence ends, under (the blocks before them, their tokens), the first one under its adapter's root; a
later prompt that begins alike takes them over. Keys are compared token by token, so two different
prefixes never meet in one block.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

BLOCK_TOKENS = 32  # fixed by OpenVINO's CPU kernel


def blocks_for(n_tokens: int) -> int:
    """Blocks that hold so many tokens."""
    return -(-n_tokens // BLOCK_TOKENS)


@dataclass
class BlockPool:
    """Reference counts, the free list and the known prefixes. One thread uses it."""

    n_blocks: int
    _free: list[int] = field(default_factory=list)
    _users: dict[int, int] = field(default_factory=dict)
    _known: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    _key_of: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    _node_of: dict[int, int] = field(default_factory=dict)
    _idle: OrderedDict[int, None] = field(default_factory=OrderedDict)
    _n_reserved: int = 0
    _next_node: int = 1

    def __post_init__(self) -> None:
        self._free = list(range(self.n_blocks - 1, -1, -1))

    @property
    def n_available(self) -> int:
        """Blocks that a new sequence may still be promised."""
        return len(self._free) + len(self._idle) - self._n_reserved

    def new_root(self) -> int:
        """A fresh beginning of prefixes: one for the base model and one for each adapter version."""
        self._next_node += 1
        return self._next_node

    def reserve(self, n_blocks: int) -> None:
        """Promise blocks to a sequence, which then `take`s them one by one."""
        self._n_reserved += n_blocks

    def release_reserved(self, n_blocks: int) -> None:
        """Give back a promise that was not used."""
        self._n_reserved -= n_blocks

    def take(self) -> int:
        """A block that nobody else uses, out of this sequence's promise; the oldest idle one if need be."""
        self._n_reserved -= 1
        if self._free:
            block = self._free.pop()
        else:
            block, _ = self._idle.popitem(last=False)
            self._forget(block)
        self._users[block] = 1
        return block

    def n_idle(self, blocks: Sequence[int]) -> int:
        """How many of these blocks are in nobody's use (taking them over uses up a free place)."""
        return sum(1 for block in blocks if block in self._idle)

    def find_prefix(self, root: int, token_ids: Sequence[int], n_tokens: int) -> tuple[list[int], int]:
        """Known blocks that hold the beginning of the tokens (at most n_tokens), and the last one's node."""
        blocks: list[int] = []
        node = root
        for start in range(0, n_tokens - BLOCK_TOKENS + 1, BLOCK_TOKENS):
            block = self._known.get((node, tuple(token_ids[start : start + BLOCK_TOKENS])))
            if block is None:
                break
            blocks.append(block)
            node = self._node_of[block]
        return blocks, node

    def share(self, blocks: Sequence[int]) -> None:
        """Use known blocks together with whoever has them."""
        for block in blocks:
            self._idle.pop(block, None)
            self._users[block] = self._users.get(block, 0) + 1

    def remember(self, node: int, token_ids: tuple[int, ...], block: int) -> int:
        """Make a full block known; its node, to which the next block belongs."""
        key = (node, token_ids)
        if key in self._known:  # another sequence computed the same: keep the first
            return self._node_of[self._known[key]]
        self._next_node += 1
        self._known[key] = block
        self._key_of[block] = key
        self._node_of[block] = self._next_node
        return self._next_node

    def give_back(self, blocks: Sequence[int]) -> None:
        """End a sequence's use; known blocks stay idle until their place is needed."""
        for block in reversed(blocks):  # later blocks go first: a prefix is worth more than its end
            self._users[block] -= 1
            if self._users[block]:
                continue
            del self._users[block]
            if block in self._key_of:
                self._idle[block] = None
            else:
                self._free.append(block)

    def _forget(self, block: int) -> None:
        del self._known[self._key_of.pop(block)]
        del self._node_of[block]

    def forget_all(self) -> None:
        """Drop every known prefix that nobody uses."""
        while self._idle:
            block, _ = self._idle.popitem()
            self._forget(block)
            self._free.append(block)
