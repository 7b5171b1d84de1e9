"""How much each word tells in a library, counted once for each state of it."""

from itertools import islice

from homespun.rag.words import WordWeights
from homespun.retrieval.library import Library

#: Passages that are counted at most: more hardly change what is rare.
MAX_PASSAGES = 4000
_KEPT: dict[tuple[str, str], WordWeights] = {}


def library_word_weights(library: Library) -> WordWeights:
    """Document frequencies over the library's passages, or its first 4,000."""
    key = (str(library.path), library.tables.version())
    if key not in _KEPT:
        if len(_KEPT) > 8:
            _KEPT.clear()
        batches = library.tables.all_passages(["keywords"])
        texts = (str(text) for batch in batches for text in batch.column("keywords").to_pylist())
        _KEPT[key] = WordWeights(islice(texts, MAX_PASSAGES))
    return _KEPT[key]
