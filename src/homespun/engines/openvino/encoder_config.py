"""What a folder of an encoder says: the family, its sizes, the modules behind it, and its tensors by BERT's names."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from homespun.engines.errors import EngineError

Tensors = Mapping[str, npt.NDArray[np.float32]]
Pooling = Literal["mean", "cls", "max", "last"]

#: Families whose layers are BERT's; those of RoBERTa's line begin to count positions behind the padding id.
_BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet")
_OFFSET_FAMILIES = ("roberta", "xlm-roberta", "camembert", "mpnet")
_ACTIVATIONS = {"gelu": "gelu", "relu": "relu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}
_DENSE_ACTIVATIONS = {"Identity": "none", "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu"}

#: DistilBERT's and MPNet's names of what BERT calls otherwise.
_RENAMED = (
    (r"^transformer\.layer\.", "encoder.layer."),
    (r"\.attention\.(?:attn\.q|q_lin)\.", ".attention.self.query."),
    (r"\.attention\.(?:attn\.k|k_lin)\.", ".attention.self.key."),
    (r"\.attention\.(?:attn\.v|v_lin)\.", ".attention.self.value."),
    (r"\.attention\.(?:attn\.o|out_lin)\.", ".attention.output.dense."),
    (r"\.(?:attention\.LayerNorm|sa_layer_norm)\.", ".attention.output.LayerNorm."),
    (r"\.ffn\.lin1\.", ".intermediate.dense."),
    (r"\.ffn\.lin2\.", ".output.dense."),
    (r"\.output_layer_norm\.", ".output.LayerNorm."),
)


@dataclass(frozen=True)
class EncoderConfig:
    """What the graph needs to know of a folder. Sizes are in values; n_positions in tokens.

    Attributes:
        first_position: row of the position table that the first token has.
        has_segments: whether there is a table of segments.
        n_distances: rows of MPNet's table of distances; 0 where there is none.
        dense: activations of the dense modules behind the pooling.
        int8: whether the weights of the layers are rounded to int8.
    """

    n_layers: int
    hidden_size: int
    n_heads: int
    layer_norm_eps: float
    activation: str
    n_positions: int
    vocab_size: int
    pooling: Pooling
    first_position: int = 0
    has_segments: bool = True
    n_distances: int = 0
    dense: tuple[str, ...] = ()
    int8: bool = False

    @classmethod
    def from_folder(cls, path: Path, pooling: Pooling | None = None) -> "EncoderConfig":
        """Read config.json and, where no pooling is given, the modules' own configs.

        Raises:
            EngineError: a file is missing or unreadable, or the encoder is of a kind that is not built here.
        """
        config = read_json(path / "config.json")
        kind = config.get("model_type")
        if kind not in _BERT_LIKE or config.get("position_embedding_type", "absolute") != "absolute":
            raise EngineError(
                f"This embedder is of the kind {kind!r}; only 'bert' with absolute positions and its kin "
                f"({', '.join(_BERT_LIKE[1:])}) run here.",
                where=str(path),
                remedy="Choose a BERT embedder, such as all-MiniLM-L6-v2.",
            )
        activation = config.get("activation" if kind == "distilbert" else "hidden_act")
        if activation not in _ACTIVATIONS:
            raise EngineError(
                f"The activation {activation!r} is not known; {', '.join(_ACTIVATIONS)} are.", where=str(path)
            )
        # Where another head is built, nothing is pooled, and the modules do not count.
        modules = () if pooling else dense_modules(path)
        try:
            first = int(config["pad_token_id"]) + 1 if kind in _OFFSET_FAMILIES else 0
            names = _SIZES["distilbert" if kind == "distilbert" else "bert"]
            return cls(
                n_layers=int(config[names[0]]),
                hidden_size=int(config[names[1]]),
                n_heads=int(config[names[2]]),
                layer_norm_eps=float(config.get("layer_norm_eps", 1e-12)),
                activation=_ACTIVATIONS[activation],
                n_positions=int(config["max_position_embeddings"]) - first,
                vocab_size=int(config["vocab_size"]),
                pooling=pooling or _read_pooling(path),
                first_position=first,
                has_segments=kind not in ("distilbert", "mpnet"),
                n_distances=int(config.get("relative_attention_num_buckets", 32)) if kind == "mpnet" else 0,
                dense=tuple(_dense_activation(module) for module in modules),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise EngineError(f"config.json lacks or misstates {error}.", where=str(path)) from error


_SIZES = {
    "bert": ("num_hidden_layers", "hidden_size", "num_attention_heads"),
    "distilbert": ("n_layers", "dim", "n_heads"),
}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the embedder folder."""
    value = _read(path)
    if not isinstance(value, dict):
        raise EngineError("This file of the embedder holds no JSON object.", where=str(path))
    return value


