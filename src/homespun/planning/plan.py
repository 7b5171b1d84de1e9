"""Will it fit: a model's memory before it is downloaded, and the best window, batch and format that fit."""

import json
from dataclasses import dataclass, replace
from importlib import resources
from math import prod
from typing import Any

from homespun.engines.bench_record import recall_bench
from homespun.engines.choose import explain_choice
from homespun.engines.engine import EngineOptions
from homespun.engines.processor import available_memory_bytes
from homespun.models.convert_formats import TARGETS, fitting_format, wanted_format
from homespun.models.formats import BLOCK_FORMATS
from homespun.models.gguf import GGUFFile
from homespun.models.home import Home
from homespun.planning.errors import PlanError
from homespun.planning.find_shape import find_shape, shape_of_parameters
from homespun.planning.memory import (
    DEFAULT_WINDOW,
    Part,
    cache_bytes,
    cache_precision,
    count_parts,
    planned_clients,
    planned_window,
)
from homespun.planning.options import PlanOptions
from homespun.planning.shape import ModelShape

#: Of the free memory, for the model; the rest is for what grows meanwhile.
MEMORY_SHARE = 0.95
_LAYOUTS = {layout.name: layout for layout in BLOCK_FORMATS.values()}
#: The format of the source, in the list of those that fit.
AS_IT_IS = "as it is"
_WINDOW_STEP = 256
_MOST_CLIENTS = 64
# Importing a file for OpenVINO, once: its numbers unpacked, and logits of the probe that precisions are chosen
# by; bytes for each number and for each token of the vocabulary, from two models' measured peaks.
_IMPORT_BYTES_PER_VALUE = 4.9
_IMPORT_BYTES_PER_TOKEN = 14_850
_IMPORT_BYTES = 190_000_000


@dataclass(frozen=True)
class FormatFit:
    """The model in another format.

    Attributes:
        name: such as Q4_K_M, or `AS_IT_IS`.
        weight_bytes, total_bytes: of the weights, and of everything then.
        fits: in the memory that is there.
    """

    name: str
    weight_bytes: int
    total_bytes: int
    fits: bool


@dataclass(frozen=True)
class Speed:
    """Measured on this machine, tokens a second; how is said."""

    read_tokens_per_s: float
    write_tokens_per_s: float
    clients_tokens_per_s: float
    measured: str


@dataclass(frozen=True)
class Best:
    """What fits at most, everything else as planned; 0 or None: nothing, or not known.

    Attributes:
        window: tokens of each text.
        clients: texts at once with the planned window.
        tokens_at_once: of tuning.
        format: the one with the most bits that fits.
    """

    window: int
    clients: int
    tokens_at_once: int
    format: str | None


@dataclass(frozen=True)
class Plan:
    """What a model takes here.

    Attributes:
        name, architecture, source: of the model.
        use, engine: what it is planned for.
        n_parameters, n_active: all numbers, and those that one token is multiplied with.
        weight_bytes: as stored.
        cache_bytes_per_token: keys and values of one token more in all layers without a window of their own.
        window, clients: planned.
        parts: shares of the memory; total_bytes: their sum.
        first_start_bytes: peak of the first start, where that is more (OpenVINO imports the file once).
        available_bytes: free memory here, or as asked.
        fits: the total is within `MEMORY_SHARE` of it; with `unknown` parts only what is counted is.
        best, formats: what else would fit.
        speed: measured before, or None.
        n_read_bytes: fetched from a hub.
        unknown: what is not counted.
        error: how far such sums were off where they were measured.
    """

    name: str
    architecture: str
    source: str
    use: str
    engine: str
    n_parameters: int
    n_active: int
    weight_bytes: int
    active_bytes: int
    cache_bytes_per_token: int
    window: int
    clients: int
    parts: tuple[Part, ...]
    total_bytes: int
    first_start_bytes: int
    available_bytes: int
    fits: bool
    best: Best
    formats: tuple[FormatFit, ...]
    speed: Speed | None
    n_read_bytes: int
    unknown: tuple[str, ...]
    error: str


