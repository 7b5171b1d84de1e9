"""Reads the header of a GGUF file, and believes nothing in it before it was checked.

Native readers trust the counts and offsets of a file, so a file that was cut, or is not a GGUF at
all, brings the whole process down. Here every length is compared with the bytes that are left, and
every tensor's range with the size of the file, before anything else opens it.

Layout (GGUF 2 and 3, little-endian): magic, version, number of tensors, number of metadata entries,
the entries, the tensor descriptions, padding up to the alignment, the tensors' bytes.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homespun.models.errors import ModelFileError
from homespun.models.formats import BLOCK_FORMATS, BlockFormat

MAGIC = b"GGUF"
VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32

# No published model comes near these; a header beyond them is damaged, not large.
MAX_TENSORS = 1_000_000
MAX_ENTRIES = 100_000
MAX_KEY_BYTES = 65_535
MAX_NAME_BYTES = 4_096
MAX_DIMENSIONS = 4
MAX_VALUES = 2**48

DOWNLOAD_AGAIN = "Download or copy it again."

#: GGUF value type -> numpy type, for the kinds of fixed size.
_SCALARS: dict[int, np.dtype] = {
    0: np.dtype("<u1"),
    1: np.dtype("<i1"),
    2: np.dtype("<u2"),
    3: np.dtype("<i2"),
    4: np.dtype("<u4"),
    5: np.dtype("<i4"),
    6: np.dtype("<f4"),
    7: np.dtype("?"),
    10: np.dtype("<u8"),
    11: np.dtype("<i8"),
    12: np.dtype("<f8"),
}
_STRING = 8
_ARRAY = 9


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file.

    Attributes:
        name: its name in the file, such as "blk.0.attn_q.weight".
        shape: rows first, as numpy has it (GGUF stores the same numbers the other way round).
        ggml_type: how its numbers are stored, such as "Q4_1".
        offset: bytes from the start of the file.
        size_bytes: bytes that it takes.
        path: the file that holds it, as read from one.
    """

    name: str
    shape: tuple[int, ...]
    ggml_type: str
    offset: int
    size_bytes: int
    path: Path | None = None

    @property
    def n_values(self) -> int:
        """How many numbers the tensor holds."""
        return int(np.prod(self.shape, dtype=object))


@dataclass(frozen=True)
class Header:
    """Everything that a file says before its tensors' bytes."""

    version: int
    metadata: dict[str, Any]
    tensors: dict[str, TensorInfo]


