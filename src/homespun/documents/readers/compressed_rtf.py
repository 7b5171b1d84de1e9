"""The compression that Outlook keeps rich text in (MS-OXRTFCP): back references into 4 KiB of text."""

import struct

from homespun.documents.errors import UnreadableFile

_COMPRESSED, _PLAIN = b"LZFu", b"MELA"
#: What every text begins with as far as its references go (MS-OXRTFCP 2.1.2.1).
_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript "
    b"\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par "
    b"\\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_WINDOW = 4096
_MAX_BYTES = 64 * 2**20


def decompress_rtf(data: bytes) -> bytes:
    """The rich text in the value of the property.

    Raises:
        UnreadableFile: it is not compressed so, or unpacks to more than 64 MiB.
    """
    if len(data) < 16:
        raise UnreadableFile("Its rich text is broken: it is too short.")
    _, size_bytes, kind, _ = struct.unpack_from("<II4sI", data)
    if kind == _PLAIN:
        return data[16 : 16 + size_bytes]
    if kind != _COMPRESSED:
        raise UnreadableFile("Its rich text is broken: it is packed in an unknown way.")
    if size_bytes > _MAX_BYTES:
        raise UnreadableFile(f"Its rich text unpacks to more than {_MAX_BYTES // 2**20} MiB.")
    window = bytearray(_DICTIONARY.ljust(_WINDOW, b"\0"))
    at, out, position = len(_DICTIONARY), bytearray(), 16
    while position < len(data) and len(out) < size_bytes:
        control = data[position]
        position += 1
        for bit in range(8):
            if not control >> bit & 1:
                piece = data[position : position + 1]
                position += 1
            else:
                token = int.from_bytes(data[position : position + 2], "big")
                position += 2
                offset, length = token >> 4, (token & 0xF) + 2
                if offset == at:  # the end, by definition
                    return bytes(out[:size_bytes])
                piece = _copied(window, offset, length, at)
            for value in piece:
                window[at] = value
                at = (at + 1) % _WINDOW
            out += piece
            if position >= len(data):
                break
    return bytes(out[:size_bytes])


def _copied(window: bytearray, offset: int, length: int, at: int) -> bytes:
    """What a reference stands for; it may reach into what it writes itself."""
    piece = bytearray()
    for index in range(length):
        source = (offset + index) % _WINDOW
        ahead = (source - at) % _WINDOW
        piece.append(piece[ahead] if ahead < index else window[source])
    return bytes(piece)
