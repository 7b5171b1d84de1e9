"""Broken files: whole ones of many kinds, with bits flipped, parts cut, moved, repeated, counts made huge."""

import base64
import io
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable

from _mixed_files import Writer, mail, pages, table, web_page, word, workbook

_MIME = "application/vnd.oasis.opendocument.text"
_HUGE_NUMBERS = (b"0", b"-1", b"65536", b"2147483647", b"4294967295", b"99999999999999999999")
_HUGE_BYTES = (b"\x00" * 4, b"\xff" * 4, struct.pack("<I", 0x7FFFFFFF), struct.pack(">I", 0x7FFFFFFF))


def _zip(files: dict[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def packed_pages(paragraphs: list[str]) -> bytes:
    """A PDF whose pages are compressed, as nearly all are."""

    def pack(found: re.Match[bytes]) -> bytes:
        data = zlib.compress(found[1])
        return b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(data), data)

    # Its table of objects is wrong then, so PDFium has to rebuild it.
    return re.sub(rb"<< /Length \d+ >>\nstream\n(.*?)\nendstream", pack, pages(paragraphs), flags=re.S)


def mail_with_files(paragraphs: list[str]) -> bytes:
    """A message with a Word document, a PDF, a page and an archive attached."""
    files = {
        "a.docx": word(paragraphs[:3]),
        "b.pdf": pages(paragraphs[:3]),
        "c.html": web_page(paragraphs[:3]),
        "d.zip": _zip({"e.csv": table(paragraphs[:3])}),
    }
    parts = [mail(paragraphs[:2]).split(b"\r\n\r\n", 1)[1]]
    head = (
        b"From: a@example.org\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 6 Jan 2025 10:00:00 +0000\r\n"
        b'Content-Type: multipart/mixed; boundary="=-=1"\r\n'
    )
    for name, data in files.items():
        parts.append(
            b'Content-Disposition: attachment; filename="%s"\r\nContent-Transfer-Encoding: base64\r\n\r\n%s'
            % (name.encode(), base64.encodebytes(data))
        )
    body = b"\r\n--=-=1\r\n".join([b"", b"Content-Type: text/plain\r\n\r\n" + parts[0], *parts[1:]])
    return head + b"\r\n" + body + b"\r\n--=-=1--\r\n"


def mailbox(paragraphs: list[str]) -> bytes:
    return b"".join(b"From a\r\n" + mail([paragraph]) + b"\r\n\r\n" for paragraph in paragraphs[:8])


def archive(paragraphs: list[str]) -> bytes:
    inner = _zip({"inner.html": web_page(paragraphs[:3])})
    return _zip(
        {
            "a.docx": word(paragraphs[:3]),
            "b/c.pdf": pages(paragraphs[:3]),
            "d.xlsx": workbook(paragraphs[:3]),
            "e.zip": inner,
            "f.txt": "\n".join(paragraphs),
        }
    )


def slides(paragraphs: list[str]) -> bytes:
    p = "http://schemas.openxmlformats.org/presentationml/2006/main"
    a = "http://schemas.openxmlformats.org/drawingml/2006/main"
    r = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    rels = "http://schemas.openxmlformats.org/package/2006/relationships"
    shown = paragraphs[:6]
    files: dict[str, bytes | str] = {
        "_rels/.rels": f'<Relationships xmlns="{rels}"><Relationship Id="rId1" Type="{r}/officeDocument" '
        'Target="ppt/presentation.xml"/></Relationships>',
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{p}" xmlns:r="{r}"><p:sldIdLst>'
        + "".join(f'<p:sldId id="{256 + n}" r:id="rId{n}"/>' for n in range(len(shown)))
        + "</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": f'<Relationships xmlns="{rels}">'
        + "".join(
            f'<Relationship Id="rId{n}" Type="{r}/slide" Target="slides/slide{n}.xml"/>'
            for n in range(len(shown))
        )
        + "</Relationships>",
    }
    for n, paragraph in enumerate(shown):
        files[f"ppt/slides/slide{n}.xml"] = (
            f'<p:sld xmlns:p="{p}" xmlns:a="{a}"><p:cSld><p:spTree><p:sp><p:txBody><a:p><a:r><a:t>'
            f"{paragraph.replace('&', 'and').replace('<', '')}</a:t></a:r></a:p></p:txBody></p:sp></p:spTree>"
            "</p:cSld></p:sld>"
        )
    return _zip(files)


def book(paragraphs: list[str]) -> bytes:
    chapters = [web_page([paragraph]).decode() for paragraph in paragraphs[:6]]
    manifest = "".join(
        f'<item id="c{n}" href="c{n}.html" media-type="application/xhtml+xml"/>' for n in range(len(chapters))
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    files: dict[str, bytes | str] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="a.opf"/></rootfiles></container>',
        "a.opf": f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{manifest}</manifest>'
        f"<spine>{spine}</spine></package>",
    }
    return _zip(files | {f"c{n}.html": chapter for n, chapter in enumerate(chapters)})


def open_text(paragraphs: list[str]) -> bytes:
    o = "urn:oasis:names:tc:opendocument:xmlns"
    body = "".join(f"<t:p>{p.replace('&', 'and').replace('<', '')}</t:p>" for p in paragraphs)
    content = (
        f'<o:document-content xmlns:o="{o}:office:1.0" xmlns:t="{o}:text:1.0"><o:body><o:text>{body}'
        "</o:text></o:body></o:document-content>"
    )
    return _zip({"mimetype": _MIME, "content.xml": content})


def rich_text(paragraphs: list[str]) -> bytes:
    body = "".join(r"\pard " + re.sub(r"[\\{}]", " ", paragraph) + r"\par " for paragraph in paragraphs)
    return (r"{\rtf1\ansi{\fonttbl{\f0 Arial;}}" + body + "}").encode("cp1252", "replace")


#: Ending -> its writers, and how many of a hundred broken files are of it.
KINDS: dict[str, tuple[tuple[Callable[[list[str]], bytes], ...], int]] = {
    ".pdf": ((pages, packed_pages), 22),
    ".docx": ((word,), 14),
    ".xlsx": ((workbook,), 13),
    ".html": ((web_page,), 10),
    ".eml": ((mail, mail_with_files), 12),
    ".zip": ((archive,), 12),
    ".pptx": ((slides,), 5),
    ".epub": ((book,), 4),
    ".odt": ((open_text,), 3),
    ".rtf": ((rich_text,), 3),
    ".mbox": ((mailbox,), 2),
}


def _flip(data: bytearray, source: random.Random) -> None:
    for _ in range(source.choice((1, 4, 40))):
        data[source.randrange(len(data))] ^= 1 << source.randrange(8)


def _cut(data: bytearray, source: random.Random) -> None:
    if source.random() < 0.6:
        del data[source.randrange(len(data)) :]
    else:
        start = source.randrange(len(data))
        del data[start : start + source.randrange(1, 400)]


def _swap(data: bytearray, source: random.Random) -> None:
    size = source.choice((16, 128, 1024))
    first, second = source.randrange(len(data)), source.randrange(len(data))
    one, other = data[first : first + size], data[second : second + size]
    data[first : first + len(other)] = other
    data[second : second + len(one)] = one


def _repeat(data: bytearray, source: random.Random) -> None:
    start = source.randrange(len(data))
    piece = data[start : start + source.choice((8, 64, 512))]
    data[start:start] = piece * source.choice((2, 50, 1000))


def _huge(data: bytearray, source: random.Random) -> None:
    numbers = list(re.finditer(rb"\d+", data))
    if numbers and source.random() < 0.7:
        for found in sorted(source.sample(numbers, min(3, len(numbers))), key=lambda one: -one.start()):
            data[found.start() : found.end()] = source.choice(_HUGE_NUMBERS)
    else:
        start = source.randrange(len(data))
        data[start : start + 4] = source.choice(_HUGE_BYTES)


WAYS = {"flip": _flip, "cut": _cut, "swap": _swap, "repeat": _repeat, "huge": _huge}


def broken(data: bytes, way: str, source: random.Random) -> bytes:
    """The bytes with one kind of harm done; in archives often to a part, so that it still unpacks."""
    if data.startswith(b"PK") and source.random() < 0.6:
        with zipfile.ZipFile(io.BytesIO(data)) as whole:
            files: dict[str, bytes | str] = {name: whole.read(name) for name in whole.namelist()}
        name = source.choice(sorted(name for name, part in files.items() if part))
        part = files[name]
        assert isinstance(part, bytes)
        files[name] = broken(part, way, source)
        return _zip(files)
    changed = bytearray(data)
    WAYS[way](changed, source)
    return bytes(changed)


def broken_files(n: int, seed: int = 1) -> list[tuple[str, bytes]]:
    """(name, bytes) of `n` broken files, the same for the same seed; the name tells kind and harm."""
    source, writer = random.Random(seed), Writer(seed)
    kinds = [ending for ending, (_, share) in KINDS.items() for _ in range(share)]
    source.shuffle(kinds)
    ways = list(WAYS)
    made = []
    for number in range(n):
        ending = kinds[number % len(kinds)]
        way = ways[number % len(ways)]
        writers = KINDS[ending][0]
        whole = writers[number % len(writers)](writer.paragraphs(source.choice((100, 400, 1500))))
        made.append((f"{number:04}-{way}{ending}", broken(whole, way, source)))
    return made
