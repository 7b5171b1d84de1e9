"""Before an engine first serves a model on this machine: are its numbers the model's?

The engine reads a short text, and its distributions are compared with the reference's. One that is off by
more than its bound is refused with both numbers; one that passed is remembered under everything that
decides its numbers. A damaged note, a full or a read-only disk only mean that it is checked again.
"""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from homespun.engines.engine import Engine, EngineFacts
from homespun.engines.errors import CheckError
from homespun.engines.probe import mean_kl_nats, probe_ids
from homespun.engines.reference import reference_log_probabilities, why_no_reference
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile
from homespun.progress import Progress, no_progress

PROBE_TOKENS = 48
PROBE_POSITIONS = 16  # the last ones are compared, each with much text before it
SLOW_VALUES = 200_000  # ... by llama.cpp, which takes seconds for so many probabilities
VERSION = 1  # of the text, the positions and the reference

EXACT_BOUND_NATS = 1e-5
FAST_BOUND_NATS = 0.01
FLOAT16_BOUND_NATS = 1e-3
INT8_ACTIVATIONS_BOUND_NATS = 0.05


@dataclass(frozen=True)
class Compared:
    """An engine's distributions beside the reference's: mean KL in nats, share of equal best tokens."""

    kl_nats: float
    best_token_equal: float
    n_positions: int


def bound_nats(facts: EngineFacts) -> float | None:
    """The mean KL that an engine may have, by what it says that it runs; None: it is reported only."""
    if facts.engine == "openvino":
        return EXACT_BOUND_NATS if facts.mode == "exact" else FAST_BOUND_NATS
    if facts.engine == "llama.cpp":
        return INT8_ACTIVATIONS_BOUND_NATS if "int8" in facts.precision else FLOAT16_BOUND_NATS
    return EXACT_BOUND_NATS if facts.precision == "f32" else None


def check_engine(
    engine: Engine,
    file: GGUFFile,
    cache_path: Path | None = None,
    progress: Progress = no_progress,
    others: Sequence[str] = (),
) -> EngineFacts:
    """Compare a loaded engine with the reference, unless it passed before on this machine.

    Args:
        engine: the engine; it is not closed, whatever the outcome.
        file: its model.
        cache_path: folder of what is remembered; None: nothing is.
        others: engines that can run the model, too, for the remedy.

    Returns:
        Its facts with `checked_nats`, or with a note where no reference knows the architecture.

    Raises:
        CheckError: it is off by more than its bound.
    """
    facts = engine.facts
    config = ModelConfig.from_gguf(file)
    reason = why_no_reference(file, config)
    if reason:
        told = f"its numbers were not checked: {reason}"
        return replace(facts, notes=(*facts.notes, told))
    note_path = None if cache_path is None else cache_path / "checks" / f"{_key(file, facts)}.json"
    kl_nats = _recall(note_path)
    if kl_nats is None:
        progress(f"checking the numbers of {facts.engine}", 0, None)
        kl_nats = compare(engine, file, cache_path, progress).kl_nats
        bound = bound_nats(facts)
        if bound is not None and not kl_nats <= bound:  # not a number is no pass, either
            raise _refusal(facts, kl_nats, bound, others)
        if note_path is not None:
            note = {"kl_nats": kl_nats, "engine": facts.engine, "file": file.path.name}
            remember(note_path, json.dumps(note).encode())
    return replace(facts, checked_nats=kl_nats)


def compare(
    engine: Engine, file: GGUFFile, cache_path: Path | None = None, progress: Progress = no_progress
) -> Compared:
    """Compare an engine's distributions on the probe with the reference's.

    Raises:
        EngineError: no reference knows the architecture, or the engine failed.
    """
    n_tokens = min(PROBE_TOKENS, engine.facts.window)
    token_ids = probe_ids(engine.tokenizer, n_tokens)
    reference = _reference(file, token_ids, cache_path, progress)
    n_positions = len(reference)
    if engine.facts.engine == "llama.cpp":
        n_positions = min(n_positions, max(2, SLOW_VALUES // reference.shape[1]))
    progress(f"checking the numbers of {engine.facts.engine}", 0, None)
    found = engine.distributions(token_ids, last=n_positions)
    expected = reference[-n_positions:]
    is_equal = expected.argmax(axis=-1) == found.argmax(axis=-1)
    return Compared(mean_kl_nats(expected, found), float(is_equal.mean()), n_positions)


def _reference(
    file: GGUFFile, token_ids: list[int], cache_path: Path | None, progress: Progress
) -> npt.NDArray[np.float32]:
    """Log-probabilities (positions, V), kept so that several engines cost one reference."""
    key = hashed(file.digest, token_ids, VERSION)
    path = None if cache_path is None else cache_path / "checks" / f"reference-{key}.npy"
    if path is not None:
        with contextlib.suppress(OSError, ValueError, EOFError):
            kept: npt.NDArray[np.float32] = np.load(path, allow_pickle=False)
            if kept.dtype == np.float32 and kept.ndim == 2:
                return kept
    n_positions = min(PROBE_POSITIONS, len(token_ids))
    config = ModelConfig.from_gguf(file)
    rows = reference_log_probabilities(file, config, token_ids, n_positions, progress)
    if path is not None:
        written = io.BytesIO()
        np.save(written, rows, allow_pickle=False)
        remember(path, written.getvalue())
    return rows


def remember(path: Path, content: bytes) -> None:
    """Put a note in its place at once, or not at all: a full or read-only disk only loses the memory."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _key(file: GGUFFile, facts: EngineFacts) -> str:
    computing = (facts.engine, facts.version, facts.mode, facts.precision, facts.cache_precision)
    n_tokens = min(facts.window, PROBE_TOKENS)
    return hashed(file.digest, *computing, facts.processor, n_tokens, VERSION)


def hashed(*parts: object) -> str:
    """A short name for what the parts say together."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _recall(path: Path | None) -> float | None:
    if path is None:
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["kl_nats"]
        return float(value) if isinstance(value, float | int) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _refusal(facts: EngineFacts, kl_nats: float, bound: float, others: Sequence[str]) -> CheckError:
    remedy = f"Use --engine {others[0]}." if others else "No other engine here runs it: use another model."
    return CheckError(
        f"the {facts.engine} engine ({facts.version}, {facts.mode}, {facts.precision}) computes other numbers "
        f"than this model's: {kl_nats:.2g} nats from the reference on the probe, where {bound:g} are allowed",
        where=facts.model_path,
        remedy=remedy,
    )
