"""One GGUF file: what it says about itself, and its tensors.

`read_gguf` is the only way to a `GGUFFile`, and it checks the file first (see `header.py`), so
whoever holds a `GGUFFile` may hand its path to native code.
"""

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from homespun.models.digest import file_digest
from homespun.models.errors import ModelFileError
from homespun.models.header import DOWNLOAD_AGAIN, Header, TensorInfo, read_header
from homespun.models.metadata_check import check_metadata, check_vocabulary
from homespun.models.split import check_part, check_parts_there, joined_digest, part_paths

__all__ = ["GGUFFile", "TensorInfo", "read_gguf"]


@dataclass(frozen=True)
class GGUFFile:
    """A GGUF file whose header was read and found whole.

    Attributes:
        path: where it is; of a split model, the first part.
        version: of the GGUF format, 2 or 3.
        metadata: all entries; arrays of numbers are numpy arrays, arrays of text are lists.
        tensors: all tensors by name, in the file's order.
        size_bytes: of all parts together.
        paths: all parts; one, unless the model is split.
    """

    path: Path
    version: int
    metadata: Mapping[str, Any]
    tensors: Mapping[str, TensorInfo]
    size_bytes: int
    paths: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.paths:
            object.__setattr__(self, "paths", (self.path,))

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
        """SHA-256 of the whole file, in hex; remembered under the file's size and time of change.

        Of a split model: that of its parts' digests.
        """
        return joined_digest([file_digest(path) for path in self.paths])

    @cached_property
    def _bytes(self) -> dict[Path, np.ndarray]:
        return {path: np.memmap(path, dtype=np.uint8, mode="r") for path in self.paths}

    def data(self, name: str) -> np.ndarray:
        """The stored bytes of a tensor, still in its blocks, mapped from the file.

        Returns:
            uint8, the tensor's shape with the last axis in bytes instead of values; not writable.

        Raises:
            ModelFileError: there is no such tensor.
        """
        info = self._tensor(name)
        stored = self._bytes[info.path or self.path][info.offset : info.offset + info.size_bytes]
        return stored.reshape((*info.shape[:-1], -1))

    def dequantize(self, name: str, rows: np.ndarray | None = None) -> np.ndarray:
        """The values of a tensor as float32, rows first, exactly as ggml defines them.

        Args:
            rows: numbers of the rows wanted, of a matrix; None: all.

        Raises:
            ModelFileError: there is no such tensor, or its format has no exact reader here.
        """
        import gguf
        from gguf import quants

        info = self._tensor(name)
        try:
            kind = gguf.GGMLQuantizationType[info.ggml_type]
            data = np.asarray(self.data(name))
            values = quants.dequantize(data if rows is None else data[rows], kind)
        except (KeyError, NotImplementedError):
            raise ModelFileError(
                f"the tensor {name!r} is stored as {info.ggml_type}, which cannot be unpacked here",
                where=str(self.path),
                remedy="Get the model in a format such as Q8_0, Q4_1 or Q4_K_M.",
            ) from None
        shape = info.shape if rows is None else (len(rows), *info.shape[1:])
        return np.ascontiguousarray(values, dtype=np.float32).reshape(shape)

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

    Any part of a split model stands for all of it: the parts are found by their names.

    Checked are the magic, the version, every length in the header against the bytes that are left,
    every tensor's range against the file's size, and that the sizes it states are believable.

    Raises:
        ModelFileError: no such file, a missing part, or no whole and well-formed GGUF.
    """
    paths = part_paths(Path(path))
    check_parts_there(paths)
    read = [_read_part(part) for part in paths]
    headers = [header for header, _ in read]
    for number, (header, part) in enumerate(zip(headers, paths, strict=True)):
        check_part(header.metadata, number, len(paths), part)
    metadata, tensors = headers[0].metadata, _joined_tensors(headers, paths)
    check_metadata(metadata, paths[0])
    check_vocabulary(metadata, tensors, paths[0])
    return GGUFFile(
        paths[0],
        headers[0].version,
        MappingProxyType(metadata),
        MappingProxyType(tensors),
        sum(size_bytes for _, size_bytes in read),
        paths,
    )


def _read_part(path: Path) -> tuple[Header, int]:
    """The header of one file, and the file's size in bytes."""
    size_bytes = _file_size(path)
    if size_bytes == 0:
        raise ModelFileError("this file is empty (0 bytes)", where=str(path), remedy=DOWNLOAD_AGAIN)
    try:
        with path.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return read_header(buffer, path), size_bytes
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}", where=str(path)) from None


def _joined_tensors(headers: Sequence[Header], paths: Sequence[Path]) -> dict[str, TensorInfo]:
    """The tensors of all parts.

    Raises:
        ModelFileError: a tensor is in two parts, or there are not as many as the first part says.
    """
    tensors: dict[str, TensorInfo] = {}
    for header, path in zip(headers, paths, strict=True):
        twin = next((name for name in header.tensors if name in tensors), None)
        if twin is not None:
            raise ModelFileError(
                f"the tensor {twin!r} is in an earlier part of the model too",
                where=str(path),
                remedy=DOWNLOAD_AGAIN,
            )
        tensors.update(header.tensors)
    stated = headers[0].metadata.get("split.tensors.count")
    if len(paths) > 1 and stated is not None and stated != len(tensors):
        raise ModelFileError(
            f"its parts hold {len(tensors):,} tensors together, and the first one says {stated!r}",
            where=str(paths[0]),
            remedy=DOWNLOAD_AGAIN,
        )
    return tensors


def _file_size(path: Path) -> int:
    try:
        if path.is_dir():
            raise ModelFileError("this is a folder, not a GGUF file", where=str(path))
        return path.stat().st_size
    except FileNotFoundError:
        raise ModelFileError("there is no such file", where=str(path), remedy="Check the path.") from None
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
