"""Whether a question asks about the whole collection, which the few best passages cannot answer.

"How many children were infected?" asks for a number that some passage states; "how many documents mention
children?" asks for one that no passage knows. Only the second kind is recognised here, by its wording and
in English; a question that names neither documents nor mentions is left to retrieval.
"""

import re
from dataclasses import dataclass
from typing import Literal

from homespun.rag.words import content_words

#: count: of hits and documents; list: every hit; documents: the collection's own list; cannot: more than
#: matching words, which takes reading and understanding all of it.
Asked = Literal["count", "list", "documents", "cannot"]


@dataclass(frozen=True)
class AskedOfAll:
    """What is asked about the whole collection; `term` is what to look for, empty for documents and cannot."""

    asked: Asked
    term: str = ""


_UNITS = (
    r"(?:documents|files|articles|papers|letters|e-?mails|messages|notes|reports|contracts|invoices|pages"
    r"|passages|books|chapters|leaflets|notices|texts|sources|sections|slides|spreadsheets)"
)
_UNIT = rf"(?:{_UNITS}|document|file|article|paper|letter|e-?mail|message|report|contract|page|passage|text)"
_WHOLE = rf"(?:library|collection|corpus|archive|folder|data ?base|{_UNITS})"
_SCOPE = (
    r"(?:in|across|throughout|within|over|from|of|among)\s+(?:all\s+(?:of\s+)?|any\s+of\s+|each\s+of\s+)?"
    rf"(?:(?:the|my|our|your|these|those|this)\s+)?(?:whole\s+|entire\s+)?{_WHOLE}"
)
_MENTION = (
    r"(?:mention(?:s|ed|ing)?|contain(?:s|ed|ing)?|refer(?:s|red|ring)?\s+to|talk(?:s|ed|ing)?\s+(?:about|of)"
    r"|speak(?:s|ing)?\s+(?:about|of)|discuss(?:es|ed|ing)?|deal(?:s|t|ing)?\s+with|cit(?:e|es|ed|ing)"
    r"|includ(?:e|es|ed|ing)|(?:are|is)\s+about|name|names|have|has|say|says|use|uses|cover|covers|about|with)"
)
_MENTIONED = r"(?:mentioned|named|referred\s+to|cited|talked\s+about|discussed)"
_HAPPENS = r"(?:occurs?|appears?|comes?\s+up|found|used|turns?\s+up|stands?)"
_PLEASE = r"(?:please\s+|can\s+you\s+|could\s+you\s+|would\s+you\s+|i\s+want\s+you\s+to\s+|now\s+)*"
_OF_THE = r"(?:(?:of\s+)?(?:all\s+)?(?:the|my|our|your|these|those)\s+)?"
_ALL = r"(?:all|every|each)(?:\s+of)?(?:\s+(?:the|my|our|your|these|those))?"
_SHOW = r"(?:list|show|find|give|name|print|enumerate|get|tell)(?:\s+me)?"
_TERM = r"(?P<term>.+?)"
_END = rf"(?:\s+(?:anywhere|{_SCOPE}))?$"

