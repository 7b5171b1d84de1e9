"""What of a model is needed to see examples as it does: its template and tokenizer, without its weights."""

from dataclasses import dataclass
from pathlib import Path

from homespun.engines.errors import EngineError
from homespun.engines.load import model_path
from homespun.engines.providers import remote_model
from homespun.models.config import ModelConfig
from homespun.models.folder import read_folder
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class ModelParts:
    """A model's name, file, tokenizer, template and the tokens that it was made for; 0: not told."""

    name: str
    path: Path
    tokenizer: Tokenizer
    template: ChatTemplate
    context_length: int


def read_model_parts(home: Home, name: str | None = None) -> ModelParts:
    """Read these parts of a model by its name or file; None is the home's default model.

    Raises:
        UnknownModelError: no such model.
        EngineError: a remote model, whose tokenizer is not here.
    """
    if name is not None and remote_model(name) is not None:
        raise EngineError("a remote model's tokenizer is not here", where=name, remedy="Name a local model.")
    path = model_path(home, name)
    shown = name or home.default_model or path.stem
    if path.is_dir():
        folder = read_folder(path)
        tokenizer = Tokenizer.from_folder(folder)
        length = folder.config.get("max_position_embeddings", 0)
        template = ChatTemplate.from_folder(folder, tokenizer)
        return ModelParts(shown, path, tokenizer, template, length if isinstance(length, int) else 0)
    file = read_gguf(path)
    tokenizer = Tokenizer.from_gguf(file)
    length = ModelConfig.from_gguf(file).context_length
    return ModelParts(shown, path, tokenizer, ChatTemplate.from_gguf(file, tokenizer), length)