def read_header(buffer: Any, path: Path, file_bytes: int | None = None) -> Header:
    """Parse and check the header of a GGUF.

    Args:
        buffer: the whole file, as a memory map or bytes; or its beginning, where the rest lies elsewhere.
        path: what the errors name.
        file_bytes: size of the whole file; None: the buffer's.

    Raises:
        ModelFileError: the bytes are not a whole, well-formed GGUF.
    """
    _check_magic(buffer, path)
    cursor = _Cursor(buffer, path)
    cursor.take(len(MAGIC))
    version = cursor.number("<I")
    if version not in VERSIONS:
        raise _version_error(version, path)
    n_tensors, n_entries = cursor.number("<Q"), cursor.number("<Q")
    if n_tensors > MAX_TENSORS or n_entries > MAX_ENTRIES:
        raise cursor.damaged(f"its header claims {n_tensors:,} tensors and {n_entries:,} metadata entries")
    metadata: dict[str, Any] = {}
    for _ in range(n_entries):
        key = cursor.text(MAX_KEY_BYTES, "a metadata key")
        if key in metadata:
            raise cursor.damaged(f"the metadata entry {key!r} appears twice")
        metadata[key] = cursor.value(cursor.number("<I"), key)
    descriptions = [_read_description(cursor) for _ in range(n_tensors)]
    alignment = _alignment(metadata, cursor)
    data_start = -(-cursor.position // alignment) * alignment
    if file_bytes is not None:
        cursor.size = file_bytes
    tensors = _place_tensors(descriptions, data_start, alignment, cursor)
    return Header(version, metadata, tensors)


class _Cursor:
    """A position in the file that never runs past its end."""

    def __init__(self, buffer: Any, path: Path) -> None:
        self.buffer = buffer
        self.path = path
        self.size = len(buffer)
        self.position = 0

    def damaged(self, why: str) -> ModelFileError:
        return ModelFileError(
            f"this GGUF file is damaged: {why}", where=str(self.path), remedy=DOWNLOAD_AGAIN
        )

    def cut(self, needed: int) -> ModelFileError:
        return ModelFileError(
            f"this GGUF file is cut off: it has {self.size:,} bytes and needs at least {needed:,}",
            where=str(self.path),
            remedy=DOWNLOAD_AGAIN,
        )

    def take(self, n_bytes: int) -> int:
        """Step over `n_bytes`; returns where they start."""
        start = self.position
        if start + n_bytes > self.size:
            raise self.cut(start + n_bytes)
        self.position = start + n_bytes
        return start

    def number(self, form: str) -> int:
        return int(struct.unpack_from(form, self.buffer, self.take(struct.calcsize(form)))[0])

    def text(self, limit: int, what: str) -> str:
        length = self.number("<Q")
        if length > limit:
            raise self.damaged(f"{what} claims to be {length:,} bytes long")
        start = self.take(length)
        try:
            return str(self.buffer[start : start + length], "utf-8")
        except UnicodeDecodeError:
            raise self.damaged(f"{what} is not UTF-8 text") from None

    def value(self, kind: int, key: str) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.array(key, depth=1)
        scalar = _SCALARS.get(kind)
        if scalar is None:
            raise self.damaged(f"the metadata entry {key!r} has the unknown type {kind}")
        start = self.take(scalar.itemsize)
        return np.frombuffer(self.buffer, scalar, 1, start)[0].item()

    def string(self) -> str:
        start = self.take(self.number("<Q"))
        return str(self.buffer[start : self.position], "utf-8", "replace")

    def array(self, key: str, depth: int) -> Any:
        kind, count = self.number("<I"), self.number("<Q")
        if kind == _STRING:
            return self.strings(count)
        if kind == _ARRAY:
            if depth > 2:
                raise self.damaged(f"the metadata entry {key!r} nests arrays too deeply")
            if count * 12 > self.size - self.position:
                raise self.cut(self.position + count * 12)
            return [self.array(key, depth + 1) for _ in range(count)]
        scalar = _SCALARS.get(kind)
        if scalar is None:
            raise self.damaged(f"the metadata entry {key!r} has the unknown type {kind}")
        start = self.take(count * scalar.itemsize)
        return np.frombuffer(self.buffer, scalar, count, start).copy()

    def strings(self, count: int) -> list[str]:
        """Hundreds of thousands of them in one vocabulary: hence the plain loop."""
        if count * 8 > self.size - self.position:
            raise self.cut(self.position + count * 8)
        buffer, size, position = self.buffer, self.size, self.position
        unpack = struct.Struct("<Q").unpack_from
        found: list[str] = []
        for _ in range(count):
            if position + 8 > size:
                raise self.cut(position + 8)
            end = position + 8 + unpack(buffer, position)[0]
            if end > size:
                raise self.cut(end)
            found.append(str(buffer[position + 8 : end], "utf-8", "replace"))
            position = end
        self.position = position
        return found


def _read_description(cursor: _Cursor) -> tuple[str, tuple[int, ...], BlockFormat, int]:
    name = cursor.text(MAX_NAME_BYTES, "a tensor's name")
    n_dimensions = cursor.number("<I")
    if n_dimensions > MAX_DIMENSIONS:
        raise cursor.damaged(f"the tensor {name!r} claims {n_dimensions:,} dimensions")
    sizes = [cursor.number("<Q") for _ in range(n_dimensions)]
    n_values = int(np.prod(sizes, dtype=object)) if sizes else 1
    if n_values == 0 or n_values > MAX_VALUES:
        raise cursor.damaged(f"the tensor {name!r} claims {n_values:,} values")
    while len(sizes) > 2 and sizes[-1] == 1:  # ggml counts them or not, as it likes
        sizes.pop()
    kind = cursor.number("<I")
    block = BLOCK_FORMATS.get(kind)
    if block is None:
        raise ModelFileError(
            f"the tensor {name!r} is stored in a format with the number {kind}, which is not known",
            where=str(cursor.path),
            remedy="Get the model in a format such as Q8_0, Q4_1 or Q4_K_M.",
        )
    if (sizes[0] if sizes else 1) % block.n_values:
        raise cursor.damaged(f"the rows of {name!r} ({sizes[0]:,} wide) are not whole blocks of {block.name}")
    return name, tuple(reversed(sizes)), block, cursor.number("<Q")


def _alignment(metadata: dict[str, Any], cursor: _Cursor) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or not 8 <= alignment <= 2**20 or alignment & (alignment - 1):
        raise cursor.damaged(f"its alignment is {alignment!r}, which is not a power of two")
    return alignment


def _place_tensors(
    descriptions: list[tuple[str, tuple[int, ...], BlockFormat, int]],
    data_start: int,
    alignment: int,
    cursor: _Cursor,
) -> dict[str, TensorInfo]:
    """Turn the descriptions into ranges of the file, all of them inside it and apart."""
    tensors: dict[str, TensorInfo] = {}
    for name, shape, block, offset in descriptions:
        if name in tensors:
            raise cursor.damaged(f"the tensor {name!r} appears twice")
        if offset % alignment:
            raise cursor.damaged(f"the tensor {name!r} does not start at a multiple of {alignment}")
        size_bytes = int(np.prod(shape, dtype=object)) // block.n_values * block.size_bytes
        tensors[name] = TensorInfo(name, shape, block.name, data_start + offset, size_bytes, cursor.path)
    end = data_start
    for info in sorted(tensors.values(), key=lambda info: info.offset):
        if info.offset < end:
            raise cursor.damaged(f"the tensor {info.name!r} overlaps the one before it")
        end = info.offset + info.size_bytes
    if tensors and end > cursor.size:
        raise cursor.cut(end)
    return tensors


def _version_error(version: int, path: Path) -> ModelFileError:
    if int.from_bytes(version.to_bytes(4, "little"), "big") in VERSIONS:
        return ModelFileError(
            "this GGUF file was written for big-endian machines",
            where=str(path),
            remedy="Get the little-endian file of the same model.",
        )
    return ModelFileError(
        f"GGUF version {version} is not known (known: 2 and 3)",
        where=str(path),
        remedy="Get a newer file of the same model, or update Homespun.",
    )


_IMPOSTORS: tuple[tuple[Callable[[bytes], object], str, str], ...] = (
    (
        lambda head: head.startswith(b"version https://git-lfs"),
        "this is a Git LFS pointer, a small text that stands for the model, not the model itself",
        "Run `git lfs pull` in that repository, or download the file itself.",
    ),
    (
        lambda head: re.match(rb"(?is)\s*(\xef\xbb\xbf)?\s*<(!doctype|html|\?xml|head|body)", head),
        "this is a web page, not a model",
        "Use the link that downloads the file itself; the page may ask you to sign in first.",
    ),
    (
        lambda head: head[:4] in (b"ggml", b"lmgg", b"tjgg", b"fmgg", b"algg"),
        "this is a model in the older GGML format, which is not read any more",
        "Get the model as GGUF.",
    ),
    (lambda head: head.startswith(b"PK\x03\x04"), "this is a zip archive, not a GGUF model", "Unpack it."),
    (
        lambda head: not head.strip(b"\0"),
        "this file begins with zeros only, as after a download that never finished",
        DOWNLOAD_AGAIN,
    ),
    (
        lambda head: head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**31,
        "this looks like a safetensors file, not a GGUF",
        "Convert the model to GGUF, or get it as GGUF.",
    ),
)


def _check_magic(buffer: Any, path: Path) -> None:
    if len(buffer) == 0:
        raise ModelFileError("this file is empty (0 bytes)", where=str(path), remedy=DOWNLOAD_AGAIN)
    head = bytes(buffer[:4096])
    if head.startswith(MAGIC):
        return
    for matches, what, remedy in _IMPOSTORS:
        if matches(head):
            raise ModelFileError(what, where=str(path), remedy=remedy)
    if MAGIC.startswith(head):
        raise ModelFileError(
            f"this GGUF file is cut off: it has {len(head)} bytes", where=str(path), remedy=DOWNLOAD_AGAIN
        )
    raise ModelFileError(
        f"this is not a GGUF model: it begins with {head[:4]!r} instead of {MAGIC!r}",
        where=str(path),
        remedy="Check that the right file was given.",
    )
