"""Safetensors read as float32 arrays without torch, bfloat16 included."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np


def read_safetensors(path: Path) -> dict[str, Any]:
    """All floating-point tensors of a file by name, as float32.

    The library checks the header and every range first; numpy alone has no bfloat16, so those bytes are
    widened here (bfloat16 is the upper half of float32).

    Raises:
        SafetensorError: a file that is not well-formed.
        ValueError: a tensor that is not floating point.
    """
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as checked:
        names = list(checked.keys())
    data = np.memmap(path, np.uint8, "r")
    (header_size,) = struct.unpack("<Q", bytes(data[:8]))
    header = json.loads(bytes(data[8 : 8 + header_size]))
    return {name: _as_float32(name, header[name], data[8 + header_size :]) for name in names}


def _as_float32(name: str, entry: dict[str, Any], data: Any) -> Any:
    first, last = entry["data_offsets"]
    raw = np.array(data[first:last])
    kind, shape = entry["dtype"], entry["shape"]
    if kind == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind in ("F16", "F32", "F64"):
        width = {"F16": np.float16, "F32": np.float32, "F64": np.float64}[kind]
        return raw.view(width).astype(np.float32).reshape(shape)
    raise ValueError(f"tensor {name} has type {kind}")
