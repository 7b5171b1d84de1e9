"""The model that training and serving share, opened."""

from dataclasses import dataclass
from pathlib import Path

from homespun.engines.load import model_path
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.home import Home
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.errors import TuneError


@dataclass(frozen=True)
class Base:
    """The model that is tuned, opened."""

    name: str
    path: Path
    file: GGUFFile
    config: ModelConfig
    tokenizer: Tokenizer
    template: ChatTemplate


def open_base(home: Home, model: str | None) -> Base:
    """The model that training and serving share.

    Raises:
        UnknownModelError: no such model.
        TuneError: not a GGUF file.
    """
    path = model_path(home, model)
    if path.is_dir():
        raise TuneError(
            "a model folder cannot be tuned here",
            where=str(path),
            remedy="Convert it first: `homespun convert`.",
        )
    file = read_gguf(path)
    tokenizer = Tokenizer.from_gguf(file)
    name = model if model and not model.endswith(".gguf") else None
    known = name or next((m.name for m in home.models() if m.path == path), path.stem)
    template = ChatTemplate.from_gguf(file, tokenizer)
    return Base(known, path, file, ModelConfig.from_gguf(file), tokenizer, template)
