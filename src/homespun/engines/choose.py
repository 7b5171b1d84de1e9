"""Which engine runs a file on this machine, and why; nothing is imported before it is needed."""

import importlib.util
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from homespun.engines.engine import Engine, EngineOptions
from homespun.engines.errors import EngineError
from homespun.engines.loaded import LoadedModel
from homespun.engines.probe_check import check_engine
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.progress import Progress, no_progress

EngineName = Literal["openvino", "llama.cpp", "torch"]
EngineChoice = Literal["auto", "openvino", "llama.cpp", "torch"]

#: Architectures of llama.cpp that do not continue a text.
_NOT_DECODERS = frozenset(
    ("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3")
) | frozenset(("eurobert", "t5", "t5encoder", "clip", "gemma-embedding", "llama-embed", "wavtokenizer-dec"))


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


def explain_choice(path: Path) -> Choice:
    """Say which engine runs a file here, and why, without loading the model.

    Raises:
        ModelFileError: no whole and well-formed GGUF.
    """
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    why_not = {name: check(file, config) for name, check in _CHECKS.items()}
    if why_not["openvino"] is None:
        chosen: EngineName | None = "openvino"
        reason = "OpenVINO imports this architecture and its formats exactly"
    elif why_not["llama.cpp"] is None:
        chosen, reason = "llama.cpp", f"OpenVINO does not take it ({why_not['openvino']})"
    elif why_not["torch"] is None:
        chosen, reason = "torch", f"OpenVINO and llama.cpp do not take it ({why_not['llama.cpp']})"
    else:
        chosen, reason = None, f"no engine here runs it: {why_not['llama.cpp']}"
    return Choice(chosen, reason, {name: why for name, why in why_not.items() if name != chosen})


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
        path: a GGUF file.
        options: how it is loaded.
        engine: auto takes what `explain_choice` says.
        cache_path: folder for what is kept between starts; None: nothing is.

    Raises:
        ModelFileError: a broken file.
        EngineError: no engine, or not this one, runs the file here; with the reason and what can be done.
        CheckError: the engine's numbers on the probe are not the model's.
    """
    choice = explain_choice(path)
    name: EngineName
    if engine == "auto":
        if choice.engine is None:
            raise _refusal(path, choice)
        name = choice.engine
    else:
        if engine not in _CHECKS:
            raise EngineError(f"engine {engine!r} is not one of auto, {', '.join(_CHECKS)}")
        name = engine
        reason = choice.alternatives.get(name)
        if reason is not None:
            raise EngineError(
                f"the {name} engine does not run it: {reason}", where=str(path), remedy=_other(choice)
            )
    loaded = _open(name, path, options, cache_path, progress)
    try:
        others = [other for other, why in choice.alternatives.items() if why is None and other != name]
        facts = check_engine(loaded, read_gguf(path), cache_path, progress, others)
        if isinstance(loaded, LoadedModel):
            loaded.facts = facts
    except BaseException:
        loaded.close()
        raise
    return loaded


def _open(
    name: EngineName, path: Path, options: EngineOptions, cache_path: Path | None, progress: Progress
) -> Engine:
    if name == "openvino":
        from homespun.engines.openvino.engine import OpenVINOEngine

        imported_path = None if cache_path is None else cache_path / "openvino"
        return OpenVINOEngine(path, options, cache_path=imported_path, progress=progress)
    if name == "llama.cpp":
        from homespun.engines.llama_cpp import LlamaCppEngine

        return LlamaCppEngine(path, options, cache_path=cache_path, progress=progress)
    from homespun.engines.torch_engine import TorchEngine

    return TorchEngine(path, options, cache_path=cache_path, progress=progress)


def _refusal(path: Path, choice: Choice) -> EngineError:
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


def _why_not_openvino(file: GGUFFile, config: ModelConfig) -> str | None:
    machine = platform.machine().lower()
    if machine not in ("x86_64", "amd64"):
        return f"OpenVINO has no paged attention on this processor ({machine})"
    if importlib.util.find_spec("openvino") is None:
        return "OpenVINO is not installed"
    from homespun.engines.openvino.support import unsupported_reason

    return unsupported_reason(file, config)


def _why_not_llama_cpp(file: GGUFFile, config: ModelConfig) -> str | None:
    if importlib.util.find_spec("xllamacpp") is None:
        return "llama.cpp (the package xllamacpp) is not installed"
    if config.architecture in _NOT_DECODERS:
        return f"a model of the architecture {config.architecture!r} does not continue texts"
    import gguf

    if config.architecture not in gguf.MODEL_ARCH_NAMES.values():
        return f"llama.cpp knows no architecture {config.architecture!r}"
    if not config.n_layers or not config.context_length:
        return f"the file states no layers or no context length, as {config.architecture!r} must"
    return _why_no_tokenizer(file)


def _why_no_tokenizer(file: GGUFFile) -> str | None:
    from homespun.models.errors import TokenizerError
    from homespun.models.tokenizer import Tokenizer

    try:
        Tokenizer.from_gguf(file)
    except TokenizerError as error:
        return error.what
    return None


def _why_not_torch(file: GGUFFile, config: ModelConfig) -> str | None:
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    if missing:
        return f'{missing[0]} is not installed (pip install "homespun[tune]")'
    from homespun.engines.families import unknown_structure

    return unknown_structure(file, config)


_CHECKS: dict[EngineName, Callable[[GGUFFile, ModelConfig], str | None]] = {
    "openvino": _why_not_openvino,
    "llama.cpp": _why_not_llama_cpp,
    "torch": _why_not_torch,
}
