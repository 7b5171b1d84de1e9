"""Follow-up questions: what to search for when a question leans on the ones before it.

No model rewrites anything: the words that the follow-up leaves out are taken from the earlier questions,
and the query that was searched is shown.
"""

import re
from collections.abc import Sequence

from homespun.models.template import Message
from homespun.rag.words import content_words

_LEANS = re.compile(
    r"^\s*(?:and|but|or|so|also|then|what about|how about|what if|even|same|else|why|why not|since when|until when|"
    r"really|are you sure)\b"
    r"|\b(?:it|its|they|them|their|theirs|he|him|his|she|her|hers|this|that|these|those|there|then|one|ones|former|"
    r"latter|same|instead|otherwise|else)\b",
    re.IGNORECASE,
)
#: A question with fewer words of its own than this may lean on the one before.
_FEW_WORDS = 3
#: Words taken over at most; more would drown the follow-up's own.
_MAX_TAKEN_WORDS = 12


def standalone_query(question: str, history: Sequence[Message]) -> str:
    """The question with the words that it leaves out, for searching.

    Args:
        question: the new question.
        history: the turns before it, oldest first; only the person's own are looked at.

    Returns:
        The question itself when it stands alone, else the question and the telling words of the
        questions that it leans on, in their order.
    """
    carried = ""
    for message in history:
        if message.role == "user":
            carried = _joined(message.content, carried)
    return _joined(question, carried)


def leans_on_earlier(question: str) -> bool:
    """Whether a question cannot be searched by itself: a pronoun, a beginning like "and", or hardly a word."""
    return len(content_words(question)) < _FEW_WORDS or _LEANS.search(question) is not None


def _joined(question: str, earlier: str) -> str:
    if not earlier or not leans_on_earlier(question):
        return question
    own = {word.term for word in content_words(question)}
    taken: list[str] = []
    for word in content_words(earlier):
        if word.term not in own:
            own.add(word.term)
            taken.append(word.text)
    return f"{question} {' '.join(taken[:_MAX_TAKEN_WORDS])}" if taken else question
