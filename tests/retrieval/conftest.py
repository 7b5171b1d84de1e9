"""One real embedder for all tests of this room, and a way to write down what a library holds."""

from pathlib import Path
from typing import Any

import pytest

from homespun.models.home import Home
from homespun.retrieval.embedder import FolderEmbedder, open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.store import PASSAGE_COLUMNS


@pytest.fixture(scope="session")
def embedder(starter_embedder: Path, tmp_path_factory: pytest.TempPathFactory) -> FolderEmbedder:
    return open_embedder(starter_embedder, cache_path=tmp_path_factory.mktemp("encoders"), name="minilm")


@pytest.fixture
def library(home: Home, embedder: FolderEmbedder) -> Library:
    return Library.open(home, "notes", embedder, create=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "docs"
    path.mkdir()
    return path


@pytest.fixture
def contents_of():
    return describe


def describe(library: Library) -> list[tuple[Any, ...]]:
    """Documents with their texts and passages, as a fresh library of the same files must have them."""
    passages: dict[str, list[tuple[Any, ...]]] = {}
    columns = [*PASSAGE_COLUMNS, "keywords", "vector"]
    rows = [row for batch in library.tables.all_passages(columns) for row in batch.to_pylist()]
    for row in rows:
        place = (row["number"], row["start"], row["end"], row["page"], tuple(row["headings"]))
        vector = tuple(round(value, 2) for value in row["vector"])
        passages.setdefault(row["content_id"], []).append((*place, row["text"], row["keywords"], vector))
    texts = [row for batch in library.tables.all_texts() for row in batch.to_pylist()]
    named = {document.content_id for document in library.documents()} - {""}
    assert sorted(row["content_id"] for row in texts) == sorted(named), "texts: orphans or doubles"
    assert set(passages) <= named, "passages of no document"
    return [
        (
            document,
            library.text(document.name) if document.content_id else None,
            sorted(passages.get(document.content_id, [])),
        )
        for document in library.documents()
    ]
