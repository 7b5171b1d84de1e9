"""Which engine runs a model file here, and why."""

import platform
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from homespun.engines.engine import Engine, EngineOptions
from homespun.engines.errors import EngineError
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.progress import Progress, no_progress

EngineName = Literal["openvino", "llama.cpp", "torch"]


@dataclass(frozen=True)
class Choice:
    """The engine that `auto` takes, why, and the others that could run the file."""

    engine: EngineName
    reason: str
    alternatives: tuple[EngineName, ...]


def explain_choice(path: Path) -> Choice:
    """What `auto` takes for a file, without loading it.

    Raises:
        ModelFileError: a broken file.
        EngineError: no engine here can run it.
    """
    reason = _openvino_reason(path)
    others: list[EngineName] = [*(["llama.cpp"] if find_spec("xllamacpp") else []), *(["torch"] if find_spec("torch") else [])]  # type: ignore[list-item]
    if reason is None:
        return Choice("openvino", "its architecture and formats are imported exactly, and it reads prompts fastest", tuple(others))
    if "llama.cpp" in others:
        return Choice("llama.cpp", f"OpenVINO does not take it: {reason}", tuple(o for o in others if o != "llama.cpp"))
    raise EngineError(f"no engine here can run this file: {reason}", where=str(path), remedy="Install xllamacpp.")


def _openvino_reason(path: Path) -> str | None:
    """Why the OpenVINO engine does not take a file; None where it does."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return f"paged attention is not compiled in for {platform.machine()}"
    if find_spec("openvino") is None:
        return "the package openvino is not installed"
    from homespun.engines.openvino.support import unsupported_reason

    file = read_gguf(path)
    return unsupported_reason(file, ModelConfig.from_gguf(file))


def open_engine(
    path: Path,
    options: EngineOptions = EngineOptions(),
    *,
    engine: Literal["auto", "openvino", "llama.cpp", "torch"] = "auto",
    cache_path: Path | None = None,
    progress: Progress = no_progress,
) -> Engine:
    """Load a model file."""
    name = explain_choice(path).engine if engine == "auto" else engine
    if name == "openvino":
        from homespun.engines.openvino.engine import OpenVINOEngine

        return OpenVINOEngine(path, options, cache_path=cache_path, progress=progress)
    if name == "torch":
        from homespun.engines.torch_engine import TorchEngine

        return TorchEngine(path, options)
    from homespun.engines.llama_cpp import LlamaCppEngine

    return LlamaCppEngine(path, options)
