"""E-books: the chapters in the order in which they are read, each below its heading.

A chapter without a heading of its own gets the title that the table of contents gives it.
"""

import posixpath
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers.builder import TextBuilder
from homespun.documents.readers.html import add_page, decode_page
from homespun.documents.safe_xml import parse_xml
from homespun.documents.safe_zip import Archive

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
_XHTML = "{http://www.w3.org/1999/xhtml}"
_OPS = "{http://www.idpf.org/2007/ops}"
_ADOBE_OR_IDPF_FONTS = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")


def read(data: bytes) -> Reading:
    """The book's text, without its cover and its table of contents."""
    archive = Archive(data)
    _refuse_locked(archive)
    container = parse_xml(archive.read("META-INF/container.xml"), "META-INF/container.xml")
    root = next(container.iter(f"{_CONTAINER}rootfile"), None)
    package_part = "" if root is None else root.get("full-path") or ""
    package = parse_xml(archive.read(package_part), package_part)
    folder = posixpath.dirname(package_part)
    items = {item.get("id") or "": item for item in package.iter(f"{_OPF}item")}
    contents, titles = _contents(archive, package, items, folder)
    builder = TextBuilder()
    missing = []
    for reference in package.iter(f"{_OPF}itemref"):
        item = items.get(reference.get("idref") or "")
        if item is None or "html" not in (item.get("media-type") or "html"):
            continue
        part = _path(folder, item.get("href") or "")
        if part == contents:
            continue
        try:
            _add_chapter(builder, decode_page(archive.read(part)), titles.get(part, ""))
        except UnreadableFile:
            missing.append(part)
    if missing and not builder.reading().text:
        raise UnreadableFile("It is broken: none of its chapters can be read.")
    return builder.reading(f"Chapters that are broken and not read: {', '.join(missing)}." if missing else "")


def _refuse_locked(archive: Archive) -> None:
    encryption = archive.find("META-INF/encryption.xml") or b""
    n_locked = encryption.count(b"EncryptionMethod ")
    n_fonts = sum(encryption.count(method) for method in _ADOBE_OR_IDPF_FONTS)
    if n_locked > n_fonts:  # fonts are often veiled in open books
        raise UnreadableFile(
            "It is locked by digital rights management; only its shop's program can read it."
        )


def _add_chapter(builder: TextBuilder, markup: str, title: str) -> None:
    alone = TextBuilder()
    add_page(alone, markup)
    chapter = alone.reading()
    if not chapter.text.strip():
        return
    if title and not (chapter.headings and chapter.headings[0].start == 0):
        builder.add_heading(1, title)
        builder.add_reading(chapter, below=1 if chapter.headings else 0)
    else:
        builder.add_reading(chapter)


def _contents(
    archive: Archive, package: Element, items: dict[str, Element], folder: str
) -> tuple[str, dict[str, str]]:
    """The part that is the table of contents, and what it calls the chapters, by their parts."""
    titles: dict[str, str] = {}
    for item in items.values():
        if "nav" in (item.get("properties") or "").split():
            part = _path(folder, item.get("href") or "")
            try:
                page = parse_xml(archive.read(part), part)
            except UnreadableFile:
                return part, titles
            for nav in page.iter(f"{_XHTML}nav"):
                if nav.get(f"{_OPS}type") == "toc":
                    for link in nav.iter(f"{_XHTML}a"):
                        target = _path(posixpath.dirname(part), link.get("href") or "")
                        titles.setdefault(target, " ".join("".join(link.itertext()).split()))
            return part, titles
    spine = package.find(f"{_OPF}spine")
    item_of_contents = items.get("" if spine is None else spine.get("toc") or "")
    if item_of_contents is not None:
        part = _path(folder, item_of_contents.get("href") or "")
        try:
            ncx = parse_xml(archive.read(part), part)
        except UnreadableFile:
            return part, titles
        for point in ncx.iter(f"{_NCX}navPoint"):
            content = point.find(f"{_NCX}content")
            label = point.findtext(f"{_NCX}navLabel/{_NCX}text") or ""
            if content is not None:
                target = _path(posixpath.dirname(part), content.get("src") or "")
                titles.setdefault(target, " ".join(label.split()))
    return "", titles


def _path(folder: str, reference: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(reference.split("#")[0])))
