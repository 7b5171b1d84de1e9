"""Lets the tests of this folder write the tiny models of the engines' tests and use its helper modules."""

import sys
from pathlib import Path

import pytest

from homespun.models.home import Home
from homespun.retrieval.embedder import FolderEmbedder, open_embedder

sys.path[:0] = [str(Path(__file__).parents[1] / "engines"), str(Path(__file__).parent)]


@pytest.fixture(scope="session")
def embedder(starter_embedder: Path, shared_cache: Path) -> FolderEmbedder:
    """all-MiniLM-L6-v2, opened once."""
    return open_embedder(starter_embedder, cache_path=shared_cache / "openvino")


@pytest.fixture(scope="session")
def measured_home(
    starter_gguf: Path, starter_embedder: Path, shared_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Home:
    """The starter model and embedder, and no library yet."""
    root = tmp_path_factory.mktemp("measured") / "home"
    root.mkdir()
    shared_cache.mkdir(exist_ok=True)
    (root / "cache").symlink_to(shared_cache, target_is_directory=True)
    home = Home.open(root)
    home.add_model(starter_gguf, "smollm2", reference=True)
    folder = home.embedders_path / "all-minilm-l6-v2"
    folder.symlink_to(starter_embedder, target_is_directory=True)
    home.register_embedder("all-minilm-l6-v2", folder, "of the starter")
    return home