def dense_modules(path: Path) -> tuple[Path, ...]:
    """Folders of the dense modules that modules.json names, in order.

    Raises:
        EngineError: it names a module that is not known, or one out of the folder.
    """
    listed = path / "modules.json"
    if not listed.is_file():
        return ()
    found = []
    modules = _read(listed)
    for module in modules if isinstance(modules, list) else []:
        kind = str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else ""
        if kind == "Dense":
            folder = str(module.get("path", ""))
            if not re.fullmatch(r"[A-Za-z0-9_-]+", folder):
                raise EngineError(f"modules.json names the folder {folder!r}.", where=str(listed))
            found.append(path / folder)
        elif kind not in ("Transformer", "Pooling", "Normalize"):
            raise EngineError(f"The module {kind!r} of this embedder is not known.", where=str(listed))
    return tuple(found)


def _dense_activation(module: Path) -> str:
    stated = str(read_json(module / "config.json").get("activation_function", "Tanh")).rpartition(".")[2]
    if stated not in _DENSE_ACTIVATIONS:
        raise EngineError(f"The activation {stated!r} of a dense module is not known.", where=str(module))
    return _DENSE_ACTIVATIONS[stated]


def _read_pooling(path: Path) -> Pooling:
    if not (path / "modules.json").exists() and not (path / "1_Pooling").exists():
        return "mean"  # a plain model: as sentence-transformers reads it
    config = read_json(path / "1_Pooling" / "config.json")
    on = sorted(key for key, value in config.items() if key.startswith("pooling_mode_") and value is True)
    if isinstance(config.get("pooling_mode"), str):  # how newer folders say it
        on = [config["pooling_mode"]]
    known: dict[str, Pooling] = {
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_cls_token": "cls",
        "pooling_mode_max_tokens": "max",
        "pooling_mode_lasttoken": "last",
        "mean": "mean",
        "cls": "cls",
        "max": "max",
        "lasttoken": "last",
    }
    if len(on) != 1 or on[0] not in known:
        raise EngineError(f"The pooling {on} is not known; mean, cls, max and last are.", where=str(path))
    return known[on[0]]


def read_tensors(path: Path) -> Tensors:
    """All floating tensors as float32 by BERT's names; those of dense modules begin with `dense.`.

    Raises:
        EngineError: a file is missing or damaged, or a tensor has a type that numpy lacks.
    """
    tensors = {}
    for name, value in _read_file(path / "model.safetensors").items():
        name = re.sub(r"^(?:bert|roberta|distilbert|mpnet)\.", "", name)
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        tensors[name] = value
    for number, module in enumerate(dense_modules(path)):
        for name, value in _read_file(module / "model.safetensors").items():
            tensors[f"dense.{number}.{name.removeprefix('linear.')}"] = value
    return tensors


def _read_file(file_path: Path) -> dict[str, npt.NDArray[np.float32]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file_path), framework="numpy") as file:
            named = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError) as error:
        raise EngineError(
            f"The weights of the embedder cannot be read ({error}).",
            where=str(file_path),
            remedy="Fetch the embedder again.",
        ) from error
    return {name: value.astype(np.float32) for name, value in named.items() if value.dtype.kind == "f"}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            "This file of the embedder is missing or is not JSON.",
            where=str(path),
            remedy="Fetch the embedder again.",
        ) from error
