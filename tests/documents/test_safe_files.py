"""Hostile archives and XML are refused in a sentence before they are unpacked or parsed."""

import io
import zipfile

import pytest

from documents.office_writer import zipped
from homespun.documents.errors import UnreadableFile
from homespun.documents.readers import docx, epub, odf, pptx, xlsx
from homespun.documents.safe_xml import iterate_xml, parse_xml
from homespun.documents.safe_zip import Archive, ZipLimits, open_office_archive

_OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)


def test_an_archive_gives_what_was_put_in() -> None:
    archive = Archive(zipped({"a.txt": "one", "in/b.txt": b"two"}))
    assert [(member.name, member.size_bytes, member.trouble) for member in archive.members] == [
        ("a.txt", 3, ""),
        ("in/b.txt", 3, ""),
    ]
    assert archive.read("in/b.txt") == b"two"
    assert archive.find("c.txt") is None
    with pytest.raises(UnreadableFile, match=r"holds no c\.txt"):
        archive.read("c.txt")


def test_a_zip_bomb_is_refused_unopened() -> None:
    with pytest.raises(UnreadableFile, match="zip bomb: its part zeros unpacks to 1"):
        Archive(zipped({"zeros": bytes(20 * 2**20)}))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (ZipLimits(max_members=1), "It holds 2 files and at most 1"),
        (ZipLimits(max_member_bytes=2), "Its part b unpacks to"),
        (ZipLimits(max_total_bytes=3), "It unpacks to"),
    ],
)
def test_limits_hold(limits: ZipLimits, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        Archive(zipped({"a": "x", "b": "yyy"}), limits)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_paths_out_doubles_links_and_locked_files_have_troubles() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("../up", "/top", "C:\\win", "in\\..\\..\\up", "twice", "twice", "fine"):
            archive.writestr(name, "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    data = out.getvalue()
    troubles = {member.name: member.trouble for member in Archive(data).members}
    for name in ("../up", "/top", "C:/win", "in/../../up"):
        assert "leads out" in troubles[name]
    assert "two files" in troubles["twice"]
    assert "link" in troubles["link"]
    assert troubles["fine"] == ""
    with pytest.raises(UnreadableFile, match="leads out"):
        Archive(data).read("../up")


def test_a_locked_file_in_an_archive_is_named() -> None:
    data = bytearray(zipped({"a.txt": "x", "b.txt": "y"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption in the directory
    archive = Archive(bytes(data))
    assert [member.trouble for member in archive.members] == ["It needs a password.", ""]
    with pytest.raises(UnreadableFile, match=r"needs a password.*a\.txt"):
        archive.read("a.txt")


def test_broken_archives_are_refused() -> None:
    whole = zipped({"a.txt": "text " * 200})
    with pytest.raises(UnreadableFile, match="no archive"):
        Archive(whole[: len(whole) // 2])
    spoiled = bytearray(whole)
    spoiled[45] ^= 0xFF  # in the packed text
    with pytest.raises(UnreadableFile, match=r"part a\.txt cannot be unpacked"):
        Archive(bytes(spoiled)).read("a.txt")


def test_old_and_locked_office_files_say_what_to_do() -> None:
    with pytest.raises(UnreadableFile, match=r"old \.xls file; save it as \.xlsx"):
        open_office_archive(_OLD, ".xls", ".xlsx")
    with pytest.raises(UnreadableFile, match="password"):
        open_office_archive(_OLD + "EncryptedPackage".encode("utf-16-le"), ".xls", ".xlsx")


_BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
_OUTSIDE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x>&a;</x>'


@pytest.mark.parametrize("xml", [_BOMB, _OUTSIDE, '<!DOCTYPE x [<!ENTITY % p "q">]><x/>'])
def test_entities_are_refused(xml: str) -> None:
    for data in (xml.encode(), xml.encode("utf-16")):
        with pytest.raises(UnreadableFile, match="declares XML entities"):
            parse_xml(data, "p")
        with pytest.raises(UnreadableFile, match="declares XML entities"):
            list(iterate_xml(data, "p", "x"))


def test_a_mere_doctype_is_no_harm() -> None:
    xml = b'<!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://x.test/ncx.dtd"><ncx><a/></ncx>'
    assert parse_xml(xml, "p").tag == "ncx"


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (b"<a>" * 400 + b"</a>" * 400, "nested too deep"),
        (b"<a><b></a>", "is no XML"),
        (b"", "is no XML"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "is no XML"),
    ],
)
def test_bad_xml_is_refused(xml: bytes, said: str) -> None:
    with pytest.raises(UnreadableFile, match=said):
        parse_xml(xml, "p")
    with pytest.raises(UnreadableFile, match=said):
        list(iterate_xml(xml, "p", "b"))


@pytest.mark.parametrize("element", [b"<b/>" * 4, b"<b c='1'/>"])
def test_too_many_tags_are_refused(element: bytes) -> None:
    with pytest.raises(UnreadableFile, match="too many tags"):
        parse_xml(b"<a>" + element * 1_250_000 + b"</a>", "p")


def test_elements_come_one_at_a_time_and_whole() -> None:
    found = iterate_xml(b"<s><r n='1'><c>x</c></r><other><r n='2'/></other></s>", "p", "r")
    assert [(row.get("n"), "".join(row.itertext())) for row in found] == [("1", "x"), ("2", "")]


def test_strict_office_namespaces_are_read_as_the_usual() -> None:
    root = parse_xml(b'<s xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main"/>', "p")
    assert root.tag == "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}s"


@pytest.mark.parametrize(
    ("reader", "part"),
    [
        (docx, "word/document.xml"),
        (xlsx, "xl/workbook.xml"),
        (pptx, "ppt/presentation.xml"),
        (odf, "content.xml"),
        (epub, "META-INF/container.xml"),
    ],
)
def test_every_format_refuses_entities_and_bombs(reader, part: str) -> None:
    with pytest.raises(UnreadableFile, match="declares XML entities"):
        reader.read(zipped({part: _BOMB}))
    with pytest.raises(UnreadableFile, match="zip bomb"):
        reader.read(zipped({part: "<x>" + " " * 20 * 2**20 + "</x>"}))
    with pytest.raises(UnreadableFile, match="no archive"):
        reader.read(b"plain text")
    with pytest.raises(UnreadableFile, match=r"It is no|holds no"):
        reader.read(zipped({"other": "x"}))
