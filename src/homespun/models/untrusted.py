"""Keeps what people and documents wrote from turning into markers inside a rendered template.

A template puts contents and markers into one string. To tell them apart afterwards, a private
character is put inside everything in a content that spells a marker, or that could become one
together with its neighbours; it is taken out again once the markers were found.
"""

import re
from collections.abc import Iterable, Sequence

# Supplementary Private Use Area A: no text has a meaning for these.
_FIRST_PRIVATE, _LAST_PRIVATE = 0xF0000, 0xFFFFD


def unused_character(texts: Sequence[str]) -> str:
    """A private character that occurs in none of the texts."""
    used = set("".join(texts))
    return next(chr(code) for code in range(_FIRST_PRIVATE, _LAST_PRIVATE + 1) if chr(code) not in used)


class MarkerGuard:
    """Breaks a model's markers in contents. Made once per tokenizer.

    Args:
        markers: the spelling of every token that only a template may write.
    """

    def __init__(self, markers: Iterable[str]) -> None:
        texts = sorted({text for text in markers if text}, key=len, reverse=True)
        self._longest = len(texts[0]) if texts else 0
        self._prefixes = {text[:end] for text in texts for end in range(1, len(text))}
        self._suffixes = {text[start:] for text in texts for start in range(1, len(text))}
        self._joined = "\0".join(texts)
        # A look-ahead finds the overlapping ones too.
        self._starts = re.compile(f"(?=(?:{'|'.join(map(re.escape, texts))}))" if texts else r"(?!)")

    def guard(self, content: str, sentinel: str) -> str:
        """The content with `sentinel` put in wherever a marker could come about.

        The sentinel never stands outside of the content's first and last characters that are not
        white space, so a template that trims contents still trims the same.

        Args:
            content: untrusted text.
            sentinel: a character that the content does not have.
        """
        breaks = {match.start() + 1 for match in self._starts.finditer(content)}
        stripped_start = len(content) - len(content.lstrip())
        stripped_end = len(content.rstrip())
        if stripped_start >= stripped_end:
            return content
        for end in {len(content), stripped_end}:
            breaks |= self._breaks_at_end(content, end)
        for start in {0, stripped_start}:
            breaks |= self._breaks_at_start(content, start)
        core = content[stripped_start:stripped_end]
        if len(core) < self._longest and core in self._joined:
            breaks.add(stripped_start)
        pieces, last = [], 0
        for place in sorted(breaks):
            pieces.append(content[last:place])
            last = place
        return sentinel.join([*pieces, content[last:]])

    def _breaks_at_end(self, content: str, end: int) -> set[int]:
        """Where to break a marker's beginning that the text after the content could complete."""
        starts = range(max(0, end - self._longest + 1), end)
        return {start + 1 for start in starts if content[start:end] in self._prefixes}

    def _breaks_at_start(self, content: str, start: int) -> set[int]:
        """Where to break a marker's end that the text before the content could complete."""
        ends = range(start + 1, min(len(content), start + self._longest - 1) + 1)
        return {
            start + 1 if end > start + 1 else start for end in ends if content[start:end] in self._suffixes
        }
