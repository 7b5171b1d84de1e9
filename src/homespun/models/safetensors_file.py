"""Safetensors files: what they hold, checked against the file, and their tensors as float32 without torch."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from homespun.models.errors import ModelFileError

_MAX_HEADER_BYTES = 100_000_000
#: Bytes of one value of each type.
_WIDTHS = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}


@dataclass(frozen=True)
class StoredTensor:
    """Where a tensor lies.

    Attributes:
        path: the file that holds it.
        dtype: safetensors' name of its type, such as "BF16".
        shape: rows first.
        start, end: its bytes in the file.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read_tensor_table(path: Path) -> dict[str, StoredTensor]:
    """Every tensor of a file and where it lies, each range checked against the file's size.

    Raises:
        ModelFileError: no safetensors file, or one that was cut or damaged.
    """
    try:
        size_bytes = path.stat().st_size
        with path.open("rb") as handle:
            head = handle.read(8)
            header_size = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= header_size <= min(_MAX_HEADER_BYTES, size_bytes - 8):
                raise _damaged(path, "its header does not fit into the file")
            header = json.loads(handle.read(header_size))
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    except (ValueError, RecursionError):
        raise _damaged(path, "its header is no JSON") from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is no table of tensors")
    first = 8 + header_size
    return {
        name: _stored(path, name, entry, first, size_bytes)
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _stored(path: Path, name: str, entry: Any, first: int, size_bytes: int) -> StoredTensor:
    try:
        dtype, shape = str(entry["dtype"]), tuple(int(n) for n in entry["shape"])
        start, end = (first + int(offset) for offset in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise _damaged(path, f"the entry of tensor {name} is not whole") from None
    if end > size_bytes:
        raise _damaged(path, f"it is cut: tensor {name} ends at byte {end:,}, the file at {size_bytes:,}")
    width = _WIDTHS.get(dtype)
    if width is None:
        raise ModelFileError(f"tensor {name} has the type {dtype}, which is not known here", where=str(path))
    if not first <= start <= end or min(shape, default=1) < 0 or prod(shape) * width != end - start:
        raise _damaged(path, f"tensor {name} of shape {shape} does not have the bytes that it needs")
    return StoredTensor(path, dtype, shape, start, end)


def _damaged(path: Path, what: str) -> ModelFileError:
    return ModelFileError(
        f"no whole safetensors file: {what}", where=str(path), remedy="Download this file again."
    )


def read_tensor(tensor: StoredTensor, name: str) -> Any:
    """One tensor as a float32 array.

    Raises:
        ValueError: not floating point.
    """
    size_bytes = tensor.end - tensor.start
    raw = np.fromfile(tensor.path, np.uint8, size_bytes, offset=tensor.start)
    return _as_float32(name, tensor.dtype, list(tensor.shape), raw)


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
    body = data[8 + header_size :]
    return {name: _from_entry(name, header[name], body) for name in names}


def _from_entry(name: str, entry: Mapping[str, Any], body: Any) -> Any:
    first, last = entry["data_offsets"]
    return _as_float32(name, entry["dtype"], entry["shape"], np.array(body[first:last]))


def _as_float32(name: str, kind: str, shape: list[int], raw: Any) -> Any:
    if kind == "BF16":
        return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if kind in ("F16", "F32", "F64"):
        width = {"F16": np.float16, "F32": np.float32, "F64": np.float64}[kind]
        return raw.view(width).astype(np.float32).reshape(shape)
    raise ValueError(f"tensor {name} has type {kind}")
