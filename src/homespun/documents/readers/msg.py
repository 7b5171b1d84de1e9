"""Outlook messages: an OLE file whose streams are the properties of the message (MS-OXMSG).

A stream is named by the number of its property and the type of its value; numbers are those of
MS-OXPROPS. Values of a fixed size stand in one table, `__properties_version1.0`.
"""

import io
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import SUPPORTED_SUFFIXES, reader_for
from homespun.documents.readers.compressed_rtf import decompress_rtf
from homespun.documents.readers.eml import decoded, page_reading
from homespun.documents.readers.mail import MAX_DEPTH, Attachment, Mail, body_of, read_mail

_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER_NAME, _SENDER_ADDRESS, _SENDER_SMTP = 0x0C1A, 0x0C1F, 0x5D01
_TO, _CC, _SENT, _RECEIVED = 0x0E04, 0x0E03, 0x0039, 0x0E06
_DATA, _LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _HIDDEN, _CONTENT_ID = (
    0x3701,
    0x3707,
    0x3704,
    0x3001,
    0x7FFE,
    0x3712,
)
_TEXT_CODEPAGE, _PAGE_CODEPAGE = 0x3FFD, 0x3FDE
_UNICODE, _NARROW, _BINARY, _OBJECT, _TIME = 0x001F, 0x001E, 0x0102, 0x000D, 0x0040
_TABLE = "__properties_version1.0"
_MAX_ATTACHMENTS = 2_000


def read(data: bytes) -> Reading:
    """The message: its subject as heading, sender, receivers and date, its text, what is attached."""
    return read_at(data, 1)


def read_at(data: bytes, depth: int) -> Reading:
    """As `read`, for a message inside so many others."""
    import olefile

    if not data.startswith(olefile.MAGIC):
        raise UnreadableFile("It is no Outlook message.")
    with olefile.OleFileIO(io.BytesIO(data)) as ole:
        if not ole.exists(_TABLE):
            raise UnreadableFile("It is no Outlook message: it holds no table of properties.")
        mail = _Storage(ole, ()).mail(depth)
    return read_mail(mail, depth)


class _Storage:
    """A message or an attachment: a folder of the OLE file."""

    def __init__(self, ole: Any, path: tuple[str, ...]) -> None:
        self._ole = ole
        self._path = path
        self._fixed = self._fixed_values()
        codepage = int.from_bytes(self._fixed.get(_TEXT_CODEPAGE, b"")[:4], "little")
        self._charset = f"cp{codepage}" if 0 < codepage < 60_000 else None

    def mail(self, depth: int) -> Mail:
        missing: list[str] = []
        found = (self._attachment(name, depth) for name in self._names_of("__attach"))
        attachments = [attachment for attachment in found if attachment]
        sender, address = self.text(_SENDER_NAME), self.text(_SENDER_SMTP) or self.text(_SENDER_ADDRESS)
        if "@" in address and address != sender:
            sender = f"{sender} <{address}>" if sender else address
        headers = (
            ("From", sender),
            ("To", self.text(_TO)),
            ("Cc", self.text(_CC)),
            ("Date", self._time(_SENT) or self._time(_RECEIVED)),
        )
        return Mail(
            self.text(_SUBJECT),
            tuple((name, " ".join(value.split())) for name, value in headers if value.strip()),
            self._body(missing),
            tuple(attachments),
            tuple(missing),
        )

    def text(self, number: int) -> str:
        """A property that is a text; empty if there is none."""
        raw = self._stream(number, _UNICODE)
        if raw is not None:
            return raw.decode("utf-16-le", "replace").rstrip("\0")
        raw = self._stream(number, _NARROW)
        return "" if raw is None else decoded(raw, self._charset).rstrip("\0")

    def _body(self, missing: list[str]) -> Reading:
        html = self._html()
        plain = self.text(_BODY)
        if plain.strip() or html.strip():
            return body_of(plain, (lambda: page_reading(html)) if html.strip() else None)
        packed = self._stream(_RTF, _BINARY)
        if not packed:
            return Reading("")
        if ".rtf" not in SUPPORTED_SUFFIXES:
            missing.append("Its text is rich text, which is not supported.")
            return Reading("")
        try:
            return body_of(reader_for(".rtf")(decompress_rtf(packed)).text, None)
        except UnreadableFile as error:
            missing.append(f"Its text was not read: {error.what}")
            return Reading("")

    def _html(self) -> str:
        raw = self._stream(_HTML, _BINARY)
        if raw is None:
            return self.text(_HTML)
        codepage = int.from_bytes(self._fixed.get(_PAGE_CODEPAGE, b"")[:4], "little")
        charset = "utf-8" if codepage == 65001 else f"cp{codepage}" if codepage else None
        return decoded(raw, charset)

    def _attachment(self, name: str, depth: int) -> Attachment | None:
        storage = _Storage(self._ole, (*self._path, name))
        shown = storage.text(_LONG_NAME) or storage.text(_SHOWN_NAME) or storage.text(_SHORT_NAME)
        inner = (*storage._path, f"__substg1.0_{_DATA:04X}{_OBJECT:04X}")
        if self._ole.exists("/".join((*inner, _TABLE))):
            if depth >= MAX_DEPTH:
                return Attachment(shown or "message.msg")
            mail = _Storage(self._ole, inner).mail(depth + 1)
            return Attachment(shown or mail.subject or "message", message=mail)
        is_picture = shown.lower().endswith((".png", ".gif", ".jpg", ".jpeg", ".bmp"))
        is_hidden = any(storage._fixed.get(_HIDDEN, b"")) or bool(storage.text(_CONTENT_ID))
        if is_picture and is_hidden:
            return None  # a logo that the page shows
        return Attachment(shown or "unnamed", storage._stream(_DATA, _BINARY) or b"")

    def _names_of(self, beginning: str) -> list[str]:
        depth = len(self._path)
        names = {
            entry[depth]
            for entry in self._ole.listdir(streams=True, storages=True)
            if len(entry) > depth
            and tuple(entry[:depth]) == self._path
            and entry[depth].startswith(beginning)
        }
        return sorted(names)[:_MAX_ATTACHMENTS]

    def _stream(self, number: int, kind: int) -> bytes | None:
        path = "/".join((*self._path, f"__substg1.0_{number:04X}{kind:04X}"))
        if not self._ole.exists(path):
            return None
        content: bytes = self._ole.openstream(path).read()
        return content

    def _fixed_values(self) -> dict[int, bytes]:
        """The 8 bytes of each property in the table, by its number."""
        path = "/".join((*self._path, _TABLE))
        if not self._ole.exists(path):
            return {}
        table = self._ole.openstream(path).read()
        head = 32 if not self._path else 8 if self._path[-1].startswith("__attach") else 24
        return {
            number: table[at + 8 : at + 16]
            for at in range(head, len(table) - 15, 16)
            for _, number in (struct.unpack_from("<HH", table, at),)
        }

    def _time(self, number: int) -> str:
        ticks = int.from_bytes(self._fixed.get(number, b""), "little")
        if not ticks:
            return ""
        try:
            moment = datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10)
        except OverflowError:
            return ""
        return moment.strftime("%a, %d %b %Y %H:%M:%S +0000")
