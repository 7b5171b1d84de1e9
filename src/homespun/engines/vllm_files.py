"""What the vLLM engine reads itself, before vLLM sees a model: tokenizer, template, and adapters' places."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homespun.engines.openvino.adapters import read_adapter, read_adapter_for
from homespun.engines.openvino.bank import Site
from homespun.models.config import ModelConfig
from homespun.models.folder import read_folder
from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class VllmFiles:
    """A checked GGUF or folder. `check_adapter` refuses a PEFT folder that has no place in the model."""

    path: Path
    architecture: str
    tokenizer: Tokenizer
    template: ChatTemplate
    check_adapter: Callable[[Path], object]


def read_files(path: Path) -> VllmFiles:
    """Read and check a model.

    Raises:
        ModelFileError, TokenizerError: broken files, or a tokenizer that is not the model's.
    """
    if not path.is_dir():
        file = read_gguf(path)
        n_layers = ModelConfig.from_gguf(file).n_layers
        tokenizer = Tokenizer.from_gguf(file)
        template = ChatTemplate.from_gguf(file, tokenizer)
        return VllmFiles(
            path,
            file.architecture,
            tokenizer,
            template,
            lambda adapter: read_adapter(adapter, file, n_layers),
        )
    folder = read_folder(path)
    tokenizer = Tokenizer.from_folder(folder)
    sites = {
        name: Site(name, "", tensor.shape[0], tensor.shape[1])
        for full, tensor in folder.tensors.items()
        if (name := full.removesuffix(".weight")) != full and len(tensor.shape) == 2
    }
    template = ChatTemplate.from_folder(folder, tokenizer)
    return VllmFiles(
        path, folder.architecture, tokenizer, template, lambda adapter: read_adapter_for(adapter, sites)
    )
