"""Lets the tests of this folder write the tiny models of the engines' tests and use its helper modules."""

import sys
from collections.abc import Callable
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
def measured_home(new_starter_home: Callable[[str], Home]) -> Home:
    """The starter model and embedder, and no library yet."""
    return new_starter_home("measured")
