"""What this machine is and which engine would run each model, for people who ask why."""

import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from homespun.engines.bench_record import MachineBench, recall_bench
from homespun.engines.choose import explain_choice
from homespun.engines.processor import available_memory_bytes, processor_name, usable_threads
from homespun.errors import HomespunError
from homespun.models.gguf import read_gguf
from homespun.models.home import Home

#: Packages that decide what can run, and for what.
PACKAGES = (
    ("openvino", "running models on x86 processors, embedding"),
    ("xllamacpp", "running every other GGUF (llama.cpp)"),
    ("lancedb", "storing and searching libraries"),
    ("torch", "training; the reference engine  [tune]"),
    ("transformers", "training; the reference engine  [tune]"),
    ("peft", "training adapters  [tune]"),
)


@dataclass(frozen=True)
class Package:
    """An installed package, or one that is not (version None)."""

    name: str
    version: str | None
    used_for: str


@dataclass(frozen=True)
class ModelDiagnosis:
    """Which engine would run a model here, why, and what was measured before.

    Attributes:
        measured: the precisions of OpenVINO's fast mode, a line each.
        bench: all engines, where `homespun doctor --bench` measured them here.
    """

    name: str
    engine: str
    reason: str
    measured: tuple[str, ...]
    is_default: bool
    bench: MachineBench | None = None


@dataclass(frozen=True)
class Diagnosis:
    """This machine, seen by Homespun."""

    system: str
    python: str
    processor: str
    threads: int
    available_memory_bytes: int
    home: str
    free_disk_bytes: int
    packages: tuple[Package, ...]
    models: tuple[ModelDiagnosis, ...]


def diagnose(home: Home) -> Diagnosis:
    """Look, without loading a model or asking the network."""
    default = home.default_model
    return Diagnosis(
        system=f"{platform.system()} {platform.release()} ({platform.machine()})",
        python=platform.python_version(),
        processor=processor_name(),
        threads=usable_threads(),
        available_memory_bytes=available_memory_bytes(),
        home=str(home.root),
        free_disk_bytes=shutil.disk_usage(home.root).free,
        packages=tuple(Package(name, _version(name), used_for) for name, used_for in PACKAGES),
        models=tuple(_diagnose_model(home, model.name, model.name == default) for model in home.models()),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _diagnose_model(home: Home, name: str, is_default: bool) -> ModelDiagnosis:
    try:
        path = home.model(name).path
        choice = explain_choice(path, cache_path=home.cache_path)
        bench = None if path.is_dir() else recall_bench(read_gguf(path), home.cache_path)
    except HomespunError as error:
        return ModelDiagnosis(name, "none", error.sentence(), (), is_default)
    measured = _measured(home, path) if choice.engine == "openvino" else ()
    return ModelDiagnosis(name, choice.engine or "none", choice.reason, measured, is_default, bench)


def _measured(home: Home, path: Path) -> tuple[str, ...]:
    from homespun.engines.openvino.measure import recalled

    lines = []
    for m in recalled(path, home.cache_path / "openvino"):
        lines.append(
            f"{m.precision:<5} reads {m.read_tokens_per_s:,.0f} tok/s, "
            f"writes {m.write_tokens_per_s:,.0f} tok/s, loss {m.loss_nats:.1e} nats"
        )
    return tuple(lines)
