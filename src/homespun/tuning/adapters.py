"""The adapters of a home: what each was made of, and how it is named, found, renamed and removed.

An adapter is the folder HOME/adapters/NAME as PEFT writes it, with its lineage in tuning.json beside the
weights. A PEFT folder that was put there by hand is an adapter without a lineage.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import prod
from pathlib import Path
from typing import Any, Literal

from homespun.engines.errors import AdapterError
from homespun.models.adapter_path import CONFIG_FILE, LINEAGE_FILE, RECEIPT_FILE, adapter_path, refusal
from homespun.models.errors import ModelFileError, UnknownModelError
from homespun.models.home import Home
from homespun.models.registry import checked_name
from homespun.models.safetensors_file import read_tensor_table
from homespun.models.storage import disk_error, write_atomically

WEIGHTS_FILE = "adapter_model.safetensors"
LINEAGE_VERSION = 1

Status = Literal["running", "stopped", "finished"]


@dataclass(frozen=True)
class BaseFacts:
    """The model that an adapter changes: its name in the home, the digest of its file, and where that was."""

    name: str
    digest: str
    file: str = ""


@dataclass(frozen=True)
class DataFacts:
    """What was learnt: files, their digest, how many examples, how many were held out, their shape."""

    files: tuple[str, ...] = ()
    digest: str = ""
    n_examples: int = 0
    n_heldout: int = 0
    shape: str = ""


@dataclass(frozen=True)
class Losses:
    """Nats a labelled token; None where it was not measured."""

    first: float | None = None
    last: float | None = None
    heldout_first: float | None = None
    heldout_best: float | None = None


@dataclass(frozen=True)
class Lineage:
    """Where an adapter comes from.

    Attributes:
        options: of the run, by field name; of a combined adapter, `parts`: names and weights.
        versions: of the packages that made it.
        started, finished: UTC, ISO 8601; empty while it is not so.
    """

    name: str
    status: Status
    base: BaseFacts
    data: DataFacts = DataFacts()
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str = ""
    losses: Losses = Losses()
    seconds: float = 0.0
    started: str = ""
    finished: str = ""


@dataclass(frozen=True)
class StoredAdapter:
    """An adapter of the home.

    Attributes:
        rank: the largest rank; 0 while no config is written.
        n_parameters: numbers in it; 0 while no weights are written.
        receipt: "holds" or "refused"; empty where there is no receipt.
        lineage: None of a folder that was put there by hand.
    """

    name: str
    path: Path
    rank: int
    n_parameters: int
    size_bytes: int
    receipt: str
    lineage: Lineage | None

    @property
    def status(self) -> str:
        """Of its run; "foreign" without a lineage."""
        return self.lineage.status if self.lineage else "foreign"


def write_lineage(folder: Path, lineage: Lineage) -> None:
    """Replace an adapter's lineage as a whole.

    Raises:
        HomeError: the disk refuses.
    """
    text = json.dumps({"version": LINEAGE_VERSION, **asdict(lineage)}, indent=2, ensure_ascii=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, folder) from error
    write_atomically(folder / LINEAGE_FILE, text + "\n")


def read_lineage(folder: Path) -> Lineage | None:
    """An adapter's lineage; None where it has none.

    Raises:
        AdapterError: a file that cannot be read, or one of a newer Homespun.
    """
    path = folder / LINEAGE_FILE
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["version"] > LINEAGE_VERSION:
            raise AdapterError("a newer Homespun wrote this", where=str(path), remedy="Update Homespun.")
        return Lineage(
            name=str(found["name"]),
            status=found["status"],
            base=BaseFacts(**_known(BaseFacts, found["base"])),
            data=_data(found.get("data", {})),
            losses=Losses(**_known(Losses, found.get("losses", {}))),
            **{
                name: found[name]
                for name in ("options", "versions", "machine", "seconds", "started", "finished")
                if name in found
            },
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdapterError(f"this is no lineage of an adapter ({error})", where=str(path)) from None


def _known(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    return {item.name: given[item.name] for item in fields(kind) if item.name in given}


def _data(given: Mapping[str, Any]) -> DataFacts:
    known = _known(DataFacts, given)
    return DataFacts(**{**known, "files": tuple(known.get("files", ()))})


def adapters(home: Home) -> list[StoredAdapter]:
    """All adapters of a home by name, those that are being made too."""
    folders = sorted(path for path in home.adapters_path.iterdir() if path.is_dir())
    return [
        _stored(path)
        for path in folders
        if not path.name.startswith(".")
        and ((path / CONFIG_FILE).is_file() or (path / LINEAGE_FILE).is_file())
    ]


def find_adapter(home: Home, name: str) -> StoredAdapter:
    """One adapter, by its name in the home or by its folder.

    Raises:
        UnknownModelError: none of that name.
    """
    for folder in (home.adapters_path / name, Path(name).expanduser()):
        if name.strip("./") and folder.is_dir() and (folder / LINEAGE_FILE).is_file():
            return _stored(folder)
    return _stored(adapter_path(home, name))


def new_adapter_path(home: Home, name: str) -> Path:
    """The folder that an adapter of this name will have.

    Raises:
        ModelError: no possible name.
        AdapterError: the name is taken.
    """
    path = home.adapters_path / checked_name(name, "adapter")
    if path.exists():
        raise AdapterError(
            f"there is an adapter {name!r} already",
            remedy=f"Choose another name, or run `homespun adapters remove {name}` first.",
        )
    return path


def rename_adapter(home: Home, name: str, new_name: str) -> StoredAdapter:
    """Give an adapter of the home another name.

    Raises:
        UnknownModelError: none of that name.
        AdapterError: the new name is taken, or the adapter is being made.
    """
    path = _inside(home, name)
    target = new_adapter_path(home, new_name)
    lineage = read_lineage(path)
    _check_idle(name, lineage)
    try:
        path.rename(target)
    except OSError as error:
        raise disk_error(error, target) from error
    if lineage is not None:
        write_lineage(target, Lineage(**{**lineage.__dict__, "name": new_name}))
    return _stored(target)


def remove_adapter(home: Home, name: str) -> None:
    """Delete an adapter of the home. It leaves its name at once, so a kill leaves no half of it.

    Raises:
        UnknownModelError: none of that name.
        HomeError: the disk refuses.
    """
    path = _inside(home, name)
    hidden = path.with_name(f".{path.name}.removed")
    try:
        shutil.rmtree(hidden, ignore_errors=True)
        path.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise disk_error(error, path) from error


def _inside(home: Home, name: str) -> Path:
    found = find_adapter(home, name).path
    if found.parent != home.adapters_path:
        raise UnknownModelError(f"{name!r} is no adapter of this home", where=str(found))
    return found


def _check_idle(name: str, lineage: Lineage | None) -> None:
    if lineage is not None and lineage.status == "running":
        raise AdapterError(
            f"the adapter {name!r} is being made",
            remedy="Wait, or stop its run first; one that was killed goes on with `homespun tune --resume`.",
        )


def _stored(path: Path) -> StoredAdapter:
    try:
        lineage = read_lineage(path)
    except AdapterError:
        lineage = None
    weights = path / WEIGHTS_FILE
    size_bytes = weights.stat().st_size if weights.is_file() else 0
    return StoredAdapter(
        path.name, path, _rank(path), _n_parameters(weights), size_bytes, _verdict(path), lineage
    )


def _verdict(path: Path) -> str:
    if refusal(path) is not None:
        return "refused"
    return "holds" if (path / RECEIPT_FILE).is_file() else ""


def _rank(path: Path) -> int:
    try:
        config = json.loads((path / CONFIG_FILE).read_text("utf-8"))
        return int(max(config["r"], *(config.get("rank_pattern") or {"": 0}).values()))
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _n_parameters(weights: Path) -> int:
    try:
        return sum(prod(tensor.shape) for tensor in read_tensor_table(weights).values())
    except ModelFileError:
        return 0
