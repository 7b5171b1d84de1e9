"""The tensors of a folder under their GGUF names, with the changes that llama.cpp's graphs expect."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from homespun.models.convert_config import FolderConfig
from homespun.models.errors import ModelFileError
from homespun.models.folder import ModelFolder
from homespun.models.safetensors_file import StoredTensor, read_tensor

_LAYER = re.compile(r"^blk\.(\d+)\.(.+)$")


@dataclass(frozen=True)
class PlannedTensor:
    """One tensor of the GGUF and where its values come from (None: `values` holds them)."""

    name: str
    shape: tuple[int, ...]
    source_name: str
    source: StoredTensor | None
    values: Any = None


def plan_tensors(folder: ModelFolder, config: FolderConfig) -> list[PlannedTensor]:
    """All tensors to write.

    Raises:
        ModelFileError: a tensor without a place in a GGUF of this architecture, or a layer without one that
            the others have.
    """
    import gguf

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[config.architecture.upper()], config.n_layers)
    planned = []
    for source_name, source in folder.tensors.items():
        if source_name.endswith("rotary_emb.inv_freq"):
            continue
        if source_name == "lm_head.weight" and config.is_tied:
            continue
        name = names.get_name(source_name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ModelFileError(
                f"tensor {source_name} has no place in a GGUF of the architecture {config.architecture}",
                where=str(folder.path),
            )
        planned.append(PlannedTensor(name, source.shape, source_name, source))
    if config.rope_factors is not None:
        factors = config.rope_factors
        planned.append(PlannedTensor("rope_freqs.weight", factors.shape, "rope_freqs", None, factors))
    _check_whole(folder, config, planned)
    return planned


def _check_whole(folder: ModelFolder, config: FolderConfig, planned: list[PlannedTensor]) -> None:
    names = {tensor.name for tensor in planned}
    wanted = {"token_embd.weight", "output_norm.weight"} | (set() if config.is_tied else {"output.weight"})
    parts = {match[2] for name in names if (match := _LAYER.match(name))}
    wanted |= {f"blk.{layer}.{part}" for layer in range(config.n_layers) for part in parts}
    missing = sorted(wanted - names)
    if missing or not parts:
        raise ModelFileError(
            f"the folder has no tensor for {missing[0] if missing else 'any layer'}", where=str(folder.path)
        )


def read_values(tensor: PlannedTensor, config: FolderConfig) -> Any:
    """A tensor's values as float32, as the GGUF holds them.

    Raises:
        ModelFileError: values that are not finite, or no floating-point numbers.
    """
    if tensor.source is None:
        return np.asarray(tensor.values, np.float32)
    try:
        values = read_tensor(tensor.source, tensor.source_name)
    except ValueError as error:
        raise ModelFileError(f"{error}, which is not converted", where=str(tensor.source.path)) from None
    if not np.isfinite(values).all():
        raise ModelFileError(
            f"tensor {tensor.source_name} holds values that are not finite", where=str(tensor.source.path)
        )
    if config.architecture == "llama" and (".attn_q." in tensor.name or ".attn_k." in tensor.name):
        heads = config.n_heads if ".attn_q." in tensor.name else config.n_kv_heads
        return _interleaved(values, heads)
    if config.architecture == "gemma3" and tensor.name.endswith("norm.weight"):
        return values + np.float32(1)
    return values


def _interleaved(values: Any, n_heads: int) -> Any:
    """llama.cpp keeps the two values that are rotated together side by side, transformers half a head apart."""
    half = values.shape[0] // n_heads // 2
    return values.reshape(n_heads, 2, half, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
