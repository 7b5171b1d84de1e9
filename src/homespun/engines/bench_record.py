"""What `homespun doctor --bench` found for a model on this machine, kept and found again."""

import json
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from homespun.engines.engine import Mode
from homespun.engines.probe_check import hashed, remember
from homespun.engines.processor import processor_name, usable_threads
from homespun.models.gguf import GGUFFile

VERSION = 1  # of what is measured and how
ENGINE_PACKAGES = ("openvino", "xllamacpp", "torch")
#: A grounded answer reads about fifteen tokens for each one that it writes.
WRITES_PER_READ = 1 / 15


@dataclass(frozen=True)
class BenchRow:
    """One engine in one mode, measured in a process of its own.

    Attributes:
        engine, mode: what was asked for.
        is_exact: the engine says that it ran exactly.
        memory_bytes: how much its processes grew at their peak, from before the model was loaded.
        clients_tokens_per_s: written for four requests at once, in all.
        kl_nats: mean KL to the reference on the probe; None where no reference knows the architecture.
        best_token_equal: share of the probe's positions whose most probable token is the reference's.
        bound_nats: the largest KL allowed for it, None where none is.
        error: why it could not be measured; everything else is then 0 or None.
    """

    engine: str
    mode: Mode
    precision: str = ""
    is_exact: bool = False
    read_tokens_per_s: float = 0.0
    write_tokens_per_s: float = 0.0
    clients_tokens_per_s: float = 0.0
    memory_bytes: int = 0
    kl_nats: float | None = None
    best_token_equal: float | None = None
    bound_nats: float | None = None
    error: str | None = None

    @property
    def is_usable(self) -> bool:
        """Measured, and inside its bound."""
        if self.error is not None or self.read_tokens_per_s <= 0 or self.write_tokens_per_s <= 0:
            return False
        return self.kl_nats is None or self.bound_nats is None or self.kl_nats <= self.bound_nats

    @property
    def seconds_per_token(self) -> float:
        """Cost of one token read together with its share of writing, in an answer over passages."""
        return 1 / self.read_tokens_per_s + WRITES_PER_READ / self.write_tokens_per_s


@dataclass(frozen=True)
class MachineBench:
    """All candidates for one model on this machine."""

    file: str
    processor: str
    threads: int
    rows: tuple[BenchRow, ...]

    def best(self, mode: Mode, engines: frozenset[str]) -> BenchRow | None:
        """The usable row with the least cost of an answer, of these engines; None where none is usable."""
        rows = [row for row in self.fitting(mode, engines) if row.is_usable]
        return min(rows, key=lambda row: row.seconds_per_token, default=None)

    def fitting(self, mode: Mode, engines: frozenset[str]) -> list[BenchRow]:
        """The rows that run these engines in a mode; exact mode takes whatever ran exactly."""
        return [
            row
            for row in self.rows
            if row.engine in engines and (row.is_exact if mode == "exact" else row.mode == "fast")
        ]


def bench_path(file: GGUFFile, cache_path: Path) -> Path:
    """Where the bench of a model is kept: another file, machine or engine version has another place."""
    versions = tuple(_version(name) for name in ENGINE_PACKAGES)
    key = hashed(file.digest, processor_name(), usable_threads(), versions, VERSION)
    return cache_path / "engines" / f"{key}.json"


def recall_bench(file: GGUFFile, cache_path: Path | None) -> MachineBench | None:
    """What was measured before; None where nothing was, or the note is damaged."""
    if cache_path is None:
        return None
    try:
        kept = json.loads(bench_path(file, cache_path).read_text(encoding="utf-8"))
        rows = tuple(BenchRow(**row) for row in kept.pop("rows"))
        return MachineBench(**kept, rows=rows)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def remember_bench(file: GGUFFile, cache_path: Path, bench: MachineBench) -> None:
    """Keep a bench; a disk that is full or read-only only loses it."""
    remember(bench_path(file, cache_path), json.dumps(asdict(bench), indent=1).encode())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
