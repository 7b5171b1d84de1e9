"""Which engine runs a file on this machine, and why; nothing is imported before it is needed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from homespun.engines.able import ENGINES, EngineName, missing_torch, missing_vllm, why_not_run
from homespun.engines.bench_record import BenchRow, MachineBench, recall_bench
from homespun.engines.engine import Engine, EngineFacts, EngineOptions
from homespun.engines.errors import EngineError
from homespun.engines.loaded import LoadedModel
from homespun.engines.probe_check import check_engine
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.progress import Progress, no_progress

EngineChoice = Literal["auto", "openvino", "llama.cpp", "torch", "vllm"]


@dataclass(frozen=True)
class Choice:
    """The engine that auto takes.

    Attributes:
        engine: its name; None where nothing here runs the file.
        reason: in one sentence.
        alternatives: every other engine, with the reason that it cannot run the file, or None if it can.
    """

    engine: EngineName | None
    reason: str
    alternatives: dict[EngineName, str | None]


def explain_choice(
    path: Path, options: EngineOptions = EngineOptions(), *, cache_path: Path | None = None
) -> Choice:
    """Say which engine runs a model here, and why, without loading it.

    Args:
        path: a GGUF file, or a Hugging Face folder (which torch runs, and vLLM where it is asked for).
        options: the mode, device and precision that it is wanted in.
        cache_path: the home's cache, where `homespun doctor --bench` keeps what it measured.

    Raises:
        ModelFileError: no whole and well-formed GGUF.
    """
    if path.is_dir():
        return _folder_choice()
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    why_not = {name: why_not_run(name, file, config, options) for name in ENGINES}
    chosen, reason = _by_rule(why_not)
    bench = recall_bench(file, cache_path)
    if bench is not None and chosen is not None:
        able = frozenset(name for name, why in why_not.items() if why is None)
        best = bench.best(options.mode, able)
        if best is not None:
            chosen, reason = cast(EngineName, best.engine), _measured_reason(best, bench, options, able)
    return Choice(chosen, reason, {name: why for name, why in why_not.items() if name != chosen})


def _by_rule(why_not: dict[EngineName, str | None]) -> tuple[EngineName | None, str]:
    """The engine where nothing was measured, and the reason."""
    if why_not["openvino"] is None:
        return "openvino", "OpenVINO imports this architecture and its formats exactly"
    if why_not["llama.cpp"] is None:
        return "llama.cpp", f"OpenVINO does not take it ({why_not['openvino']})"
    if why_not["torch"] is None:
        return "torch", f"OpenVINO and llama.cpp do not take it ({why_not['llama.cpp']})"
    return None, f"no engine here runs it: {why_not['llama.cpp']}"


def _measured_reason(
    best: BenchRow, bench: MachineBench, options: EngineOptions, able: frozenset[str]
) -> str:
    others = []
    for row in bench.fitting(options.mode, able):
        if row is best:
            continue
        if row.is_usable:
            others.append(f"{row.engine} {row.read_tokens_per_s:,.0f} and {row.write_tokens_per_s:,.0f}")
        elif row.error is None:
            others.append(f"{row.engine} is off by {row.kl_nats:.2g} nats, {row.bound_nats:g} are allowed")
        else:
            others.append(f"{row.engine} could not be measured")
    compared = f" ({'; '.join(others)})" if others else ""
    return (
        f"measured here: an answer over passages costs least with {best.engine}, which reads "
        f"{best.read_tokens_per_s:,.0f} and writes {best.write_tokens_per_s:,.0f} tokens a second{compared}"
    )


def _folder_choice() -> Choice:
    why_not: dict[EngineName, str | None] = {
        "openvino": "it reads GGUF files, and this is a folder",
        "llama.cpp": "it reads GGUF files, and this is a folder",
        "vllm": missing_vllm(),
    }
    missing = missing_torch()
    if missing is not None:
        return Choice(
            None, f"a folder of safetensors runs through torch: {missing}", {**why_not, "torch": missing}
        )
    return Choice("torch", "a folder of safetensors runs through torch", why_not)


def open_engine(
    path: Path,
    options: EngineOptions = EngineOptions(),
    *,
    engine: EngineChoice = "auto",
    cache_path: Path | None = None,
    progress: Progress = no_progress,
) -> Engine:
    """Load a model with the engine of one's choice.

    Args:
        path: a GGUF file, or a Hugging Face folder.
        options: how it is loaded.
        engine: auto takes what `explain_choice` says.
        cache_path: folder for what is kept between starts; None: nothing is.

    Raises:
        ModelFileError: a broken file.
        EngineError: no engine, or not this one, runs the file here; with the reason and what can be done.
        CheckError: the engine's numbers on the probe are not the model's.
    """
    choice = explain_choice(path, options, cache_path=cache_path)
    name = _named(path, engine, choice)
    loaded = open_unchecked(name, path, options, cache_path, progress)
    try:
        facts = _checked(loaded, path, cache_path, progress, choice)
        if isinstance(loaded, LoadedModel):
            loaded.facts = facts
    except BaseException:
        loaded.close()
        raise
    return loaded


def _named(path: Path, engine: str, choice: Choice) -> EngineName:
    """The engine that was asked for, or the chosen one.

    Raises:
        EngineError: it does not run the model.
    """
    if engine == "auto":
        if choice.engine is None:
            raise _refusal(path, choice)
        return choice.engine
    if engine not in ENGINES:
        raise EngineError(f"engine {engine!r} is not one of auto, {', '.join(ENGINES)}")
    reason = choice.alternatives.get(engine)
    if reason is not None:
        raise EngineError(
            f"the {engine} engine does not run it: {reason}", where=str(path), remedy=_other(choice)
        )
    return engine


def _checked(
    loaded: Engine, path: Path, cache_path: Path | None, progress: Progress, choice: Choice
) -> EngineFacts:
    facts = loaded.facts
    if path.is_dir():
        note = "its numbers were not checked: the reference reads GGUF files"
        return replace(facts, notes=(*facts.notes, note))
    able = [choice.engine, *(name for name, why in choice.alternatives.items() if why is None)]
    others = [name for name in able if name is not None and name != facts.engine]
    return check_engine(loaded, read_gguf(path), cache_path, progress, others)


def open_unchecked(
    name: EngineName,
    path: Path,
    options: EngineOptions,
    cache_path: Path | None = None,
    progress: Progress = no_progress,
) -> Engine:
    """Load a model with an engine that runs it, without comparing its numbers: for measurements."""
    if name == "openvino":
        from homespun.engines.openvino.engine import OpenVINOEngine

        imported_path = None if cache_path is None else cache_path / "openvino"
        return OpenVINOEngine(path, options, cache_path=imported_path, progress=progress)
    if name == "llama.cpp":
        from homespun.engines.llama_cpp import LlamaCppEngine

        return LlamaCppEngine(path, options, cache_path=cache_path, progress=progress)
    if name == "vllm":
        from homespun.engines.vllm_engine import VllmEngine

        return VllmEngine(path, options, cache_path=cache_path, progress=progress)
    from homespun.engines.torch_engine import TorchEngine

    return TorchEngine(path, options, cache_path=cache_path, progress=progress)


def _refusal(path: Path, choice: Choice) -> EngineError:
    if path.is_dir():
        return EngineError(choice.reason, where=str(path))
    file = read_gguf(path)
    formats = sorted({tensor.ggml_type for tensor in file.tensors.values()})
    return EngineError(
        f"no engine here runs this file: architecture {file.architecture!r}, formats {', '.join(formats)} "
        f"({choice.alternatives['llama.cpp']})",
        where=str(path),
        remedy="Use a text model that llama.cpp supports, such as one of the families llama, qwen or gemma.",
    )


def _other(choice: Choice) -> str:
    if choice.engine is None:
        return "Use another model."
    return f"Use --engine {choice.engine}, or leave it to auto."
