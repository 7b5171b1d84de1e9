"""A GGUF file for the torch engine."""

from pathlib import Path

from homespun.engines.openvino.adapters import read_adapter
from homespun.engines.torch_model import build_model
from homespun.engines.torch_parts import TorchParts
from homespun.engines.torch_precision import placed
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer


def load_gguf(path: Path, precision: str, device: str) -> TorchParts:
    """The model of a file, every weight unpacked exactly and then kept in a precision.

    Raises:
        ModelFileError: a broken file.
        EngineError: a structure that is not built here.
    """
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    tokenizer = Tokenizer.from_gguf(file)
    return TorchParts(
        model=placed(build_model(file, config, "cpu"), precision, device),
        tokenizer=tokenizer,
        template=ChatTemplate.from_gguf(file, tokenizer),
        architecture=config.architecture,
        context_length=config.context_length,
        check_adapter=lambda adapter: read_adapter(adapter, file, config.n_layers),
    )
