"""Which precision is fastest on this processor, measured on the very model, with what it loses.

The first time that a model is loaded in fast mode here, each candidate reads a text and its distributions
are compared with the exact ones. The fastest whose mean loss is at most `MAX_LOSS_NATS` is taken and
remembered under the model, the processor and the library's version.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import openvino as ov

from homespun.engines.openvino.blocks import blocks_for
from homespun.engines.openvino.paged import PagedModel, Part
from homespun.engines.openvino.settings import PRECISIONS, Precision, PrecisionName, fast_candidates
from homespun.engines.probe import mean_kl_nats, probe_ids
from homespun.engines.processor import processor_name, usable_threads
from homespun.engines.sampling import log_softmax
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress

MAX_LOSS_NATS = 0.003
PROBE_TOKENS = 512
PROBE_WRITES = 8
PROBE_ROUNDS = 4
PROBE_LABEL = "measuring this model's fast mode"
#: A grounded answer reads about fifteen tokens for each one that it writes.
WRITES_PER_READ = 1 / 15


@dataclass(frozen=True)
class Measured:
    """One candidate: tokens read and written a second, and mean KL to exact mode in nats."""

    precision: str
    read_tokens_per_s: float
    write_tokens_per_s: float
    loss_nats: float

    @property
    def seconds_per_token(self) -> float:
        """Cost of one token read together with its share of writing."""
        return 1 / self.read_tokens_per_s + WRITES_PER_READ / self.write_tokens_per_s


def choose_fast(
    file: GGUFFile,
    config: ModelConfig,
    tokenizer: Tokenizer,
    n_threads: int,
    cache_path: Path | None,
    progress: Progress,
) -> tuple[Precision, float | None]:
    """The precision of fast mode and its measured loss, remembered in the cache folder."""
    note = None if cache_path is None else cache_path / f"precision-{_key(file, n_threads)}.json"
    measured = _recall(note)
    if not measured:
        measured = _measure_all(file, config, tokenizer, n_threads, cache_path, progress)
        _remember(note, measured)
    return fastest_allowed(measured)


def fastest_allowed(measured: Sequence[Measured]) -> tuple[Precision, float | None]:
    """The cheapest that loses little, or float32, which is exact mode, where none does."""
    allowed = [m for m in measured if m.precision in PRECISIONS and m.loss_nats <= MAX_LOSS_NATS]
    if not allowed:
        return PRECISIONS["f32"], None
    best = min(allowed, key=lambda m: m.seconds_per_token)
    return PRECISIONS[cast(PrecisionName, best.precision)], best.loss_nats


def _key(file: GGUFFile, n_threads: int) -> str:
    parts = (file.digest, processor_name(), n_threads, ov.get_version(), 3)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def recalled(path: Path, cache_path: Path) -> list[Measured]:
    """What was measured for a model file on this machine before; empty where nothing was."""
    from homespun.models.gguf import read_gguf

    return _recall(cache_path / f"precision-{_key(read_gguf(path), usable_threads())}.json") or []


def _recall(note: Path | None) -> list[Measured] | None:
    if note is None:
        return None
    try:
        return [Measured(**entry) for entry in json.loads(note.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        return None


def _remember(note: Path | None, measured: list[Measured]) -> None:
    if note is None:
        return
    temporary = note.with_suffix(f".{os.getpid()}.tmp")
    with contextlib.suppress(OSError):  # a full or read-only disk: it is measured again next time
        note.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps([asdict(m) for m in measured], indent=1), encoding="utf-8")
        temporary.replace(note)


def _measure_all(
    file: GGUFFile,
    config: ModelConfig,
    tokenizer: Tokenizer,
    n_threads: int,
    cache_path: Path | None,
    progress: Progress,
) -> list[Measured]:
    n_tokens = min(PROBE_TOKENS, config.context_length - PROBE_WRITES)
    token_ids = probe_ids(tokenizer, n_tokens)
    precisions = [PRECISIONS["f32"], *(p for p in fast_candidates() if p.name != "f32")]
    blocks = range(blocks_for(len(token_ids) + PROBE_WRITES))
    n_steps = len(precisions) * (1 + PROBE_ROUNDS)
    models = []
    for number, precision in enumerate(precisions):
        progress(PROBE_LABEL, number, n_steps)
        # The model's own window, so that the imported graph is the one that will run.
        models.append(
            PagedModel(file, config, precision, n_threads, config.context_length, len(blocks), cache_path)
        )
    half = range(len(token_ids) // 2, len(token_ids))
    rows = [log_softmax(model.forward([Part(token_ids, 0, blocks, half)])) for model in models]
    reads: list[list[float]] = [[] for _ in models]
    writes: list[list[float]] = [[] for _ in models]
    for _ in range(PROBE_ROUNDS):  # in turn, so that a busy moment of the machine meets all of them
        for number, model in enumerate(models):
            progress(PROBE_LABEL, len(models) + sum(map(len, reads)), n_steps)
            reads[number].append(_timed(model, Part(token_ids, 0, blocks, [len(token_ids) - 1])))
            for i in range(PROBE_WRITES):
                part = Part([token_ids[0]], len(token_ids) + i, blocks, [0])
                writes[number].append(_timed(model, part))
    progress(PROBE_LABEL, n_steps, n_steps)
    return [
        Measured(
            precision.name,
            len(token_ids) / min(reads[number]),
            1 / min(writes[number]),
            max(mean_kl_nats(rows[0], rows[number]), 0.0),
        )
        for number, precision in enumerate(precisions)
    ]


def _timed(model: PagedModel, part: Part) -> float:
    started = time.perf_counter()
    model.forward([part])
    return time.perf_counter() - started
