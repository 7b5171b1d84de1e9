"""Small files made on the spot: PDFs (also locked and scanned ones) and Word documents."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class PdfPage:
    """Lines of Helvetica from the top; with `image`, a grey picture covers the page."""

    lines: Sequence[str] = ()
    image: bool = False


_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def _rc4(key: bytes, data: bytes) -> bytes:
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    out, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def _build_pdf(pages: Sequence[PdfPage], user_password: str = "", owner_password: str = "") -> bytes:
    """A PDF 1.4 file; with a password, encrypted by 40-bit RC4 (revision 2 of the standard handler)."""
    is_locked = bool(user_password or owner_password)
    identifier = bytes(range(16))
    key, encrypt = b"", b""
    if is_locked:
        user = (user_password.encode() + _PADDING)[:32]
        owner = ((owner_password or user_password).encode() + _PADDING)[:32]
        owner_entry = _rc4(hashlib.md5(owner).digest()[:5], user)
        permissions = -64  # nothing but reading
        seed = user + owner_entry + permissions.to_bytes(4, "little", signed=True) + identifier
        key = hashlib.md5(seed).digest()[:5]
        user_entry = _rc4(key, _PADDING)
        encrypt = (
            f"<</Filter/Standard/V 1/R 2/O<{owner_entry.hex()}>/U<{user_entry.hex()}>/P {permissions}>>"
        ).encode()

    objects: list[bytes] = []

    def stream(number: int, entries: str, data: bytes) -> bytes:
        if is_locked:
            salt = number.to_bytes(3, "little") + b"\0\0"
            data = _rc4(hashlib.md5(key + salt).digest()[:10], data)
        return f"<<{entries}/Length {len(data)}>>stream\n".encode() + data + b"\nendstream"

    first_page = 5
    kids = " ".join(f"{first_page + 2 * index} 0 R" for index in range(len(pages)))
    objects.append(b"<</Type/Catalog/Pages 2 0 R>>")
    objects.append(f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode())
    objects.append(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>")
    image = "/Type/XObject/Subtype/Image/Width 2/Height 2/ColorSpace/DeviceGray/BitsPerComponent 8"
    objects.append(stream(4, image, bytes([50, 100, 150, 200])))
    for index, page in enumerate(pages):
        number = first_page + 2 * index
        objects.append(
            (
                f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {number + 1} 0 R"
                "/Resources<</Font<</F 3 0 R>>/XObject<</I 4 0 R>>>>>>"
            ).encode()
        )
        content = b"q 595 0 0 842 0 0 cm /I Do Q\n" if page.image else b""
        content += b"BT /F 11 Tf 14 TL 50 800 Td\n"
        for line in page.lines:
            shown = line.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
            content += b"(" + shown + b") Tj T*\n"
        objects.append(stream(number + 1, "", content + b"ET"))
    if is_locked:
        objects.append(encrypt)

    out = bytearray(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    locked = f"/Encrypt {len(objects)} 0 R/ID[<{identifier.hex()}><{identifier.hex()}>]" if is_locked else ""
    out += f"trailer<</Size {len(objects) + 1}/Root 1 0 R{locked}>>\nstartxref\n{table}\n%%EOF".encode()
    return bytes(out)


@pytest.fixture(scope="session")
def pdf_page() -> type[PdfPage]:
    """The class of one page of `build_pdf`."""
    return PdfPage


@pytest.fixture(scope="session")
def build_pdf() -> Callable[..., bytes]:
    """The bytes of a PDF: build_pdf(pages, user_password="", owner_password="")."""
    return _build_pdf


_NAMESPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def _build_docx(body: str, styles: str = "") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "word/document.xml", f"<w:document {_NAMESPACE}><w:body>{body}</w:body></w:document>"
        )
        if styles:
            archive.writestr("word/styles.xml", f"<w:styles {_NAMESPACE}>{styles}</w:styles>")
    return out.getvalue()


@pytest.fixture(scope="session")
def build_docx() -> Callable[..., bytes]:
    """The bytes of a Word document with this body and these styles, both WordprocessingML."""
    return _build_docx
