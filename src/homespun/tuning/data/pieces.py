"""Long plain texts divided into pieces that fit a window."""

import re
from collections.abc import Iterator, Sequence

from homespun.models.tokenizer import Tokenizer
from homespun.tuning.examples import Example

#: Where a piece had better end, best first; looked for in its last third.
_ENDS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?…。！？])\s+"), re.compile(r"\s+"))


def divide_texts(examples: Sequence[Example], tokenizer: Tokenizer, max_tokens: int) -> list[Example]:
    """The examples, each plain text that is too long as several; chats as they are.

    A piece ends with a paragraph, a line, a sentence or at least a word where one ends in its last third;
    together the pieces hold the text but for the spaces at their ends. They keep the text's group (or get
    its place as one), so that no part of a text is held out while another is learnt.

    Args:
        max_tokens: of a whole example, its begin and end tokens too; at least 8.
    """
    divided: list[Example] = []
    for example in examples:
        if example.messages:
            divided.append(example)
            continue
        group = example.group or f"{example.file}:{example.line}"
        pieces = list(_pieces(example.text, tokenizer, max(max_tokens, 8) - 2))
        if len(pieces) == 1:
            divided.append(example)
        else:
            divided += [
                Example(text=piece, file=example.file, line=example.line + before, group=group)
                for piece, before in pieces
            ]
    return divided


def _pieces(text: str, tokenizer: Tokenizer, room: int) -> Iterator[tuple[str, int]]:
    """Pieces of a text, and the lines before each."""
    start = 0
    while start < len(text):
        # No token of a usual tokenizer is longer than 40 signs on average; less has to be read each time.
        part = text[start : start + 40 * room]
        _, offsets = tokenizer.encode_with_offsets(part)
        end = len(part) if len(offsets) <= room else _good_end(part, offsets[room][0])
        while end < len(part) and end > 1 and tokenizer.count(part[:end].strip()) > room:
            end = end * 9 // 10  # cut elsewhere, a text may have other tokens
        piece = part[:end].strip()
        if piece:
            yield piece, text.count("\n", 0, start + part.index(piece))
        start += max(end, 1)


def _good_end(part: str, limit: int) -> int:
    limit = max(limit, 1)
    for pattern in _ENDS:
        ends = [match.end() for match in pattern.finditer(part, limit - limit // 3, limit)]
        if ends:
            return ends[-1]
    return limit
