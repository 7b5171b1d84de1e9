"""Lets the tests of this folder write the tiny models that the engines' tests use."""

import sys
from pathlib import Path

import pytest

from homespun.retrieval.embedder import FolderEmbedder, open_embedder

sys.path.insert(0, str(Path(__file__).parents[1] / "engines"))


@pytest.fixture(scope="session")
def embedder(starter_embedder: Path, shared_cache: Path) -> FolderEmbedder:
    """all-MiniLM-L6-v2, opened once."""
    return open_embedder(starter_embedder, cache_path=shared_cache / "openvino")
