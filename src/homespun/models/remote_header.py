"""The headers of a model that still lies in a hub's repository: what it is, before it is downloaded.

Only the beginnings of the files are asked for, by range requests: less than 16 MB of a GGUF, less than 2 MB of
safetensors. Where these bounds leave a header out, its file counts with its size alone.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homespun.models.errors import FetchError, ModelFileError
from homespun.models.header import Header, TensorInfo, read_header
from homespun.models.hub import HubFile, HubRepo, fetch_range

MOST_GGUF_BYTES = 15_900_000
MOST_SAFETENSORS_BYTES = 1_900_000
# The first request; each further one asks for four times as much.
_FIRST_GGUF_BYTES = 1 << 18
_FIRST_SAFETENSORS_BYTES = 1 << 15
_MOST_CONFIG_BYTES = 500_000


@dataclass(frozen=True)
class RemoteTensor:
    """A tensor that lies elsewhere: its shape (rows first), how it is stored, and its bytes."""

    name: str
    shape: tuple[int, ...]
    stored_as: str
    size_bytes: int


@dataclass(frozen=True)
class RemoteHeader:
    """What the headers say.

    Attributes:
        metadata: of a GGUF; empty for a folder.
        config: config.json of a folder; empty for a GGUF.
        tensors: those whose headers were read.
        size_bytes: of all weight files.
        n_read_bytes: of weight files and config.json, fetched.
        unread_files: weight files whose header the bound left out.
    """

    metadata: Mapping[str, Any]
    config: Mapping[str, Any]
    tensors: tuple[RemoteTensor, ...]
    size_bytes: int
    n_read_bytes: int
    unread_files: tuple[str, ...]


def read_remote_header(
    repo: HubRepo, files: Sequence[HubFile], most_bytes: int = MOST_GGUF_BYTES
) -> RemoteHeader:
    """Read the headers of a model's files.

    Args:
        repo: where they are.
        files: of one model, as `pull.choose_files` gives them.
        most_bytes: of GGUF files, to fetch; safetensors have a bound of their own.

    Raises:
        FetchError: not reachable, or config.json is none.
        ModelFileError: no well-formed header, or one longer than the bound.
    """
    if files[0].path.lower().endswith(".gguf"):
        return _read_gguf(repo, files, most_bytes)
    return _read_folder(repo, files)


def _read_gguf(repo: HubRepo, files: Sequence[HubFile], most_bytes: int) -> RemoteHeader:
    """Of a split model the first file has the metadata, and each the list of its own tensors."""
    n_read, unread = 0, []
    headers: list[Header] = []
    for file in files:
        try:
            header, n_bytes = _gguf_header(repo, file, most_bytes - n_read)
        except _TooLong:
            if not headers:
                raise ModelFileError(
                    f"its header is longer than {most_bytes:,} bytes", where=f"{repo.name}/{file.path}"
                ) from None
            unread.append(file.path)
            continue
        headers.append(header)
        n_read += n_bytes
    tensors = [tensor for header in headers for tensor in header.tensors.values()]
    return RemoteHeader(
        headers[0].metadata,
        {},
        tuple(map(_of_gguf, tensors)),
        sum(file.size_bytes for file in files),
        n_read,
        tuple(unread),
    )


class _TooLong(Exception):
    """The bound ends before the header does."""


def _gguf_header(repo: HubRepo, file: HubFile, most: int) -> tuple[Header, int]:
    """Ask for more until the header is whole."""
    path = Path(repo.name) / file.path
    content, wanted = b"", _FIRST_GGUF_BYTES
    while True:
        end = min(wanted, file.size_bytes, most)
        if end <= len(content):
            raise _TooLong
        content += fetch_range(repo, file, len(content), end)
        try:
            return read_header(content, path, file.size_bytes), len(content)
        except ModelFileError:
            if len(content) >= file.size_bytes or not content.startswith(b"GGUF"):
                raise
        wanted = 4 * len(content)


def _of_gguf(info: TensorInfo) -> RemoteTensor:
    return RemoteTensor(info.name, info.shape, info.ggml_type, info.size_bytes)


def _read_folder(repo: HubRepo, files: Sequence[HubFile]) -> RemoteHeader:
    weights = [file for file in files if file.path.endswith(".safetensors")]
    config_file = repo.files.get("config.json")
    if config_file is None:
        raise FetchError(f"{repo.name} has no config.json", remedy="Look for the model as GGUF.")
    if config_file.size_bytes > _MOST_CONFIG_BYTES:
        raise FetchError(f"config.json of {repo.name} has {config_file.size_bytes:,} bytes, far too many")
    config = _json(fetch_range(repo, config_file, 0, config_file.size_bytes), f"{repo.name}/config.json")
    n_read, unread = config_file.size_bytes, []
    tensors: list[RemoteTensor] = []
    for file in weights:
        found, n_bytes = _safetensors_header(repo, file, MOST_SAFETENSORS_BYTES - n_read)
        n_read += n_bytes
        tensors.extend(found)
        if not found:
            unread.append(file.path)
    size_bytes = sum(file.size_bytes for file in weights)
    return RemoteHeader({}, config, tuple(tensors), size_bytes, n_read, tuple(unread))


def _safetensors_header(repo: HubRepo, file: HubFile, most: int) -> tuple[list[RemoteTensor], int]:
    """The tensors of one file, and the bytes fetched; none where the bound leaves the header out."""
    if most < _FIRST_SAFETENSORS_BYTES:
        return [], 0
    where = f"{repo.name}/{file.path}"
    content = fetch_range(repo, file, 0, min(_FIRST_SAFETENSORS_BYTES, file.size_bytes))
    n_header = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    if not 2 <= n_header <= file.size_bytes - 8:
        raise ModelFileError("no whole safetensors file: its header does not fit into the file", where=where)
    if 8 + n_header > most:
        return [], len(content)
    if 8 + n_header > len(content):
        content += fetch_range(repo, file, len(content), 8 + n_header)
    entries = _json(content[8 : 8 + n_header], where)
    try:
        found = [
            RemoteTensor(
                name,
                tuple(int(size) for size in entry["shape"]),
                str(entry["dtype"]),
                int(entry["data_offsets"][1]) - int(entry["data_offsets"][0]),
            )
            for name, entry in entries.items()
            if name != "__metadata__"
        ]
    except (KeyError, TypeError, ValueError, IndexError):
        raise ModelFileError("the header's list of tensors is not whole", where=where) from None
    return found, len(content)


def _json(content: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise ModelFileError("no valid JSON", where=where, remedy="Report it to the model's maker.") from None
    if not isinstance(value, dict):
        raise ModelFileError("no JSON object", where=where)
    return value
