"""One GGUF file: what it says about itself, and its tensors.

`read_gguf` is the only way to a `GGUFFile`, and it checks the file first (see `header.py`), so
whoever holds a `GGUFFile` may hand its path to native code.
"""

import mmap
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from homespun.models.digest import file_digest
from homespun.models.errors import ModelFileError
from homespun.models.header import DOWNLOAD_AGAIN, TensorInfo, read_header
from homespun.models.metadata_check import check_metadata, check_vocabulary

__all__ = ["GGUFFile", "TensorInfo", "read_gguf"]

_SPLIT_NAME = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$", re.IGNORECASE)


@dataclass(frozen=True)
class GGUFFile:
    """A GGUF file whose header was read and found whole.

    Attributes:
        path: where it is.
        version: of the GGUF format, 2 or 3.
        metadata: all entries; arrays of numbers are numpy arrays, arrays of text are lists.
        tensors: all tensors by name, in the file's order.
    """

    path: Path
    version: int
    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    size_bytes: int

    @property
    def architecture(self) -> str:
        """The kind of model, such as "llama"."""
        return str(self.metadata["general.architecture"])

    @cached_property
    def n_parameters(self) -> int:
        """All numbers in all tensors."""
        return sum(info.n_values for info in self.tensors.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the whole file, in hex; remembered under the file's size and time of change."""
        return file_digest(self.path)

    @cached_property
    def _bytes(self) -> np.ndarray:
        return np.memmap(self.path, dtype=np.uint8, mode="r")

    def data(self, name: str) -> np.ndarray:
        """The stored bytes of a tensor, still in its blocks, mapped from the file.

        Returns:
            uint8, the tensor's shape with the last axis in bytes instead of values; not writable.

        Raises:
            ModelFileError: there is no such tensor.
        """
        info = self._tensor(name)
        stored = self._bytes[info.offset : info.offset + info.size_bytes]
        return stored.reshape((*info.shape[:-1], -1))

    def dequantize(self, name: str) -> np.ndarray:
        """The values of a tensor as float32, rows first, exactly as ggml defines them.

        Raises:
            ModelFileError: there is no such tensor, or its format has no exact reader here.
        """
        import gguf
        from gguf import quants

        info = self._tensor(name)
        try:
            kind = gguf.GGMLQuantizationType[info.ggml_type]
            values = quants.dequantize(np.asarray(self.data(name)), kind)
        except (KeyError, NotImplementedError):
            raise ModelFileError(
                f"the tensor {name!r} is stored as {info.ggml_type}, which cannot be unpacked here",
                where=str(self.path),
                remedy="Get the model in a format such as Q8_0, Q4_1 or Q4_K_M.",
            ) from None
        return np.ascontiguousarray(values, dtype=np.float32).reshape(info.shape)

    def _tensor(self, name: str) -> TensorInfo:
        if name not in self.tensors:
            raise ModelFileError(
                f"the model has no tensor {name!r}",
                where=str(self.path),
                remedy="The file may be incomplete, or of another architecture than it says.",
            )
        return self.tensors[name]


def read_gguf(path: Path | str) -> GGUFFile:
    """Read a GGUF's header and check the whole file's structure, before any native code sees it.

    Checked are the magic, the version, every length in the header against the bytes that are left,
    every tensor's range against the file's size, and that the sizes it states are believable.

    Raises:
        ModelFileError: no such file, one part of a split model, or no whole and well-formed GGUF.
    """
    path = Path(path)
    _check_name(path)
    size_bytes = _file_size(path)
    if size_bytes == 0:
        raise ModelFileError("this file is empty (0 bytes)", where=str(path), remedy=DOWNLOAD_AGAIN)
    try:
        with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            header = read_header(buffer, path)
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    check_metadata(header.metadata, path)
    _check_split(header.metadata, path)
    check_vocabulary(header.metadata, header.tensors, path)
    return GGUFFile(
        path, header.version, MappingProxyType(header.metadata), MappingProxyType(header.tensors), size_bytes
    )


def _check_name(path: Path) -> None:
    part = _SPLIT_NAME.search(path.name)
    if part:
        raise ModelFileError(
            f"this is part {int(part[1])} of a model that is split into {int(part[2])} files, "
            "which Homespun does not read yet",
            where=str(path),
            remedy="Join the parts with `llama-gguf-split --merge`, or get the model as one file.",
        )


def _file_size(path: Path) -> int:
    try:
        if path.is_dir():
            raise ModelFileError("this is a folder, not a GGUF file", where=str(path))
        return path.stat().st_size
    except FileNotFoundError:
        raise ModelFileError("there is no such file", where=str(path), remedy="Check the path.") from None
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}", where=str(path)) from None


def _check_split(metadata: Mapping[str, Any], path: Path) -> None:
    if isinstance(metadata.get("split.count"), int) and metadata["split.count"] > 1:
        raise ModelFileError(
            f"this is one of {metadata['split.count']} parts of a split model, "
            "which Homespun does not read yet",
            where=str(path),
            remedy="Join the parts with `llama-gguf-split --merge`, or get the model as one file.",
        )
