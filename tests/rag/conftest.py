"""A small library, the real embedder and the real small model, each opened once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from homespun.engines.engine import Engine, EngineOptions
from homespun.models.home import Home
from homespun.retrieval.embedder import FolderEmbedder, open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest

HANDBOOK = """# Wound care

## A fresh cut

Rinse with tap water for at least five minutes. A cut may be closed up to 12 hours after the injury, and on \
the face up to 24 hours.

## Taking stitches out

| Place | Adults | Children |
| --- | --- | --- |
| face | 5 days | 4 days |
| scalp | 8 days | 7 days |

## Bites

Cat bites go deep, so all of them get antibiotics. Bites on the hand are never closed.
"""
OFFICE = """# Opening hours

The clinic is open from 08:00 to 18:00 on weekdays. On Saturdays it is closed. Dr Okafor sees patients on \
Tuesday mornings. A lost yellow booklet costs €6 to replace.

# Parking

There are 14 places in the yard, and patients may stay for 90 minutes. Parkwell watches the yard.
"""


@pytest.fixture(scope="session")
def embedder(starter_embedder: Path) -> FolderEmbedder:
    """all-MiniLM-L6-v2 on OpenVINO."""
    return open_embedder(starter_embedder)


@pytest.fixture(scope="session")
def engine(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """SmolLM2 on OpenVINO, exact: no measuring of precisions at the start."""
    from homespun.engines.openvino.engine import OpenVINOEngine

    cache_path = tmp_path_factory.mktemp("engine")
    with OpenVINOEngine(
        starter_gguf, EngineOptions(mode="exact", window=1024), cache_path=cache_path
    ) as opened:
        yield opened


@pytest.fixture(scope="session")
def library(embedder: FolderEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Two short documents."""
    root = tmp_path_factory.mktemp("library")
    documents = root / "documents"
    documents.mkdir()
    (documents / "wounds.md").write_text(HANDBOOK, encoding="utf-8")
    (documents / "office.md").write_text(OFFICE, encoding="utf-8")
    made = Library.open(Home.open(root / "home"), "handbook", embedder, create=True)
    ingest(made, [documents])
    return made
