"""E-mail messages as they are sent (RFC 5322 and MIME), one a file."""

import email
import email.errors
import email.header
import email.utils
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.policy import compat32

from homespun.documents.decode import decode_text
from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.mail import Attachment, Mail, body_of, read_mail

#: What is shown of the header besides the subject.
_SHOWN = ("From", "To", "Cc", "Date")
_HEADER_SIGNS = ("From", "To", "Subject", "Date", "Received", "Message-ID", "MIME-Version", "Return-Path")
# Seals of a message: nothing that anybody wrote.
_SEALS = frozenset(
    ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
)
_LOCKED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime", "multipart/encrypted"))
_ENDINGS = {
    "application/pdf": ".pdf",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/markdown": ".md",
    "application/rtf": ".rtf",
    "application/json": ".json",
    "application/zip": ".zip",
    "application/epub+zip": ".epub",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
    "application/vnd.oasis.opendocument.text": ".odt",
}
_MAX_PARTS = 2_000
#: Programs that label a text so mean the larger Windows set.
_LARGER_SETS = {
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "utf-8",
    "gb2312": "gb18030",
}


def read(data: bytes) -> Reading:
    """The message: its subject as heading, sender, receivers and date, its text, what is attached."""
    return read_at(data, 1)


def read_at(data: bytes, depth: int) -> Reading:
    """As `read`, for a message inside so many others."""
    return read_mail(parse_mail(data), depth)


def parse_mail(data: bytes) -> Mail:
    """A message from its bytes.

    Raises:
        UnreadableFile: it has no header that a message has.
    """
    # The newer policies parse each header and fail on the ones that real mail has.
    message = email.message_from_bytes(data, policy=compat32)
    if not any(name in message for name in _HEADER_SIGNS):
        raise UnreadableFile("It is no e-mail message: it has no header lines.")
    return _mail(message)


def header_text(message: Message, name: str) -> str:
    """A header as people read it; encoded words are decoded, folded lines joined."""
    # `get` makes question marks of bytes that are no ASCII.
    values = (str(value) for key, value in message.raw_items() if key.lower() == name.lower())
    return _decoded_words(next(values, ""))


def decoded(data: bytes, charset: str | None) -> str:
    """Text of a declared encoding; of a likely one where that is wrong, and never a failure."""
    name = (charset or "").strip("\"' ").lower()
    name = _LARGER_SETS.get(name, name)
    if name:
        try:
            return data.decode(name)
        except (LookupError, ValueError):
            pass
    try:
        return decode_text(data).text
    except UnreadableFile:
        return data.decode("cp1252", "replace")


def page_reading(html: str) -> Reading:
    """What a message's web page says."""
    from homespun.documents.readers.html import read as read_html

    # The page's own statement of its encoding is about bytes that are gone.
    return read_html(b"\xef\xbb\xbf" + html.encode("utf-8", "replace"))


@dataclass
class _Parts:
    plain: list[str] = field(default_factory=list)
    html: list[str] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def _mail(message: Message) -> Mail:
    parts = _Parts()
    for index, part in enumerate(_leaves(message)):
        if index >= _MAX_PARTS:
            parts.missing.append(f"It has more than {_MAX_PARTS} parts; the others were not read.")
            break
        _sort_in(part, parts)
    html = "\n".join(parts.html)
    body = body_of("\n\n".join(parts.plain), (lambda: page_reading(html)) if html.strip() else None)
    headers = tuple((name, text) for name in _SHOWN if (text := header_text(message, name)))
    return Mail(
        header_text(message, "Subject"), headers, body, tuple(parts.attachments), tuple(parts.missing)
    )


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that are no multipart, without looking into attached messages; no recursion to exhaust."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        is_container = part.is_multipart() and part.get_content_maintype() != "message"
        if is_container and part.get_content_type() not in _LOCKED:
            waiting.extend(reversed(part.get_payload()))  # type: ignore[arg-type]
        else:
            yield part


def _sort_in(part: Message, parts: _Parts) -> None:
    kind = part.get_content_type()
    name = _decoded_words(part.get_filename() or "")
    disposition = part.get_content_disposition() or ""
    if kind in _SEALS:
        return
    if kind in _LOCKED and not name.lower().endswith(".p7s"):
        parts.missing.append("Its text is encrypted and was not read.")
        return
    if kind == "message/rfc822" and part.is_multipart():
        inner = _mail(part.get_payload(0))  # type: ignore[arg-type]
        parts.attachments.append(Attachment(name or f"{inner.subject or 'message'}.eml", message=inner))
        return
    if part.is_multipart():  # delivery reports and partial messages
        parts.plain.append("\n".join(str(inner) for inner in part.get_payload())[:100_000])
        return
    data = part.get_payload(decode=True)
    data = data if isinstance(data, bytes) else b""
    if disposition != "attachment" and kind in ("text/plain", "text/html") and not name:
        text = decoded(data, part.get_content_charset())
        (parts.plain if kind == "text/plain" else parts.html).append(text)
        return
    if part.get_content_maintype() == "image" and (disposition == "inline" or part.get("Content-ID")):
        return  # logos and smileys that the page shows; a picture that was sent is an attachment
    suffix = _ENDINGS.get(kind, "")
    if not name:
        name = f"unnamed{suffix}"
    elif suffix and "." not in name:
        name += suffix
    parts.attachments.append(Attachment(name, data))


def _decoded_words(value: str) -> str:
    try:
        pieces = [
            piece if isinstance(piece, str) else decoded(piece, charset)
            for piece, charset in email.header.decode_header(value)
        ]
    except (email.errors.HeaderParseError, ValueError, LookupError):
        pieces = [value]
    # Bytes that are no ASCII come as lone surrogates where nothing says what they are.
    text = "".join(pieces)
    raw = text.encode("utf-8", "surrogateescape") if _has_surrogates(text) else None
    return " ".join((decoded(raw, None) if raw is not None else text).split())


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= sign <= "\udfff" for sign in text)
