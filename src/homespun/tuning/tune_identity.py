"""When two starts are the same run, and when a name is free."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from homespun.models.adapter_path import CONFIG_FILE
from homespun.models.home import Home
from homespun.tuning.adapters import read_lineage
from homespun.tuning.base import Base
from homespun.tuning.errors import TuneError
from homespun.tuning.grounded import GroundOptions
from homespun.tuning.options import TuneOptions
from homespun.tuning.prepare import Prepared

#: Options that another start may change without being another run.
_FREE = ("max_steps", "save_every", "samples", "threads", "evaluate_every", "receipt", "forgetting")


def fingerprint_of(base: Base, prepared: Prepared, options: TuneOptions, grounding: GroundOptions) -> str:
    """What makes two starts the same run: base, encoded data, and every option that changes a number."""
    fixed = {key: value for key, value in asdict(options).items() if key not in _FREE}
    parts = [
        base.file.digest,
        json.dumps(fixed, sort_keys=True),
        json.dumps(asdict(grounding), sort_keys=True),
    ]
    digest = hashlib.sha256("\n".join(parts).encode())
    for example in (*prepared.train, None, *prepared.heldout):
        digest.update(repr(example and (example.token_ids, example.labelled)).encode())
    return digest.hexdigest()


def check_name(folder: Path, fingerprint: str) -> None:
    """A name is free, or its unfinished run is this very one.

    Raises:
        TuneError: it is taken.
    """
    if not folder.exists():
        return
    lineage = read_lineage(folder)
    if lineage is None and not (folder / CONFIG_FILE).exists():
        return  # a kill left the bare folder
    if lineage is None or lineage.status == "finished":
        what = f"there is an adapter {folder.name!r} already"
    elif lineage.options.get("fingerprint") == fingerprint:
        return
    else:
        what = f"an unfinished run {folder.name!r} used other data, options or another model"
    raise TuneError(
        what, remedy=f"Choose another --name, or run `homespun adapters remove {folder.name}` first."
    )


def name_is_taken(home: Home, folder: Path) -> bool:
    """Whether another model has the run's name already; its own, registered just before a kill, is no other."""
    return read_lineage(folder) is None and any(model.name == folder.name for model in home.models())


def package_versions() -> dict[str, str]:
    """Versions of what decides a run's numbers."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("homespun", "torch", "gguf", "safetensors"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
