"""How much each word tells in a library, counted once for each state of it."""

from homespun.rag.words import WordWeights
from homespun.retrieval.library import Library

#: Passages that are counted at most: more hardly change what is rare.
MAX_PASSAGES = 4000
_KEPT: dict[tuple[str, int], WordWeights] = {}


def library_word_weights(library: Library) -> WordWeights:
    """Document frequencies over the library's passages, or its first 4,000."""
    table = library.tables.passages
    key = (str(library.path), int(table.version))
    if key not in _KEPT:
        rows = table.search().select(["keywords"]).limit(MAX_PASSAGES).to_arrow()
        if len(_KEPT) > 8:
            _KEPT.clear()
        _KEPT[key] = WordWeights(str(text) for text in rows["keywords"].to_pylist())
    return _KEPT[key]
