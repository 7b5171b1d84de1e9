"""Mailboxes: messages one after the other, each after a line that begins with "From " (RFC 4155)."""

import re
from collections.abc import Iterator

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder
from homespun.documents.readers.eml import parse_mail
from homespun.documents.readers.mail import add_mail, told

# A line of a letter can begin with "From " too, but no header line follows it.
_SEPARATOR = re.compile(rb"^From [^\r\n]*\r?\n(?=[!-9;-~]{1,80}:)", re.M)
_ESCAPED = re.compile(rb"^>(>*From )", re.M)


def read(data: bytes) -> Reading:
    """All messages; each has a heading, its subject, and is a place, "message 4"."""
    return read_at(data, 1)


def read_at(data: bytes, depth: int) -> Reading:
    """As `read`, for a mailbox inside so many messages."""
    builder = TextBuilder()
    missing: list[str] = []
    for number, raw in enumerate(_messages(data), 1):
        label = f"message {number}"
        try:
            mail = parse_mail(raw)
            with builder.place(label):
                sentences = add_mail(builder, mail, depth, label)
        except UnreadableFile as error:
            sentences = [error.what]
        missing.extend(f"In {label}: {sentence}" for sentence in sentences)
    return builder.reading(told(missing))


def _messages(data: bytes) -> Iterator[bytes]:
    starts = list(_SEPARATOR.finditer(data))
    if not starts or data[: starts[0].start()].strip():
        raise UnreadableFile('It is no mailbox: its first line does not begin with "From ".')
    ends = [start.start() for start in starts[1:]] + [len(data)]
    for start, end in zip(starts, ends, strict=True):
        yield _ESCAPED.sub(rb"\1", data[start.end() : end])
