"""A PEFT LoRA folder as low-rank pairs for the sites of a model; what cannot be applied is refused."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.errors import AdapterError
from homespun.engines.openvino.bank import LowRank, Site, site_groups
from homespun.models.gguf import GGUFFile

_TENSOR = re.compile(r"^base_model\.model\.(?P<site>.+)\.lora_(?P<side>[AB])(\.default)?\.weight$")


def read_adapter(path: Path, file: GGUFFile, n_layers: int) -> dict[str, LowRank]:
    """The adapter's pairs by site name, with the scale (lora_alpha / r, or / sqrt(r)) folded into B.

    Raises:
        AdapterError: not a LoRA folder, a tensor without a place in this model, a lone A or B, a wrong
            shape, values that are not finite, or parts that cannot be applied (DoRA, biases, saved modules).
    """
    sites = {s.name: s for layer in range(n_layers) for group in site_groups(file, layer) for s in group}
    return read_adapter_for(path, sites)


def read_adapter_alone(path: Path) -> dict[str, LowRank]:
    """The pairs of a folder whose base is not at hand: only its own shapes are checked."""
    tensors = _read_tensors(path)
    sites = {}
    for name, array in tensors.items():
        match = _TENSOR.match(name)
        other = name.replace(".lora_A.", ".lora_B.")
        if match is not None and match["side"] == "A" and array.ndim == 2 and tensors.get(other) is not None:
            sites[match["site"]] = Site(match["site"], "", len(tensors[other]), array.shape[1])
    return read_adapter_for(path, sites)


def read_adapter_for(path: Path, sites: Mapping[str, Site]) -> dict[str, LowRank]:
    """The same for a model whose linear layers are given by their PEFT names."""
    config = _read_config(path)
    sides: dict[str, dict[str, Any]] = {}
    for name, array in _read_tensors(path).items():
        match = _TENSOR.match(name)
        if match is None or match["site"] not in sites:
            raise AdapterError(
                f"tensor {name} has no place in this model",
                where=str(path),
                remedy="Train the adapter on this very model, on its attention and MLP layers only.",
            )
        sides.setdefault(match["site"], {})[match["side"]] = array
    if not sides:
        raise AdapterError("the adapter holds no LoRA tensor", where=str(path))
    _check_targets(sides, config, path)
    return {name: _pair(name, pair, sites[name], config, path) for name, pair in sides.items()}


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config: Mapping[str, Any] = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError(
            f"adapter_config.json cannot be read ({error})",
            where=str(path),
            remedy="Give a PEFT LoRA folder.",
        ) from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        kind = config.get("peft_type") if isinstance(config, dict) else None
        raise AdapterError(f"peft_type is {kind!r}; only LORA can be served", where=str(path))
    for key in ("use_dora", "modules_to_save", "lora_bias"):
        if config.get(key):
            raise AdapterError(
                f"{key} cannot be served live", where=str(path), remedy="Merge it, or train without."
            )
    if config.get("bias", "none") != "none":
        raise AdapterError("trained biases cannot be served live", where=str(path), remedy="Use bias=none.")
    return config


def _check_targets(names: Iterable[str], config: Mapping[str, Any], path: Path) -> None:
    """PEFT leaves out tensors of modules that the config does not list, so their numbers would differ."""
    targets = config.get("target_modules")
    for name in names:
        if isinstance(targets, str):
            is_listed = targets == "all-linear" or re.fullmatch(targets, name) is not None
        else:
            is_listed = any(name == target or name.endswith(f".{target}") for target in targets or [])
        if not is_listed:
            raise AdapterError(
                f"the adapter holds {name}, which target_modules in its config does not list", where=str(path)
            )


def _read_tensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError

    from homespun.models.safetensors_file import read_safetensors

    try:
        return read_safetensors(path / "adapter_model.safetensors")
    except (OSError, SafetensorError, ValueError) as error:
        raise AdapterError(f"adapter_model.safetensors cannot be read ({error})", where=str(path)) from None


def _pair(name: str, pair: Mapping[str, Any], site: Site, config: Mapping[str, Any], path: Path) -> LowRank:
    if set(pair) != {"A", "B"}:
        raise AdapterError(f"{name} has only its lora_{next(iter(pair))}", where=str(path))
    a, b = pair["A"], pair["B"]
    rank = a.shape[0] if a.ndim else 0
    if not rank or a.shape != (rank, site.n_columns) or b.shape != (site.n_rows, rank):
        raise AdapterError(
            f"{name} has shapes A {a.shape}, B {b.shape}; "
            f"this model needs ({rank}, {site.n_columns}) and ({site.n_rows}, {rank})",
            where=str(path),
            remedy="This adapter belongs to another base model.",
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise AdapterError(f"{name} holds values that are not finite", where=str(path))
    return LowRank(a, b * np.float32(_scale(name, rank, config)))


def _scale(name: str, rank: int, config: Mapping[str, Any]) -> float:
    alpha = float(_pattern(config.get("alpha_pattern"), name, config.get("lora_alpha", 8)))  # PEFT's own 8
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _pattern(patterns: Mapping[str, Any] | None, name: str, default: Any) -> Any:
    """PEFT's rule: the first pattern that matches the end of the module's name."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return value
    return default
