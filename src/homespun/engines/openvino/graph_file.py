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

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from openvino._offline_transformations import paged_attention_transformation

from homespun.engines.errors import EngineError
from homespun.engines.openvino.graph import GraphBuilder
from homespun.engines.openvino.settings import core
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile

GRAPH_VERSION = 1  # raise it whenever the graph that `GraphBuilder` builds changes
_KEY_CACHE, _SLIDING_WINDOW = 3, 10  # inputs of the paged attention operation
_IMPORT = ".import-"
_ABANDONED_S = 3600  # no import takes so long


def load_or_build(
    file: GGUFFile, config: ModelConfig, window: int, with_bank: bool, cache_path: Path | None
) -> Any:
    """The paged graph of a file, from the cache folder if it is there (None: no cache)."""
    if cache_path is None:
        return make_paged(GraphBuilder(file, config, window, with_bank).build(), config)
    folder = cache_path / _key(file, window, with_bank)
    kept = _read(folder)
    if kept is None:
        model = GraphBuilder(file, config, window, with_bank).build()
        _save(model, folder)
        kept = _read(folder)  # what is read from disk takes no memory of its own
        if kept is None:  # a disk that is full or read-only costs the quick start and nothing else
            kept = model
    return make_paged(kept, config)


def make_paged(model: Any, config: ModelConfig) -> Any:
    """Turn the graph with states into the paged form, in place.

    The pass finds a sliding window only in masks of the shapes that it knows, and else leaves it out without
    a word. So the windows are set here, layer by layer.

    Raises:
        EngineError: a layer's window did not find its place.
    """
    paged_attention_transformation(model, False, False, False, False, False, False)
    wanted = {layer for layer, is_local in enumerate(config.local_layers) if is_local}
    for node in model.get_ops():
        if node.get_type_name() == "PagedAttentionExtension":
            layer = int(node.input(_KEY_CACHE).get_source_output().get_any_name().rsplit(".", 1)[1])
            if layer in wanted:
                window = ops.constant(np.int32(config.sliding_window or 0))
                node.input(_SLIDING_WINDOW).replace_source_output(window.output(0))
                wanted.discard(layer)
    if wanted:
        raise EngineError(f"OpenVINO has no place for the sliding window of layer {min(wanted)}")
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
