"""Writes OLE compound files (MS-CFB) for tests: small streams in the mini stream, large ones in sectors."""

import struct

_SECTOR, _MINI, _CUTOFF = 512, 64, 4096
_END, _FREE, _FAT_SECTOR, _NONE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0xFFFFFFFF

Tree = dict[str, "bytes | Tree"]


def build_ole(tree: Tree) -> bytes:
    """The bytes of a compound file; folders of the tree are its storages, bytes its streams."""
    entries = [["Root Entry", 5, _NONE, _NONE, 0, 0, b""]]  # name, kind, next, child, start, size, data

    def add(parent: int, branch: Tree) -> None:
        before = None
        for name in branch:
            index = len(entries)
            content = branch[name]
            is_stream = isinstance(content, bytes)
            data = content if is_stream else b""
            entries.append([name, 2 if is_stream else 1, _NONE, _NONE, 0, len(data), data])
            if before is None:
                entries[parent][3] = index
            else:
                entries[before][2] = index
            before = index
            if not is_stream:
                add(index, content)

    add(0, tree)
    sectors: list[bytes] = []
    fat: list[int] = []

    def put(data: bytes, special: int | None = None) -> int:
        """Append data as a chain of sectors; gives the first."""
        first = len(sectors)
        n = -(-len(data) // _SECTOR)
        for index in range(n):
            sectors.append(data[index * _SECTOR : (index + 1) * _SECTOR].ljust(_SECTOR, b"\0"))
            fat.append(special if special is not None else first + index + 1 if index + 1 < n else _END)
        return first if n else _END

    mini, mini_fat = bytearray(), []
    for entry in entries[1:]:
        data = entry[6]
        if entry[1] != 2 or not data:
            entry[4] = _END if entry[1] == 2 else 0
        elif len(data) >= _CUTOFF:
            entry[4] = put(data)
        else:
            first, n = len(mini_fat), -(-len(data) // _MINI)
            entry[4] = first
            mini += data.ljust(n * _MINI, b"\0")
            mini_fat += [first + index + 1 for index in range(n - 1)] + [_END]
    entries[0][4], entries[0][5] = put(bytes(mini)), len(mini)
    mini_fat_start = put(struct.pack(f"<{len(mini_fat)}I", *mini_fat).ljust(_SECTOR, b"\xff"))
    n_mini_fat = -(-len(mini_fat) * 4 // _SECTOR)
    rows = b"".join(_entry(*entry[:6]) for entry in entries)
    rows += _entry("", 0, _NONE, _NONE, 0, 0) * (-len(entries) % 4)
    directory = put(rows)
    n_fat = 1
    while n_fat * 128 < len(sectors) + n_fat:
        n_fat += 1
    first_fat = len(sectors)
    fat += [_FAT_SECTOR] * n_fat
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(n_fat * _SECTOR, b"\xff")
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    header += struct.pack("<IIIIIIIII", 0, n_fat, directory, 0, _CUTOFF, mini_fat_start, n_mini_fat, _END, 0)
    places = [first_fat + index for index in range(n_fat)]
    header += struct.pack("<109I", *places, *[_FREE] * (109 - n_fat))
    return header + b"".join(sectors) + table


def _entry(name: str, kind: int, following: int, child: int, start: int, size: int) -> bytes:
    raw = (name + "\0").encode("utf-16-le") if name else b""
    head = raw.ljust(64, b"\0") + struct.pack("<HBB", len(raw), kind, 1)
    return head + struct.pack("<III", _NONE, following, child) + bytes(36) + struct.pack("<IQ", start, size)


def build_msg(
    texts: dict[int, str],
    *,
    fixed: dict[int, int] | None = None,
    raw: dict[int, bytes] | None = None,
    attachments: "list[Tree] | None" = None,
    head: int = 32,
) -> Tree:
    """The storages of an Outlook message: texts, binary values and attachments by property number."""
    tree: Tree = {f"__substg1.0_{number:04X}001F": text.encode("utf-16-le") for number, text in texts.items()}
    for number, value in (raw or {}).items():
        tree[f"__substg1.0_{number:04X}0102"] = value
    rows = [struct.pack("<HHIQ", 0x40, number, 6, value) for number, value in (fixed or {}).items()]
    tree["__properties_version1.0"] = bytes(head) + b"".join(rows)
    for index, attachment in enumerate(attachments or []):
        tree[f"__attach_version1.0_#{index:08X}"] = attachment
    return tree
