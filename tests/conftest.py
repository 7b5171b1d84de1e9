"""Fixtures that many rooms share: the real small models, and a fresh home."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def starter_gguf() -> Path:
    """SmolLM2-135M-Instruct, Q4_1."""
    given = os.environ.get("HOMESPUN_TEST_GGUF")
    if given:
        return Path(given)
    from homespun.models.home import Home
    from homespun.models.starter import fetch_starter_model

    return fetch_starter_model(Home.open()).path


@pytest.fixture(scope="session")
def starter_embedder() -> Path:
    """The folder of all-MiniLM-L6-v2."""
    given = os.environ.get("HOMESPUN_TEST_EMBEDDER")
    if given:
        return Path(given)
    from homespun.models.home import Home
    from homespun.models.starter import fetch_starter_embedder

    return fetch_starter_embedder(Home.open())


@pytest.fixture(scope="session")
def gemma_gguf() -> Path:
    """Gemma 3 270M (base), Q4_K_M; too large to fetch unasked."""
    given = os.environ.get("HOMESPUN_TEST_GEMMA")
    if given:
        return Path(given)
    from homespun.models.home import Home

    for model in Home.open().models():
        if model.name == "gemma3-270m" and model.path.is_file():
            return model.path
    pytest.skip("needs Gemma 3 270M: run `homespun models add gemma3-270m` (254 MB)")


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory) -> Path:
    """Imported graphs and measurements of models: made by the first test that needs them, used by the others."""
    return tmp_path_factory.mktemp("shared") / "cache"


@pytest.fixture(scope="session")
def new_starter_home(starter_gguf, starter_embedder, shared_cache, tmp_path_factory):
    """Makes a home with the starter model and embedder, no library, and what was measured of them."""
    from homespun.models.home import Home

    def make(name: str) -> Home:
        root = tmp_path_factory.mktemp(name) / "home"
        root.mkdir()
        shared_cache.mkdir(exist_ok=True)
        (root / "cache").symlink_to(shared_cache, target_is_directory=True)
        home = Home.open(root)
        home.add_model(starter_gguf, "smollm2", reference=True)
        folder = home.embedders_path / "all-minilm-l6-v2"
        folder.symlink_to(starter_embedder, target_is_directory=True)
        home.register_embedder("all-minilm-l6-v2", folder, "of the starter")
        return home

    return make


@pytest.fixture
def home(tmp_path):
    """A home of its own for one test."""
    from homespun.models.home import Home

    return Home.open(tmp_path / "home")
