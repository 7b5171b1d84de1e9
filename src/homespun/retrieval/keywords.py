"""What of a passage keywords are looked for in, and a question's words for the keyword index."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from homespun.documents.document import Document
from homespun.documents.split import Passage
from homespun.retrieval.analysis import analysed, codes, latin_language
from homespun.retrieval.stop_words import STOP_WORDS

if TYPE_CHECKING:  # it loads native libraries, which listing a library does not need
    from homespun.retrieval.store import Store

#: A first line longer than this is no title.
_MAX_TITLE_CHARS = 200
#: A passage's own words and headings count so many times as the words of the passages beside it: a question's
#: words are often spread over a few sentences. Chosen on training questions of two sets, BM25 and vectors
#: together, passages of 90 tokens: COVID-QA's span inside the first 900 / 180 words 0.842 / 0.674 instead of
#: 0.809 / 0.643; MedQuAD's section first 0.70 instead of 0.66.
_OWN_TIMES = 3
#: Before the name of each language of a library's passages other than English, as a word of the index.
LANGUAGE_MARK = "language:"


def passage_keywords(
    title: str, passage: Passage, before: Passage | None = None, after: Passage | None = None
) -> str:
    """All that a passage can be found by, as words with spaces between them.

    Args:
        title: of its document.
        passage: its headings and text count.
        before, after: the passages beside it in the document; their text counts less than its own, and
            only where they stand under the same headings.
    """
    near = [other.text for other in (before, after) if other and other.headings == passage.headings]
    language = latin_language(passage.text)
    heads = [title, *(heading for heading in passage.headings if heading != title)]
    words = analysed("\n".join([*heads, passage.text]), [language]) * _OWN_TIMES
    for text in near:
        own_codes = set(codes(text))  # a code is where it stands, not beside it
        words += [word for word in analysed(text, [language]) if word not in own_codes]
    if language != "english":
        words.append(LANGUAGE_MARK + language)
    return " ".join([*words, *_single_signs(passage.text)])


def keyword_query(query: str, languages: Sequence[str] = ("english",)) -> str:
    """A question as the keyword index gets it: each word once, in the forms of all given languages."""
    return " ".join(dict.fromkeys(analysed(query, languages)))


def document_title(document: Document) -> str:
    """The first heading, else the first line if it is short, else nothing."""
    if document.headings:
        return document.headings[0].text
    first = next((line.strip() for line in document.text.splitlines() if line.strip()), "")
    return first if len(first) <= _MAX_TITLE_CHARS else ""


def _single_signs(text: str) -> list[str]:
    """Signs of scripts without spaces one by one, so that a question of one sign finds something."""
    pairs = (word for word in analysed(text) if len(word) == 2 and ord(word[0]) >= 0x0E00)
    return list(dict.fromkeys(sign for pair in pairs for sign in pair))


def latin_languages(store: "Store") -> tuple[str, ...]:
    """The languages of a library's passages that share the Latin script; English is always one."""
    languages = [language for language in STOP_WORDS if language not in ("english", "russian")]
    marks = [LANGUAGE_MARK + language for language in languages]
    if not store.keyword_hits(" ".join(marks), 1):
        return ("english",)
    there = (language for language, mark in zip(languages, marks, strict=True) if store.keyword_hits(mark, 1))
    return ("english", *there)
