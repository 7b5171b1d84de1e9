"""The imported graph on disk, so that the second start does not unpack the GGUF again.

One folder per model digest, graph version, OpenVINO version, window and form. The file is written beside
its place and renamed, so that a killed import leaves nothing half-made.
"""

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import openvino as ov
from openvino._offline_transformations import paged_attention_transformation

from homespun.engines.openvino.graph import GraphBuilder
from homespun.engines.openvino.settings import core
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile

GRAPH_VERSION = 1  # raise it whenever the graph that `GraphBuilder` builds changes
_IMPORT = ".import-"
_ABANDONED_S = 3600  # no import takes so long


def load_or_build(
    file: GGUFFile, config: ModelConfig, window: int, with_bank: bool, cache_path: Path | None
) -> Any:
    """The paged graph of a file, from the cache folder if it is there (None: no cache)."""
    if cache_path is None:
        return make_paged(GraphBuilder(file, config, window, with_bank).build())
    folder = cache_path / _key(file, window, with_bank)
    kept = _read(folder)
    if kept is None:
        model = GraphBuilder(file, config, window, with_bank).build()
        _save(model, folder)
        kept = _read(folder)  # what is read from disk takes no memory of its own
        if kept is None:  # a disk that is full or read-only costs the quick start and nothing else
            kept = model
    return make_paged(kept)


def make_paged(model: Any) -> Any:
    """Turn the graph with states into the paged form, in place."""
    paged_attention_transformation(model, False, False, False, False, False, False)
    return model


def _key(file: GGUFFile, window: int, with_bank: bool) -> str:
    parts = (file.digest, GRAPH_VERSION, ov.get_version(), window, "bank" if with_bank else "base")
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _read(folder: Path) -> Any:
    """The kept graph; None where there is none, or one that a power cut or a full disk damaged."""
    if not folder.exists():
        return None
    try:
        n_bytes = int((folder / "size").read_text())
        if (folder / "graph.bin").stat().st_size == n_bytes:
            return core().read_model(folder / "graph.xml")
    except (OSError, ValueError, RuntimeError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None


def _save(model: Any, folder: Path) -> None:
    """Keep a graph if the disk lets us; another process may be first, with the same one."""
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=_IMPORT, dir=folder.parent))
        ov.save_model(model, str(temporary / "graph.xml"), compress_to_fp16=False)
        (temporary / "size").write_text(str((temporary / "graph.bin").stat().st_size))
        temporary.rename(folder)
    except (OSError, RuntimeError):
        pass
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """What imports that were killed have left, as large as the model each time."""
    for path in folder.glob(f"{_IMPORT}*"):
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)
