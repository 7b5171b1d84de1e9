"""Archives of documents: what is in them, by which name, and what is refused (field cases D7 to D9 for zips)."""

import io
import stat
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.documents.bundle import Member, iterate_members, members, read_member, safe_name
from homespun.documents.errors import UnreadableFile
from homespun.documents.read import read_document


def zipped(files, compression=zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


@pytest.fixture
def write(tmp_path):
    def write(data, name="all.zip"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else zipped(data))
        return path

    return write


def test_members_are_read_in_order_and_others_named(write):
    path = write(
        [
            ("b.txt", "bee"),
            ("sub/a.md", "# Ay"),
            ("tool.exe", "MZ"),
            ("__MACOSX/._b.txt", "x"),
            (".git/config.txt", "x"),
            ("LICENSE", "x"),
        ]
    )
    assert members(path) == [
        Member("b.txt", b"bee"),
        Member("sub/a.md", b"# Ay"),
        Member("tool.exe", reason=".exe files are not supported", is_skipped=True),
        Member("__MACOSX/._b.txt", reason="left by the system or a program", is_skipped=True),
        Member(".git/config.txt", reason="hidden", is_skipped=True),
        Member("LICENSE", reason="files without an ending are not supported", is_skipped=True),
    ]
    document = read_document(path, member="sub/a.md")
    assert (document.name, document.path, document.text, document.status) == (
        "all.zip/sub/a.md",
        path,
        "# Ay",
        "read",
    )
    assert [heading.text for heading in document.headings] == ["Ay"]
    gone = read_document(path, member="c.txt")
    assert (gone.status, gone.reason) == ("not read", "It is no longer in the archive.")


def test_a_changed_archive_is_read_anew(write):
    path = write([("a.txt", "first")])
    assert read_member(path, "a.txt") == b"first"
    write([("a.txt", "the second")])
    assert read_member(path, "a.txt") == b"the second"


def test_names_that_lead_out_become_harmless(write, tmp_path):
    hostile = [
        "../../etc/passwd.txt",
        "/etc/shadow.txt",
        "C:\\Windows\\win.txt",
        "a/../../b.txt",
        "..\\..\\c.txt",
    ]
    path = write([(name, name) for name in hostile])
    assert [member.name for member in members(path)] == [
        "etc/passwd.txt",
        "etc/shadow.txt",
        "Windows/win.txt",
        "a/b.txt",
        "c.txt",
    ]
    assert read_member(path, "etc/passwd.txt") == b"../../etc/passwd.txt"
    assert sorted(tmp_path.rglob("*")) == [path]  # nothing was written


@given(st.text(max_size=40))
def test_any_name_becomes_a_relative_path(name):
    parts = safe_name(name).split("/")
    assert parts
    assert all(part and part not in (".", "..") and "\\" not in part and "\0" not in part for part in parts)
    assert not safe_name(name).startswith("/")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_both_read(write):
    path = write([("a.txt", "one"), ("a.txt", "two"), ("./a.txt", "three")])
    assert [member.name for member in members(path)] == ["a.txt", "a (2).txt", "a (3).txt"]
    assert read_member(path, "a (2).txt") == b"two"


def test_names_in_other_encodings(write):
    data = zipped([("xxxxxxxx.txt", "gr"), ("yyyyyy.txt", "jp")])
    data = data.replace(b"xxxxxxxx", "Größe".encode().ljust(8, b"e")).replace(
        b"yyyyyy", "価格表".encode("cp932")
    )
    path = write(data)
    assert [member.name for member in members(path)] == ["Größee.txt", "価格表.txt"]
    assert read_member(path, "価格表.txt") == b"jp"


def test_archives_in_archives_two_deep(write):
    innermost = zipped([("deep.txt", "too deep")])
    inner = zipped([("in.txt", "inside"), ("third.zip", innermost)])
    path = write([("second.zip", inner), ("out.txt", "outside")])
    found = members(path)
    assert [member.name for member in found] == ["second.zip/in.txt", "second.zip/third.zip", "out.txt"]
    assert found[1].reason == "It is an archive inside an inner archive, which is not opened."
    assert not found[1].is_skipped
    assert read_member(path, "second.zip/in.txt") == b"inside"
    assert read_document(path, member="second.zip/third.zip").status == "not read"


def test_encrypted_and_broken_members_leave_the_others(write):
    data = bytearray(zipped([("a.txt", "aaaa"), ("b.txt", "bbbb"), ("c.txt", "cccc")], zipfile.ZIP_STORED))
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1  # the encrypted flag of the first in the directory
    data[data.index(b"bbbb")] = ord("X")  # against its checksum
    path = write(bytes(data))
    found = {member.name: (member.data, member.reason) for member in members(path)}
    assert found == {
        "a.txt": (b"", "It needs a password; unpack the archive and try again."),
        "b.txt": (b"", "It is broken: it cannot be unpacked."),
        "c.txt": (b"cccc", ""),
    }


def test_links_in_archives_are_no_documents(write):
    info = zipfile.ZipInfo("passwords.txt")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = write([(info, "/etc/passwd")])
    assert members(path) == [Member("passwords.txt", reason="a link", is_skipped=True)]


def test_bombs_are_refused_before_they_are_unpacked(write):
    bomb = write([("bomb.txt", bytes(12 * 2**20))])
    with pytest.raises(UnreadableFile, match="bomb"):
        members(bomb)
    inner = zipped([("bomb.txt", bytes(12 * 2**20))])
    (member,) = members(write([("inner.zip", inner)]))
    assert "bomb" in member.reason
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w", zipfile.ZIP_STORED) as archive:
        for index in range(10_001):
            archive.writestr(f"{index}.txt", b"")
    with pytest.raises(UnreadableFile, match="10001 files"):
        members(write(many.getvalue()))


def test_a_member_larger_than_it_claims_is_broken(write):
    data = bytearray(zipped([("a.txt", bytes(100_000))]))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = (10).to_bytes(4, "little")
    (member,) = members(write(bytes(data)))
    assert (member.data, member.reason) == (b"", "It is broken: it cannot be unpacked.")


def test_what_is_no_archive_is_told(write):
    for data in (b"", b"PK\x03\x04 cut", b"plain text"):
        with pytest.raises(UnreadableFile, match="no zip archive"):
            members(write(data))
    assert members(write(zipped([]))) == []
    with pytest.raises(OSError, match="No such file"):
        list(iterate_members(write(b"", "x.zip").with_name("gone.zip")))
