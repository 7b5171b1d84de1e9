"""A model as a Hugging Face folder: config.json, safetensors weights and a tokenizer, read with suspicion.

`read_folder` is the only way to a `ModelFolder`. Nothing in the folder is executed: pickled weights (which
run code when they are opened) are refused, and programs that lie beside the weights are never imported.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from homespun.models.errors import ModelFileError, TokenizerError
from homespun.models.safetensors_file import StoredTensor, read_tensor_table

_MAX_JSON_BYTES = 300_000_000
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class ModelFolder:
    """A folder whose files were found whole; that its tokenizer fits is checked by `folder_tokenizer`.

    Attributes:
        path: the folder.
        config: config.json.
        generation_config, tokenizer_config: the files of these names; empty where there is none.
        tokenizer: tokenizer.json.
        tensors: every tensor by name, with its place in a safetensors file.
        chat_template: the Jinja program, or None.
    """

    path: Path
    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    tensors: Mapping[str, StoredTensor]
    chat_template: str | None

    @property
    def architecture(self) -> str:
        """transformers' name of the kind of model (`model_type`), such as "llama"."""
        return str(self.config["model_type"])

    @property
    def brings_code(self) -> bool:
        """Whether the publisher meant the folder's own program to be run (`auto_map`); it never is."""
        return bool(self.config.get("auto_map"))

    @property
    def text_config(self) -> Mapping[str, Any]:
        """The part of config.json that describes the language model."""
        inner = self.config.get("text_config")
        return inner if isinstance(inner, dict) else self.config

    @property
    def vocab_size(self) -> int:
        """Tokens that config.json says the model knows."""
        return int(self.text_config["vocab_size"])

    @property
    def size_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor.end - tensor.start for tensor in self.tensors.values())

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Ids that config.json and generation_config.json name as ends."""
        return frozenset(_ids(self.text_config, "eos") | _ids(self.config, "eos")) | frozenset(
            _ids(self.generation_config, "eos")
        )

    def named_ids(self, name: str) -> frozenset[int]:
        """Ids that config.json gives for "bos", "eos" or "pad"; several for some eos, none for others."""
        return frozenset(_ids(self.text_config, name) | _ids(self.config, name))


def read_folder(path: Path | str) -> ModelFolder:
    """Read a model folder and check that its weights are all there and whole.

    Raises:
        ModelFileError: something is missing, cut or pickled, with the file and what to do instead.
        TokenizerError: there is no tokenizer.json.
    """
    path = Path(path)
    if not path.is_dir():
        raise ModelFileError("there is no such folder", where=str(path), remedy="Check the path.")
    config = _read_json(path / "config.json")
    if config is None:
        raise ModelFileError(
            "the folder has no config.json, so it is no Hugging Face model",
            where=str(path),
            remedy="Give the folder that holds config.json, *.safetensors and tokenizer.json, or a GGUF file.",
        )
    if not isinstance(config.get("model_type"), str):
        raise ModelFileError("config.json does not say the model_type", where=str(path))
    tensors = _read_weights(path)
    tokenizer_config = _read_json(path / "tokenizer_config.json") or {}
    folder = ModelFolder(
        path,
        MappingProxyType(config),
        MappingProxyType(_read_json(path / "generation_config.json") or {}),
        MappingProxyType(tokenizer_config),
        MappingProxyType(_read_tokenizer(path)),
        MappingProxyType(tensors),
        _chat_template(path, tokenizer_config),
    )
    size = folder.text_config.get("vocab_size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= 100_000_000:
        raise ModelFileError(f"config.json says vocab_size {size!r}, which makes no sense", where=str(path))
    return folder


def _read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is no such file."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ModelFileError("this file is far too large for what it should hold", where=str(path))
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"no valid JSON ({error})", where=str(path), remedy="Download this file again."
        ) from None
    if not isinstance(content, dict):
        raise ModelFileError("no JSON object", where=str(path), remedy="Download this file again.")
    return content


def _read_weights(path: Path) -> dict[str, StoredTensor]:
    index = _read_json(path / _INDEX)
    names = ["model.safetensors"] if index is None else _shards(index, path)
    tensors: dict[str, StoredTensor] = {}
    for name in names:
        if not (path / name).is_file():
            raise _no_weights(path, name, index is not None)
        for tensor, stored in read_tensor_table(path / name).items():
            if tensor in tensors:
                raise ModelFileError(f"tensor {tensor} is in two files", where=str(path / name))
            tensors[tensor] = stored
    for tensor, name in (index or {}).get("weight_map", {}).items():
        if tensor not in tensors or tensors[tensor].path.name != name:
            raise ModelFileError(
                f"tensor {tensor} is not in {name}, where the index says it is",
                where=str(path),
                remedy="Download the folder again: its files are of different versions.",
            )
    return tensors


def _shards(index: Mapping[str, Any], path: Path) -> list[str]:
    weight_map = index.get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelFileError("the index names no file", where=str(path / _INDEX))
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if PurePosixPath(name).name != name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelFileError(f"the index names {name!r}, no file of this folder", where=str(path))
    return names


def _no_weights(path: Path, name: str, is_shard: bool) -> ModelFileError:
    if is_shard:
        return ModelFileError(
            f"the shard {name} is missing", where=str(path), remedy="Download it into this folder."
        )
    pickled = sorted(file.name for pattern in _PICKLED for file in path.glob(pattern))
    if pickled:
        return ModelFileError(
            f"its weights are pickled ({pickled[0]}), and opening such a file can run any program",
            where=str(path),
            remedy="Get the model as safetensors: look for another revision (many have a "
            "pull request that adds them), or for its GGUF.",
        )
    return ModelFileError(
        "the folder has no weights (model.safetensors)", where=str(path), remedy="Download them."
    )


def _read_tokenizer(path: Path) -> dict[str, Any]:
    content = _read_json(path / "tokenizer.json")
    if content is not None:
        return content
    if (path / "tokenizer.model").is_file() or list(path.glob("*.spm")) or list(path.glob("spiece.model")):
        raise TokenizerError(
            "it has only a SentencePiece tokenizer (.model) and no tokenizer.json",
            where=str(path),
            remedy="In a place that you trust, write one with transformers: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER); or use the model's GGUF.",
        )
    raise TokenizerError(
        "it has no tokenizer.json", where=str(path), remedy="Download it from where the model is published."
    )


def _chat_template(path: Path, tokenizer_config: Mapping[str, Any]) -> str | None:
    try:
        return (path / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, ValueError):
        template = tokenizer_config.get("chat_template")
    if isinstance(template, list):  # several by name
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) and template.strip() else None


def _ids(config: Mapping[str, Any], name: str) -> set[int]:
    value = config.get(f"{name}_token_id")
    values = value if isinstance(value, list) else [value]
    return {number for number in values if isinstance(number, int) and number >= 0}
