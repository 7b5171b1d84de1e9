"""The model that an adapter belongs to, found by its digest."""

from pathlib import Path

from homespun.engines.load import model_path
from homespun.models.adapter_path import check_adapter_base
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.tuning.adapters import StoredAdapter
from homespun.tuning.errors import TuneError


def base_path(home: Home, adapter: StoredAdapter, model: str | None = None) -> Path:
    """The file of an adapter's base: the one that is named, else the one of its lineage, else the default model.

    Raises:
        UnknownModelError: no such model.
        ModelError: the named one is another model.
        TuneError: the base is nowhere.
    """
    lineage = adapter.lineage
    if model is not None or lineage is None or not lineage.base.digest:
        path = model_path(home, model)
        check_adapter_base(adapter.path, read_gguf(path).digest, path.name)
        return path
    for known in home.models():
        if known.digest == lineage.base.digest and known.path.is_file():
            return known.path
    path = Path(lineage.base.file)
    if lineage.base.file and path.is_file() and read_gguf(path).digest == lineage.base.digest:
        return path
    raise TuneError(
        f"the model that {adapter.name!r} was tuned on is no longer here: {lineage.base.name} "
        f"(SHA-256 {lineage.base.digest[:12]}…)",
        remedy="Add it again with `homespun models add FILE.gguf`, or name its file with --model.",
    )