def plan_model(
    name: str | None = None,
    options: PlanOptions = PlanOptions(),
    *,
    params: str = "",
    precision: str = "bf16",
    revision: str = "main",
) -> Plan:
    """Count what a model takes; nothing of it is downloaded but its header.

    Args:
        name: a file, a folder, a model of the home, or hf:owner/repo[:file]; None: the home's default.
        options: what for.
        params, precision: instead of a model, how many numbers in which precision.
        revision: of a hub's repository.

    Raises:
        PlanError: options that make no sense, or name and params together.
        FetchError, ModelFileError, ModelError: see `find_shape`.
    """
    _check(options)
    if params:
        if name:
            raise PlanError("a model and --params are both given", remedy="Give one of them.")
        shape, file = shape_of_parameters(params, precision), None
    else:
        shape, file = find_shape(name, revision)
    return plan_shape(shape, options, file)


def plan_shape(shape: ModelShape, options: PlanOptions, file: GGUFFile | None = None) -> Plan:
    """Count what a model of this shape takes; `file` is the model where it lies on this machine."""
    engine = "torch" if options.use == "tune" else _engine(options, file)
    parts = count_parts(shape, engine, options)
    total = sum(part.size_bytes for part in parts)
    available = round(options.memory * 1e9) if options.memory else available_memory_bytes()
    room = round(available * MEMORY_SHARE)
    formats = _formats(shape, engine, options, room)
    window, clients = planned_window(shape, options), planned_clients(options)
    per_token = 0
    if shape.kept and options.use != "tune":
        unbounded = replace(shape, kept=tuple(layer for layer in shape.kept if not layer.window))
        per_token = cache_bytes(unbounded, "", cache_precision(engine, options), 1, 1)
    first = _import_bytes(shape) if engine == "openvino" and shape.tensors else 0
    return Plan(
        name=shape.name,
        architecture=shape.architecture,
        source=shape.source,
        use=options.use,
        engine=engine,
        n_parameters=shape.n_parameters,
        n_active=shape.n_active,
        weight_bytes=shape.weight_bytes,
        active_bytes=shape.active_bytes,
        cache_bytes_per_token=per_token,
        window=window,
        clients=clients,
        parts=parts,
        total_bytes=total,
        first_start_bytes=max(first, total) if first else 0,
        available_bytes=available,
        fits=total <= room,
        best=_best(shape, engine, options, room, formats),
        formats=formats,
        speed=_speed(file, engine, options),
        n_read_bytes=shape.n_read_bytes,
        unknown=shape.unknown,
        error=published_error(options.use),
    )


def _import_bytes(shape: ModelShape) -> int:
    """Peak of the first start with OpenVINO."""
    values, tokens = _IMPORT_BYTES_PER_VALUE * shape.n_parameters, _IMPORT_BYTES_PER_TOKEN * shape.vocab_size
    return round(_IMPORT_BYTES + values + tokens)


def _check(options: PlanOptions) -> None:
    bounds = {
        "window": 10**8,
        "clients": 10**5,
        "adapters": 10**4,
        "tokens_at_once": 10**7,
        "passages": 10**9,
    }
    for name, most in bounds.items():
        value = getattr(options, name)
        if not 0 <= value <= most:
            raise PlanError(f"{name} is {value}, and must be from 0 to {most:,}")
    if not 1 <= options.rank <= 4096:
        raise PlanError(f"rank is {options.rank}, and must be from 1 to 4096")
    if not 0 <= options.memory < 10**6:
        raise PlanError(f"memory is {options.memory} GB, and must be from 0 to 1,000,000")


def _engine(options: PlanOptions, file: GGUFFile | None) -> str:
    """The engine that would run it; llama.cpp, which knows the most architectures, for what is not here."""
    if options.engine != "auto":
        return options.engine
    if file is None:
        return "llama.cpp"
    chosen = explain_choice(
        file.path, EngineOptions(mode=options.mode), cache_path=Home.open().cache_path
    ).engine
    return "openvino" if chosen == "openvino" else "llama.cpp"


