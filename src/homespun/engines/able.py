"""Which engines can run a model here, and why the others cannot; nothing is imported before it is needed."""

import importlib.util
import platform
from collections.abc import Callable
from typing import Literal, get_args

from homespun.engines.engine import EngineOptions
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile

EngineName = Literal["openvino", "llama.cpp", "torch", "vllm"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)

#: Architectures of llama.cpp that do not continue a text.
_NOT_DECODERS = frozenset(
    ("bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "neo-bert", "jina-bert-v2", "jina-bert-v3")
) | frozenset(("eurobert", "t5", "t5encoder", "clip", "gemma-embedding", "llama-embed", "wavtokenizer-dec"))


def why_not_run(
    name: EngineName, file: GGUFFile, config: ModelConfig, options: EngineOptions = EngineOptions()
) -> str | None:
    """Why an engine does not run a file here, with these options; None where it does."""
    return _why_not_options(name, options) or _CHECKS[name](file, config)


def _why_not_options(name: EngineName, options: EngineOptions) -> str | None:
    """What is asked for and this engine has not."""
    if name == "openvino" and options.device not in ("auto", "cpu"):
        return f"it runs on the processor, and the device is {options.device}"
    if name in ("openvino", "llama.cpp") and options.precision != "auto":
        return f"it keeps the weights as the file has them, and precision {options.precision} is asked for"
    return None


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
    missing = missing_torch()
    if missing is not None:
        return missing
    from homespun.engines.families import unknown_structure

    return unknown_structure(file, config)


def missing_torch() -> str | None:
    """Which package the torch engine lacks here, and how it is installed; None where none."""
    missing = [name for name in ("torch", "transformers") if importlib.util.find_spec(name) is None]
    return f'{missing[0]} is not installed (pip install "homespun[tune]")' if missing else None


def missing_vllm() -> str | None:
    """How vLLM is installed where it is not; None where it is."""
    if importlib.util.find_spec("vllm") is None:
        return 'vllm is not installed (pip install "homespun[cluster]", on a machine with a GPU)'
    return None


def _why_not_vllm(file: GGUFFile, config: ModelConfig) -> str | None:
    return missing_vllm() or _why_no_tokenizer(file)


_CHECKS: dict[EngineName, Callable[[GGUFFile, ModelConfig], str | None]] = {
    "openvino": _why_not_openvino,
    "llama.cpp": _why_not_llama_cpp,
    "torch": _why_not_torch,
    "vllm": _why_not_vllm,
}
