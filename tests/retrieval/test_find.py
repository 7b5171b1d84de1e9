"""A search from names alone, reranked as asked."""

import pytest

from homespun.retrieval.errors import LibraryError, RetrievalError
from homespun.retrieval.find import RerankOptions, find_passages
from homespun.retrieval.search import SearchOptions
from homespun.retrieval.sync import ingest

TEXTS = {
    "a.md": "# Fees\n\nA visit to the practice costs 40 francs, and a call costs 15.",
    "b.md": "# Hours\n\nThe practice is open from eight to five, on Fridays until noon.",
    "c.md": "# Parking\n\nVisitors leave their cars behind the house; it costs nothing.",
}


@pytest.fixture
def filled(home, embedder, library, folder, starter_embedder):
    """The library `notes`, and a home that knows its embedder."""
    registered = home.embedders_path / "minilm"
    registered.symlink_to(starter_embedder, target_is_directory=True)
    home.register_embedder("minilm", registered, "for a test")
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    ingest(library, [folder])
    return home


def test_auto_reranks_by_token_states_and_off_does_not(filled):
    query = "What does a visit cost?"
    hits = find_passages(filled, "notes", query)
    assert hits[0].passage.document == "a.md"
    assert all("late" in hit.stages for hit in hits)
    plain = find_passages(filled, "notes", query, SearchOptions(n_hits=2), RerankOptions("off"))
    assert len(plain) == 2 and all("late" not in hit.stages for hit in plain)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_what_is_not_there_is_refused(filled, tmp_path):
    with pytest.raises(RetrievalError, match="no reranker 'magic'"):
        find_passages(filled, "notes", "fees", reranking=RerankOptions("late,magic"))
    with pytest.raises(LibraryError):
        find_passages(filled, "nothing", "fees")
