"""Follow-up questions: what to search for when a question leans on the ones before it.

No model rewrites anything: the words that the follow-up leaves out are taken from the earlier questions,
and the query that was searched is shown.
"""

import re
from collections.abc import Sequence

from homespun.models.template import Message
from homespun.rag.presence import WordVectors
from homespun.rag.words import Word, content_words

_LEANS = re.compile(
    r"^\s*(?:and|but|or|so|also|then|what about|how about|what if|even|same|else|why|why not|since when|until when|"
    r"really|are you sure)\b"
    r"|\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|there|then|one|ones|former|"
    r"latter|same|instead|otherwise|else)\b",
    re.IGNORECASE,
)
#: A question with fewer words of its own than this may lean on the one before.
_FEW_WORDS = 3
#: A word of the follow-up this near in meaning to an earlier one stands instead of it: face for scalp.
_REPLACES_COSINE = 0.38
#: Words taken over at most; more would drown the follow-up's own.
_MAX_TAKEN_WORDS = 12


def standalone_query(question: str, history: Sequence[Message], vectors: WordVectors | None = None) -> str:
    """The question with the words that it leaves out, for searching.

    Args:
        question: the new question.
        history: the turns before it, oldest first; only the person's own are looked at.
        vectors: to see which earlier word the follow-up replaces; None: all are taken over.

    Returns:
        The question itself when it stands alone, else the question and the telling words of the
        questions that it leans on, in their order.
    """
    carried = ""
    for message in history:
        if message.role == "user":
            carried = _joined(message.content, carried, vectors)
    return _joined(question, carried, vectors)


def leans_on_earlier(question: str) -> bool:
    """Whether a question cannot be searched by itself: a pronoun, a beginning like "and", or hardly a word."""
    return len(content_words(question)) < _FEW_WORDS or _LEANS.search(question) is not None


def _joined(question: str, earlier: str, vectors: WordVectors | None) -> str:
    if not earlier or not leans_on_earlier(question):
        return question
    own = {word.term: word for word in content_words(question)}
    taken = {word.term: word for word in content_words(earlier) if word.term not in own}
    if vectors is not None:
        for term in _replaced(list(own.values()), list(taken.values()), vectors):
            taken.pop(term, None)
    words = [word.text for word in taken.values()][:_MAX_TAKEN_WORDS]
    return f"{question} {' '.join(words)}" if words else question


def _replaced(own: Sequence[Word], earlier: Sequence[Word], vectors: WordVectors) -> set[str]:
    """The earlier word nearest to each new one, where it is near enough to be its counterpart."""
    if not own or not earlier:
        return set()
    cosines = vectors.of([word.text for word in own]) @ vectors.of([word.text for word in earlier]).T
    nearest = cosines.argmax(axis=1)
    return {
        earlier[column].term for row, column in enumerate(nearest) if cosines[row, column] >= _REPLACES_COSINE
    }
