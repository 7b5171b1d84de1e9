"""Which GGUF files this engine runs exactly; every other one is refused by name, with the reason."""

from homespun.engines.errors import EngineError
from homespun.engines.families import unknown_structure
from homespun.engines.openvino.weights import SUPPORTED_FORMATS
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile


def unsupported_reason(file: GGUFFile, config: ModelConfig) -> str | None:
    """Why this engine does not take the file; None where it does."""
    reason = unknown_structure(file, config)
    if reason is not None:
        return reason
    for name, tensor in file.tensors.items():
        if tensor.ggml_type not in SUPPORTED_FORMATS:
            return f"tensor {name} has format {tensor.ggml_type}; supported: {', '.join(SUPPORTED_FORMATS)}"
    return None


def check_supported(file: GGUFFile, config: ModelConfig) -> None:
    """Refuse a file that this engine cannot run exactly.

    Raises:
        EngineError: with the reason and the engine to use instead.
    """
    reason = unsupported_reason(file, config)
    if reason:
        raise EngineError(reason, where=str(file.path), remedy="Run it with --engine llama.cpp.")
