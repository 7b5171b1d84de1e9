"""Which adapters are loaded, and which versions of them still run.

An adapter that is replaced while requests use it stays in the bank until the last of them has ended, so
an answer is never written by two adapters. The step loop's thread is the only one that calls this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homespun.engines.checks import unknown_adapter
from homespun.engines.openvino.bank import BankInputs, LowRank, stack_adapters
from homespun.engines.openvino.blocks import BlockPool
from homespun.engines.openvino.paged import PagedModel
from homespun.models.gguf import GGUFFile

BASE = 0  # the version number of "no adapter"


@dataclass
class _Version:
    pairs: Mapping[str, LowRank]
    root: int
    n_running: int = 0
    is_current: bool = True


class AdapterRoster:
    """Adapters by name and version, and the bank that holds them."""

    def __init__(self, file: GGUFFile, n_layers: int, model: PagedModel, pool: BlockPool) -> None:
        self._file = file
        self._n_layers = n_layers
        self._model = model
        self._pool = pool
        self._base_root = pool.new_root()
        self._current: dict[str, int] = {}
        self._versions: dict[int, _Version] = {}
        self._next_version = BASE + 1
        self._bank: BankInputs | None = None
        self._order: list[int] = []

    @property
    def names(self) -> tuple[str, ...]:
        """Names that requests may use."""
        return tuple(self._current)

    def put(self, name: str, pairs: Mapping[str, LowRank]) -> None:
        """Make an adapter available; one of the same name serves only the requests that already run."""
        self._model.prepare_bank()
        self._retire(name)
        self._versions[self._next_version] = _Version(pairs, self._pool.new_root())
        self._current[name] = self._next_version
        self._next_version += 1
        self._restack()

    def remove(self, name: str) -> None:
        """Take an adapter away from new requests."""
        if name not in self._current:
            raise unknown_adapter(name, self.names)
        self._retire(name)
        self._restack()

    def root(self, name: str | None) -> int:
        """Where the known prefixes of an adapter's current version begin."""
        return self._base_root if name is None else self._versions[self._version(name)].root

    def enter(self, name: str | None) -> int:
        """A request begins; the version that it will run on."""
        if name is None:
            return BASE
        version = self._version(name)
        self._versions[version].n_running += 1
        return version

    def leave(self, version: int) -> None:
        """A request has ended."""
        if version == BASE:
            return
        self._versions[version].n_running -= 1
        if self._drop_unused():
            self._restack()

    def mask(self, rows: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32] | None:
        """(N, R) of ones where a token's own adapter stands; None when no token has an adapter.

        Args:
            rows: version and number of tokens of each sequence in the step.
        """
        if all(version == BASE for version, _ in rows):
            return None
        assert self._bank is not None
        mask = np.zeros((sum(n for _, n in rows), self._bank.total_rank), np.float32)
        begin = 0
        for version, n_tokens in rows:
            if version != BASE:
                first, last = self._bank.ranks[self._order.index(version)]
                mask[begin : begin + n_tokens, first:last] = 1
            begin += n_tokens
        return mask

    def _version(self, name: str) -> int:
        if name not in self._current:
            raise unknown_adapter(name, self.names)
        return self._current[name]

    def _retire(self, name: str) -> None:
        version = self._current.pop(name, None)
        if version is not None:
            self._versions[version].is_current = False
            self._drop_unused()

    def _drop_unused(self) -> bool:
        unused = [number for number, v in self._versions.items() if not v.is_current and not v.n_running]
        for number in unused:
            del self._versions[number]
        return bool(unused)

    def _restack(self) -> None:
        self._order = list(self._versions)
        if not self._order:
            self._bank = None
            return
        self._bank = stack_adapters(
            self._file, self._n_layers, [self._versions[n].pairs for n in self._order]
        )
        self._model.set_adapters(self._bank)
