"""What of a passage keywords are looked for in, and how it is written for the keyword index.

The index divides text at spaces and punctuation, folds accents and cuts English endings. Scripts that
are written without spaces get overlapping pairs of characters instead of words, in passages and queries
alike (the bigrams of Chinese and Japanese retrieval; Nie et al., "On the use of words and n-grams for
Chinese information retrieval", 2000).
"""

import re

from homespun.documents.document import Document
from homespun.documents.split import Passage

#: A first line longer than this is no title.
_MAX_TITLE_CHARS = 200

#: Thai, Lao, Burmese, Khmer; kana, Han, and their extensions.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003134f]+"
)


def keyword_query(query: str) -> str:
    """A question as the keyword index gets it."""
    return _UNSPACED.sub(lambda match: f" {' '.join(_pairs(match.group()))} ", _clean(query))


def passage_keywords(title: str, passage: Passage) -> str:
    """All that a passage can be found by: the document's title, the headings above it, its text."""
    lines = [title, *(heading for heading in passage.headings if heading != title), passage.text]
    text = _clean("\n".join(line for line in lines if line))
    # Single characters too, so that a question of one character finds something.
    return _UNSPACED.sub(lambda match: f" {' '.join([*_pairs(match.group()), *match.group()])} ", text)


def document_title(document: Document) -> str:
    """The first heading, else the first line if it is short, else nothing."""
    if document.headings:
        return document.headings[0].text
    first = next((line.strip() for line in document.text.splitlines() if line.strip()), "")
    return first if len(first) <= _MAX_TITLE_CHARS else ""


def _clean(text: str) -> str:
    return text.replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")


def _pairs(run: str) -> list[str]:
    return [run[index : index + 2] for index in range(len(run) - 1)] or [run]