#: The first pattern that fits decides.
_WORDINGS: tuple[tuple[Asked, str], ...] = (
    (
        "documents",
        rf"^how\s+many\s+{_UNITS}\s+(?:are\s+there|do\s+(?:i|we|you)\s+have|are\s+{_SCOPE}){_END}",
    ),
    (
        "documents",
        rf"^how\s+many\s+{_UNITS}\s+(?:does|are\s+in)\s+(?:the|my|our|this)\s+{_WHOLE}.{{0,12}}$",
    ),
    ("documents", rf"^{_PLEASE}{_SHOW}\s+(?:{_ALL}|the|my|our)\s+{_UNITS}{_END}"),
    ("documents", rf"^(?:what|which)\s+{_UNITS}\s+(?:are\s+there|do\s+(?:i|we|you)\s+have){_END}"),
    (
        "count",
        rf"^how\s+many\s+{_OF_THE}{_UNITS}\s+(?:that\s+|do\s+|which\s+)?{_MENTION}\s+{_TERM}{_END}",
    ),
    (
        "count",
        rf"^in\s+how\s+many\s+{_OF_THE}{_UNITS}\s+(?:is|are|was|were)\s+{_TERM}\s+{_MENTIONED}{_END}",
    ),
    ("count", rf"^in\s+how\s+many\s+{_OF_THE}{_UNITS}\s+(?:does|do)\s+{_TERM}\s+{_HAPPENS}{_END}"),
    (
        "count",
        rf"^how\s+(?:often|many\s+times)\s+(?:is|are|was|were)\s+{_TERM}\s+{_MENTIONED}{_END}",
    ),
    (
        "count",
        rf"^how\s+(?:often|many\s+times)\s+(?:is|are|was|were|does|do|did)\s+{_TERM}\s+{_HAPPENS}\s+{_SCOPE}$",
    ),
    ("count", rf"^how\s+many\s+mentions\s+of\s+{_TERM}(?:\s+are\s+there)?{_END}"),
    (
        "count",
        rf"^{_PLEASE}count\s+(?:the\s+|all\s+|every\s+)*(?:mentions?|occurrences?)\s+of\s+{_TERM}{_END}",
    ),
    (
        "count",
        rf"^{_PLEASE}count\s+(?:the\s+|all\s+)*{_UNITS}\s+(?:that\s+|which\s+)?{_MENTION}\s+{_TERM}{_END}",
    ),
    ("list", rf"^(?:which|what)\s+{_OF_THE}{_UNIT}\s+(?:do\s+|does\s+)?{_MENTION}\s+{_TERM}{_END}"),
    (
        "list",
        rf"^in\s+(?:which|what)\s+{_OF_THE}{_UNIT}\s+(?:is|are|was|were)\s+{_TERM}\s+{_MENTIONED}{_END}",
    ),
    ("list", rf"^where\s+(?:is|are|was|were)\s+{_TERM}\s+{_MENTIONED}{_END}"),
    (
        "list",
        rf"^{_PLEASE}{_SHOW}\s+(?:{_ALL}|the)\s+{_UNIT}\s+(?:that\s+|which\s+)?{_MENTION}\s+{_TERM}{_END}",
    ),
    (
        "list",
        rf"^{_PLEASE}{_SHOW}\s+{_ALL}\s+(?:mentions?|occurrences?|places?|passages?|sentences?)\s+"
        rf"(?:of|where|that\s+{_MENTION}|which\s+{_MENTION}|{_MENTION})\s+{_TERM}{_END}",
    ),
    ("cannot", rf"^{_PLEASE}(?:summari[sz]e|sum\s+up)\s*(?:it|this|them|everything|all)?$"),
    (
        "cannot",
        rf"^{_PLEASE}(?:summari[sz]e|sum\s+up|give(?:\s+me)?\s+(?:a|an)\s+\S*\s*(?:summary|overview)\s+of)\s+"
        rf"(?:all\s+)?(?:of\s+)?(?:(?:the|my|our|your|these|those|this)\s+)?(?:whole\s+|entire\s+)?{_WHOLE}$",
    ),
    (
        "cannot",
        rf"^what\s+(?:is|are)\s+(?:all\s+)?(?:the|my|our|these|this)\s+(?:whole\s+)?{_WHOLE}\s+about$",
    ),
    ("cannot", rf"^how\s+many\s+.+\s+{_SCOPE}$"),
    ("cannot", rf"^what\s+is\s+the\s+(?:average|mean|median|total|sum|most\s+\w+)\s.+\s{_SCOPE}$"),
    ("list", rf"^{_PLEASE}(?:list|enumerate)\s+{_ALL}\s+{_TERM}{_END}"),
)
_PATTERNS = [(asked, re.compile(pattern, re.IGNORECASE | re.DOTALL)) for asked, pattern in _WORDINGS]
_WRAPPING = re.compile(
    r"^(?:(?:the|a|an|any|some)\s+)?(?:words?|terms?|phrases?|names?|expressions?)\s+(?=\S)", re.I
)
_ARTICLE = re.compile(r"^(?:the|a|an|any)\s+", re.I)
_QUOTES = " \t\"'“”‘’«»„`"


def asked_of_all(question: str) -> AskedOfAll | None:
    """What a question asks of the whole collection; None if passages may answer it."""
    asked = " ".join(question.split()).rstrip(" ?!.")
    for kind, pattern in _PATTERNS:
        if match := pattern.search(asked):
            if kind in ("documents", "cannot"):
                return AskedOfAll(kind)
            term = _cleaned(match["term"])
            # "Which documents mention it?" can only be understood with what was said before.
            return AskedOfAll(kind, term) if content_words(term) else None
    return None


def _cleaned(term: str) -> str:
    term = _WRAPPING.sub("", term.strip())
    quoted = re.fullmatch(r"[\"“«„'‘](.+)[\"”»“'’]", term)
    return quoted[1].strip() if quoted else _ARTICLE.sub("", term).strip(_QUOTES)
