"""E-mail messages as text, whatever file they come in: headers, what was written, what is attached.

What is attached is read as a part of the message, not as a document of its own: people look for what
somebody sent them and when, and a citation says "attachment offer.pdf, page 2". What a message quotes of
earlier ones stays in the text and is marked by a place, for it was said before and by others.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from homespun.documents.bundle import BUNDLE_SUFFIXES, iterate_members_of, safe_name
from homespun.documents.document import Place, Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import SUPPORTED_SUFFIXES, reader_for
from homespun.documents.readers.builder import TextBuilder

#: Messages attached to messages attached to messages ...
MAX_DEPTH = 5
_N_NAMED = 5  # parts that could not be read and are told by name
QUOTED = "quoted text"
_MAIL_SUFFIXES = frozenset((".eml", ".msg", ".mbox"))
# "On Monday Ann wrote:", "Am Montag schrieb Ann:", "Le lundi, Ann a écrit :" and the like.
_SAYS_WHO = re.compile(r"^\s*\S.{0,200}\S\s*[:：]\s*$")
_DIVIDER = re.compile(
    r"^\s*(?:-{3,}|_{3,})\s*(?:original message|original appointment|ursprüngliche nachricht|"
    r"message d'origine|mensaje original|messaggio originale|oorspronkelijk bericht|исходное сообщение)"
    r"\s*-*\s*$",
    re.I,
)
_FROM_LINE = re.compile(r"^\*?(?:from|von|de|da|van|от|发件人|差出人)\*?\s*[:：]\s*\S", re.I)
_DATE_LINE = re.compile(
    r"^\*?(?:sent|date|gesendet|datum|envoyé|enviado|inviato|verzonden|отправлено|дата|发送时间|送信日時)\*?\s*[:：]",
    re.I,
)


@dataclass(frozen=True)
class Attachment:
    """A file in a message; `message` instead of `data` where it is a message in no file of its own."""

    name: str
    data: bytes = b""
    message: "Mail | None" = None


@dataclass(frozen=True)
class Mail:
    """One message; `headers` are (name, value) to show, without the subject. `missing`: what is not in it."""

    subject: str
    headers: tuple[tuple[str, str], ...]
    body: Reading
    attachments: tuple[Attachment, ...]
    missing: tuple[str, ...] = ()


def read_mail(mail: Mail, depth: int = 1) -> Reading:
    """One message as a document."""
    builder = TextBuilder()
    return builder.reading(told(add_mail(builder, mail, depth)))


def add_mail(builder: TextBuilder, mail: Mail, depth: int, label: str = "", level: int = 1) -> list[str]:
    """Add a message under a heading of this level; gives what of it could not be read, as sentences.

    Its places are called "label, place".
    """
    before = f"{label}, " if label else ""
    builder.add_heading(level, mail.subject or "(no subject)")
    builder.add_paragraph("\n".join(f"{name}: {value}" for name, value in mail.headers))
    builder.add_reading(mail.body, below=level, label=label)
    missing = list(mail.missing)
    for attachment in mail.attachments:
        name = safe_name(attachment.name).replace("/", "_")
        try:
            reading = _attached(attachment, name, depth)
        except UnreadableFile as error:
            missing.append(f"The attachment {name} was not read: {error.what}")
            continue
        if reading.missing:
            missing.append(f"In the attachment {name}: {reading.missing}")
        with builder.place(f"{before}attachment {name}"):
            builder.add_heading(level + 1, name)
            builder.add_reading(reading, below=level + 1, label=f"{before}attachment {name}")
    return missing


def told(missing: list[str]) -> str:
    """What could not be read, as one text that stays short."""
    shown = " ".join(missing[:_N_NAMED])
    n_more = len(missing) - _N_NAMED
    return (
        f"{shown} And {n_more} more part{'s' if n_more > 1 else ''} could not be read."
        if n_more > 0
        else shown
    )


def body_of(plain: str, html: Callable[[], Reading] | None) -> Reading:
    """The text that was written: the plain one, the page where that is only a stub; quotations marked."""
    reading = Reading(plain.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))
    if html is not None:
        page = html()
        # Some programs write "your program cannot show this message" where the plain text should be.
        if len(reading.text.split()) * 5 < len(page.text.split()):
            reading = page
    places = [Place(start, end, QUOTED) for start, end in quoted_spans(reading.text)]
    return Reading(reading.text, (), reading.headings, reading.rows, reading.missing, tuple(places))


def quoted_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where a message repeats earlier ones: lines after ">", and all from another message's headers on."""
    lines, start = [], 0
    for line in text.split("\n"):
        lines.append((start, line))
        start += len(line) + 1
    index = 0
    while index < len(lines):
        if _begins_old_message([line for _, line in lines[index : index + 6]]):
            yield lines[index][0], len(text.rstrip())
            return
        if not lines[index][1].startswith(">"):
            index += 1
            continue
        first = index
        while index < len(lines) and (lines[index][1].startswith(">") or _is_gap(lines, index)):
            index += 1
        above = first - 1
        while above >= 0 and not lines[above][1].strip():
            above -= 1
        if above >= 0 and first - above <= 2 and _SAYS_WHO.match(lines[above][1]):
            first = above
        last_start, last = lines[index - 1]
        yield lines[first][0], last_start + len(last.rstrip())


