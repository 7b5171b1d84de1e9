"""The imported graph on disk, so that the second start does not unpack the GGUF again.

One folder per model digest, graph version, OpenVINO version, window and form. The file is written beside
its place and renamed, so that a killed import leaves nothing half-made.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Any

import openvino as ov
from openvino._offline_transformations import paged_attention_transformation

from homespun.engines.openvino.graph import GraphBuilder
from homespun.engines.openvino.settings import core
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile

GRAPH_VERSION = 1  # raise it whenever the graph that `GraphBuilder` builds changes


def load_or_build(
    file: GGUFFile, config: ModelConfig, window: int, with_bank: bool, cache_path: Path | None
) -> Any:
    """The paged graph of a file, from the cache folder if it is there (None: no cache)."""
    if cache_path is None:
        return make_paged(GraphBuilder(file, config, window, with_bank).build())
    folder = cache_path / _key(file, window, with_bank)
    graph = folder / "graph.xml"
    if not graph.exists():
        _save(GraphBuilder(file, config, window, with_bank).build(), folder)
    return make_paged(core().read_model(graph))


def make_paged(model: Any) -> Any:
    """Turn the graph with states into the paged form, in place."""
    paged_attention_transformation(model, False, False, False, False, False, False)
    return model


def _key(file: GGUFFile, window: int, with_bank: bool) -> str:
    parts = (file.digest, GRAPH_VERSION, ov.get_version(), window, "bank" if with_bank else "base")
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _save(model: Any, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".import-", dir=folder.parent))
    try:
        ov.save_model(model, str(temporary / "graph.xml"), compress_to_fp16=False)
        temporary.rename(folder)
    except OSError:
        if not folder.exists():  # else another process was first, with the same graph
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
