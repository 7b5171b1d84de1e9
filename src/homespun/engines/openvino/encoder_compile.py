"""Compiles an encoder for this machine, and keeps the compiled graph so that the next start is quick."""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import openvino as ov

from homespun.engines.errors import EngineError
from homespun.engines.openvino.encoder_graph import EncoderConfig, Tensors, build_encoder, read_tensors
from homespun.engines.openvino.settings import core
from homespun.engines.processor import usable_threads
from homespun.models.digest import file_digest

Precision = Literal["auto", "f32", "bf16", "int8"]

#: Raised whenever `encoder_graph` builds something else from the same folder.
GRAPH_VERSION = 2

#: Values that share one scale when activations are rounded to int8, token by token.
INT8_GROUP = 128


@dataclass(frozen=True)
class EmbedderOptions:
    """How an embedder runs. A value of 0 means: chosen from this machine."""

    precision: Precision = field(
        default="auto",
        metadata={"help": "f32, bf16, int8, or auto: the fastest here that gives the same results as f32"},
    )
    threads: int = field(default=0, metadata={"help": "processor threads; 0: all that this process may use"})
    batch_size: int = field(default=4, metadata={"help": "texts that each thread computes together"})

    def __post_init__(self) -> None:
        if self.precision not in ("auto", "f32", "bf16", "int8"):
            raise EngineError(f"The precision {self.precision!r} is not known; auto, f32, bf16 and int8 are.")
        if self.threads < 0 or self.batch_size < 1:
            raise EngineError(
                f"An embedder needs 0 or more threads and a batch of 1 or more texts, not {self.threads} "
                f"and {self.batch_size}."
            )


def compile_encoder(
    path: Path,
    config: EncoderConfig,
    options: EmbedderOptions,
    cache_path: Path | None,
    build: Callable[[EncoderConfig, Tensors], ov.Model] = build_encoder,
) -> ov.CompiledModel:
    """The encoder of a folder, compiled for this processor or taken from the cache.

    Args:
        path: a sentence-transformers folder.
        config: what `EncoderConfig.from_folder` read there.
        options: precision and threads.
        cache_path: where compiled graphs are kept; None keeps nothing.
        build: makes the graph; another one than `build_encoder` for another head.

    Raises:
        EngineError: damaged weights, or a precision that this processor lacks.
    """
    settings = _settings(core(), options)
    config = replace(config, int8=options.precision == "int8")
    blob_path = cache_path / _cache_name(path, config, settings, build.__name__) if cache_path else None
    if blob_path and (kept := _load(core(), blob_path, settings)):
        return kept
    compiled = core().compile_model(build(config, read_tensors(path)), "CPU", settings)
    if blob_path:
        _keep(compiled, blob_path)
    return compiled


def product_precision(compiled: ov.CompiledModel) -> str:
    """The precision that the matrix products really run in, as the compiled graph states it."""
    if int(compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE")):
        return "int8"
    found = set()
    for node in compiled.get_runtime_model().get_ops():
        info = node.get_rt_info()
        if info["layerType"].astype(str) in ("FullyConnected", "MatMul"):
            found.add(info["runtimePrecision"].astype(str))
    return ", ".join(sorted(found))


def _settings(runtime: ov.Core, options: EmbedderOptions) -> dict[str, Any]:
    """Every property that changes numbers or speed, said explicitly: the defaults differ by machine."""
    able = "BF16" in runtime.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if options.precision == "bf16" and not able:
        raise EngineError(
            "This processor does not compute in bf16.", remedy="Use the precision auto or f32 here."
        )
    # What is not rounded to int8, attention above all, is computed in bf16 where the processor does.
    precision = "bf16" if able and options.precision != "f32" else "f32"
    threads = options.threads or usable_threads()
    return {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        # One stream a thread: passages are many and small, and threads that share one wait for each other.
        "NUM_STREAMS": threads,
        "ENABLE_CPU_PINNING": False,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": INT8_GROUP if options.precision == "int8" else 0,
        # Each shape met is remembered, by default 5,000 of them.
        "CPU_RUNTIME_CACHE_CAPACITY": 256,
    }


def _cache_name(path: Path, config: EncoderConfig, settings: dict[str, Any], head: str) -> str:
    weights = file_digest(path / "model.safetensors")
    stated = json.dumps([repr(config), settings, head, ov.get_version(), GRAPH_VERSION], sort_keys=True)
    return f"{weights[:16]}-{hashlib.sha256(stated.encode()).hexdigest()[:16]}.encoder"


def _load(runtime: ov.Core, blob_path: Path, settings: dict[str, Any]) -> ov.CompiledModel | None:
    """The kept graph, if it is there and whole: native code gets no bytes that were not checked."""
    try:
        data = blob_path.read_bytes()
        digest, blob = data[:32], data[32:]
        if hashlib.sha256(blob).digest() != digest:
            return None
        return runtime.import_model(blob, "CPU", settings)
    except (OSError, RuntimeError):
        return None


def _keep(compiled: ov.CompiledModel, blob_path: Path) -> None:
    part_path = blob_path.with_suffix(f".{os.getpid()}.part")
    blob = compiled.export_model().getvalue()
    # A disk that is full or read-only costs the quick start and nothing else.
    try:
        blob_path.parent.mkdir(parents=True, exist_ok=True)
        part_path.write_bytes(hashlib.sha256(blob).digest() + blob)
        part_path.replace(blob_path)
    except OSError:
        with contextlib.suppress(OSError):
            part_path.unlink()