def _is_gap(lines: list[tuple[int, str]], index: int) -> bool:
    """An empty line between quoted ones."""
    return not lines[index][1].strip() and index + 1 < len(lines) and lines[index + 1][1].startswith(">")


def _begins_old_message(lines: list[str]) -> bool:
    if _DIVIDER.match(lines[0]):
        return True
    return bool(_FROM_LINE.match(lines[0])) and any(_DATE_LINE.match(line) for line in lines[1:])


def _attached(attachment: Attachment, name: str, depth: int) -> Reading:
    """What is attached, read by what its name says it is."""
    if depth >= MAX_DEPTH and (attachment.message or _suffix(name) in _MAIL_SUFFIXES | BUNDLE_SUFFIXES):
        raise UnreadableFile("It is a message in a message in a message, too deep to be read.")
    if attachment.message is not None:
        return read_mail(attachment.message, depth + 1)
    if not attachment.data:
        raise UnreadableFile("It is empty (0 bytes).")
    return _read_part(name, attachment.data, depth)


def _read_part(name: str, data: bytes, depth: int) -> Reading:
    suffix = _suffix(name)
    try:
        if suffix in BUNDLE_SUFFIXES:
            return _read_archive(data, depth)
        if suffix == ".eml":
            from homespun.documents.readers.eml import read_at

            return read_at(data, depth + 1)
        if suffix == ".msg":
            from homespun.documents.readers.msg import read_at as read_msg_at

            return read_msg_at(data, depth + 1)
        if suffix == ".mbox":
            from homespun.documents.readers.mbox import read_at as read_mbox_at

            return read_mbox_at(data, depth + 1)
        if suffix not in SUPPORTED_SUFFIXES:
            kind = f"{suffix} files" if suffix else "files without an ending"
            raise UnreadableFile(f"{kind} are not supported.")
        reading = reader_for(suffix)(data)
    except (UnreadableFile, MemoryError):
        raise
    except Exception as error:
        # As in `read_document`: one broken attachment must not hide the message.
        raise UnreadableFile(f"It is broken or not really a {suffix} file.") from error
    if not reading.text.strip():
        raise UnreadableFile(reading.missing or "It holds no text.")
    return reading


def _read_archive(data: bytes, depth: int) -> Reading:
    builder = TextBuilder()
    missing: list[str] = []
    for member in iterate_members_of(data):
        if member.is_skipped:
            continue
        try:
            if member.reason:
                raise UnreadableFile(member.reason)
            reading = _read_part(member.name, member.data, depth + 1)
        except UnreadableFile as error:
            missing.append(f"{member.name} was not read: {error.what}")
            continue
        if reading.missing:
            missing.append(f"In {member.name}: {reading.missing}")
        with builder.place(member.name):
            builder.add_heading(1, member.name)
            builder.add_reading(reading, below=1, label=member.name)
    return builder.reading(told(missing))


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