def _total(shape: ModelShape, engine: str, options: PlanOptions) -> int:
    return sum(part.size_bytes for part in count_parts(shape, engine, options))


def _best(
    shape: ModelShape, engine: str, options: PlanOptions, room: int, formats: tuple[FormatFit, ...]
) -> Best:
    fitting = [one for one in formats if one.fits]
    best_format = max(fitting, key=lambda one: one.weight_bytes).name if fitting else None
    if options.use == "tune":
        tokens = _most(
            lambda n: _total(shape, engine, replace(options, tokens_at_once=n)) <= room, 256, 65_536
        )
        return Best(0, 0, tokens if shape.n_layers else 0, best_format)
    if not shape.kept:
        return Best(0, 0, 0, best_format)
    longest = max(shape.context_length or DEFAULT_WINDOW, _WINDOW_STEP)
    window = _most(
        lambda n: _total(shape, engine, replace(options, window=n)) <= room,
        min(_WINDOW_STEP, longest),
        longest,
    )
    clients = _most(lambda n: _total(shape, engine, replace(options, clients=n)) <= room, 1, _MOST_CLIENTS)
    return Best(window, clients, 0, best_format)


def _most(fits: Any, step: int, most: int) -> int:
    """The largest multiple of `step` up to `most` that fits; 0: none."""
    low, high = 0, most // step
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle * step) else (low, middle - 1)
    return low * step


def _formats(shape: ModelShape, engine: str, options: PlanOptions, room: int) -> tuple[FormatFit, ...]:
    """The model as it is, and in every smaller format that can be written here, where its tensors are known."""
    if not shape.tensors or options.use == "tune":
        return ()
    total = _total(shape, engine, options)
    found = [FormatFit(AS_IT_IS, shape.weight_bytes, total, total <= room)]
    for name in TARGETS:
        target = TARGETS[name]
        tensors = []
        for tensor, sizes, kind, n_bytes in shape.tensors:
            if len(sizes) >= 2 and tensor.endswith("weight") and kind in (*_LAYOUTS, "BF16", "F16", "F32"):
                wanted = wanted_format(target, tensor, shape.n_layers, is_tied=not shape.head_values)
                kind = fitting_format(wanted, sizes[-1])
                layout = _LAYOUTS[kind]
                n_bytes = prod(sizes) // layout.n_values * layout.size_bytes
            tensors.append((tensor, sizes, kind, n_bytes))
        weight_bytes = sum(row[3] for row in tensors)
        other = replace(shape, tensors=tuple(tensors), weight_bytes=weight_bytes)
        total = _total(other, engine, options)
        if weight_bytes < shape.weight_bytes:  # more bits than the source has bring nothing back
            found.append(FormatFit(name, weight_bytes, total, total <= room))
    return tuple(found)


def _speed(file: GGUFFile | None, engine: str, options: PlanOptions) -> Speed | None:
    """What `homespun doctor --bench` measured for this very file."""
    if file is None or options.use == "tune":
        return None
    bench = recall_bench(file, Home.open().cache_path)
    row = bench.best(options.mode, frozenset((engine,))) if bench else None
    if bench is None or row is None:
        return None
    return Speed(
        row.read_tokens_per_s,
        row.write_tokens_per_s,
        row.clients_tokens_per_s,
        f"this file with {row.engine} on {bench.processor}, {bench.threads} threads",
    )


def published_error(use: str) -> str:
    """How far predictions were off in the rows that `bench/plan.py --record` kept; "" where none are."""
    stored = json.loads(resources.files("homespun.planning").joinpath("measured.json").read_text("utf-8"))
    rows = [row for row in stored["rows"] if row["use"] == use]
    if not rows:
        return ""
    errors = [row["predicted_bytes"] / row["measured_bytes"] - 1 for row in rows]
    return (
        f"prediction {min(errors):+.1%} to {max(errors):+.1%} off the peak in {len(rows)} measured "
        f"run{'s' * (len(rows) != 1)}{stored.get('note', '')} ({stored['as_of']}, {stored['processor']})"
    )
