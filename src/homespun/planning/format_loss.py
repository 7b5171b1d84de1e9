"""What a file's numbers say beside those of the file it was made of: both in float32, on the same text."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from homespun.engines.engine import Engine, EngineOptions, FloatArray
from homespun.engines.families import unknown_structure
from homespun.engines.probe import mean_kl_nats
from homespun.engines.processor import available_memory_bytes
from homespun.evaluation.intervals import Interval, Shares, difference, interval
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.planning.loss_text import UNSCORED_TOKENS

#: Distributions of the source that are kept while the others are compared with them.
_KEPT_BYTES = 400_000_000
#: Intervals are over stretches of so many positions: neighbours share their text.
_STRETCH = 32
_EXACT = EngineOptions(mode="exact", device="cpu", guess="off")


@dataclass(frozen=True)
class FormatLoss:
    """How far a file is from its source.

    Attributes:
        kl_nats: mean over positions of KL(source || file), with the 95% interval over stretches of text.
        best_agreement: share of positions at which both have the same most probable token.
        perplexity: of the file on the text.
        more_nats: how many nats a token the text costs more with the file than with the source.
        n_positions, n_stretches: what was compared.
    """

    kl_nats: Interval
    best_agreement: float
    perplexity: float
    more_nats: Interval
    n_positions: int
    n_stretches: int


@dataclass(frozen=True)
class SourceRows:
    """A source's distributions: for each piece (positions, V) log-probabilities, and the tokens that follow."""

    rows: tuple[FloatArray, ...]
    targets: tuple[npt.NDArray[np.intp], ...]
    engine: str

    @property
    def perplexity(self) -> float:
        """Of the source on the text."""
        return float(np.exp(sum(self.nats) / self.n_positions))

    @property
    def nats(self) -> list[float]:
        """Minus the sum of the log-probabilities of each stretch's tokens."""
        return [
            _nats(rows[part], targets[part])
            for rows, targets in zip(self.rows, self.targets, strict=True)
            for part in _stretches(len(rows))
        ]

    @property
    def n_positions(self) -> int:
        return sum(len(rows) for rows in self.rows)


def most_tokens(vocab_size: int) -> int:
    """So many positions' distributions can be kept."""
    return int(_KEPT_BYTES // (4 * vocab_size))


def source_rows(path: Path, pieces: Sequence[Sequence[int]], cache_path: Path | None = None) -> SourceRows:
    """Read all pieces with the source.

    Raises:
        EngineError: no engine here computes its numbers exactly.
    """
    with exact_engine(path, cache_path) as engine:
        rows = tuple(_rows(engine, piece) for piece in pieces)
        name = engine.facts.engine
    targets = tuple(np.asarray(piece[UNSCORED_TOKENS + 1 :], np.intp) for piece in pieces)
    return SourceRows(rows, targets, name)


def measure_format(
    source: SourceRows, path: Path, pieces: Sequence[Sequence[int]], cache_path: Path | None = None
) -> FormatLoss:
    """Read the same pieces with a file; one piece's distributions are in memory at a time."""
    kl: list[float] = []
    nats: list[float] = []
    weights: list[float] = []
    equal = 0
    with exact_engine(path, cache_path) as engine:
        for piece, expected, targets in zip(pieces, source.rows, source.targets, strict=True):
            found = _rows(engine, piece)
            for part in _stretches(len(found)):
                p, q = expected[part], found[part]
                kl.append(max(mean_kl_nats(p, q), 0.0) * len(p))
                equal += int((p.argmax(axis=1) == q.argmax(axis=1)).sum())
                nats.append(_nats(q, targets[part]))
                weights.append(float(len(p)))
    n_positions = source.n_positions
    return FormatLoss(
        interval(Shares(tuple(kl), tuple(weights))),
        equal / n_positions,
        float(np.exp(sum(nats) / n_positions)),
        difference(Shares(tuple(nats), tuple(weights)), Shares(tuple(source.nats), tuple(weights))),
        n_positions,
        len(weights),
    )


def _rows(engine: Engine, piece: Sequence[int]) -> FloatArray:
    """(positions, V): after each token but the first few and the last, whose next one is not known."""
    return engine.distributions(piece[:-1], last=len(piece) - 1 - UNSCORED_TOKENS)


def _stretches(n_positions: int) -> list[slice]:
    return [slice(start, start + _STRETCH) for start in range(0, n_positions, _STRETCH)]


def _nats(rows: FloatArray, targets: npt.NDArray[np.intp]) -> float:
    return float(-rows[np.arange(len(rows)), targets].sum(dtype=np.float64))


@contextmanager
def exact_engine(path: Path, cache_path: Path | None = None) -> Iterator[Engine]:
    """torch in float32 where it is installed and has room, else whichever engine runs the file exactly."""
    from homespun.engines.able import missing_torch
    from homespun.engines.choose import open_engine

    file = read_gguf(path)
    needed_bytes = 4 * file.n_parameters + _KEPT_BYTES
    is_known = unknown_structure(file, ModelConfig.from_gguf(file)) is None
    if missing_torch() is None and is_known and needed_bytes < available_memory_bytes():
        from homespun.engines.torch_engine import TorchEngine

        with TorchEngine(path, _EXACT) as engine:
            yield engine
        return
    with open_engine(path, _EXACT, cache_path=cache_path) as other:
        yield other
