"""From what a person names (a file, a folder, a model of the home, a hub's repository, a number of parameters)
to a `ModelShape`."""

import re
from dataclasses import replace
from pathlib import Path

from homespun.models.errors import ModelFileError
from homespun.models.folder import read_folder
from homespun.models.found import found_model
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.home import Home
from homespun.models.hub import HubRepo, read_repo
from homespun.models.pull import choose_files
from homespun.models.remote_header import MOST_GGUF_BYTES, read_remote_header
from homespun.planning.errors import PlanError
from homespun.planning.shape import PRECISION_BITS, ModelShape
from homespun.planning.shape_folder import shape_of_folder
from homespun.planning.shape_gguf import shape_of_gguf
from homespun.planning.vision import VisionPart, vision_part

_COUNT = re.compile(r"(\d+(?:[.,]\d+)?)\s*([kmbt]?)", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}


def shape_of_parameters(params: str, precision: str) -> ModelShape:
    """A model of which only a number is known: 176B in bf16 takes 352,000,000,000 bytes.

    Args:
        params: such as "176B", "1.7b" or "270000000".
        precision: such as "bf16", "f32", "int8" or "Q4_0".

    Raises:
        PlanError: no number, or a precision that is not known.
    """
    match = _COUNT.fullmatch(params.strip())
    n_parameters = round(float(match[1].replace(",", ".")) * _FACTORS[match[2].lower()]) if match else 0
    if not 0 < n_parameters <= 10**16:
        raise PlanError(f"{params!r} is no number of parameters", remedy="Write 176B, 1.7B or 270M.")
    bits = PRECISION_BITS.get(precision.lower())
    if bits is None:
        names = ", ".join(PRECISION_BITS)
        raise PlanError(f"precision {precision!r} is not known", remedy=f"Known are: {names}.")
    weight_bytes = round(n_parameters * bits / 8)
    unknown = ("its layers: keys and values, buffers and adapters are not counted",)
    return ModelShape(
        f"{params} parameters in {precision}",
        "",
        "parameters",
        n_parameters,
        n_parameters,
        weight_bytes,
        weight_bytes,
        ((precision, weight_bytes),),
        unknown=unknown,
    )


def find_shape(name: str | None, revision: str = "main") -> tuple[ModelShape, GGUFFile | None]:
    """The shape of a named model, and its file where it is a GGUF on this machine.

    Args:
        name: a path, a model of the home or of Ollama or LM Studio, or hf:owner/repo[:file]; None: the default.
        revision: of a hub's repository.

    Raises:
        FetchError: the hub has no such model, or cannot be reached.
        ModelFileError: a broken file.
        ModelError: no model of that name.
    """
    if name is not None and name.startswith("hf:"):
        return _of_hub(name.removeprefix("hf:"), revision), None
    path = _local_path(name)
    if path.is_dir():
        folder = read_folder(path)
        rows = [(n, t.shape, t.dtype, t.end - t.start) for n, t in folder.tensors.items()]
        return shape_of_folder(path.name, "file", folder.config, rows), None
    file = read_gguf(path)
    rows = [(t.name, t.shape, t.ggml_type, t.size_bytes) for t in file.tensors.values()]
    shape = shape_of_gguf(path.name, "file", file.metadata, rows)
    return _with_vision(shape, _local_vision(path)), file


def _local_path(name: str | None) -> Path:
    if name is not None and Path(name).expanduser().exists():
        return Path(name).expanduser()
    if name is not None and name.count("/") == 1 and not name.startswith(("/", ".", "~")):
        raise PlanError(
            f"there is no file {name}", remedy=f"For a repository of the hub write: homespun plan hf:{name}"
        )
    return (found_model(name) if name else None) or Home.open().model(name).path


def _of_hub(name: str, revision: str) -> ModelShape:
    repo_name, _, wanted = name.partition(":")
    repo = read_repo(repo_name, revision)
    files = choose_files(repo, wanted or None)
    header = read_remote_header(repo, files)
    vision, n_vision_bytes = _hub_vision(repo, header.n_read_bytes)
    rows = [(t.name, t.shape, t.stored_as, t.size_bytes) for t in header.tensors]
    if header.metadata:
        known = header.size_bytes if header.unread_files else 0
        shape = shape_of_gguf(files[0].path, "hub", header.metadata, rows, known)
        shape = _with_vision(shape, vision)
    else:
        known = header.size_bytes if header.unread_files else 0
        shape = shape_of_folder(repo.name, "hub", header.config, rows, known)
    return replace(shape, n_read_bytes=header.n_read_bytes + n_vision_bytes)


def _hub_vision(repo: HubRepo, n_read: int) -> tuple[VisionPart | None, int]:
    """The smallest vision part of a repository (one is enough), and the bytes fetched for it."""
    files = [
        file
        for path, file in repo.files.items()
        if path.rpartition("/")[2].lower().startswith("mmproj") and path.lower().endswith(".gguf")
    ]
    if not files:
        return None, 0
    file = min(files, key=lambda one: one.size_bytes)
    if n_read > MOST_GGUF_BYTES // 2:
        return VisionPart(file.size_bytes), 0
    try:
        header = read_remote_header(repo, [file], MOST_GGUF_BYTES - n_read)
    except ModelFileError:
        return VisionPart(file.size_bytes), 0
    return vision_part(header.metadata, file.size_bytes), header.n_read_bytes


def _local_vision(path: Path) -> VisionPart | None:
    for other in sorted(path.parent.glob("mmproj*.gguf"))[:1]:
        size_bytes = other.stat().st_size
        try:
            return vision_part(read_gguf(other).metadata, size_bytes)
        except ModelFileError:
            return VisionPart(size_bytes)
    return None


def _with_vision(shape: ModelShape, vision: VisionPart | None) -> ModelShape:
    if vision is None:
        return shape
    unknown = (vision.why_unknown,) if vision.why_unknown else ()
    return replace(shape, vision=vision, unknown=(*shape.unknown, *unknown))
