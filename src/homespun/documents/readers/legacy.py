"""Files of old or closed office programs: not read, but answered with what to do."""

from homespun.documents.document import Reading
from homespun.documents.errors import UnreadableFile

_OLD_OFFICE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read(data: bytes) -> Reading:
    """Never gives a text.

    Raises:
        UnreadableFile: always; says which format to save the file in.
    """
    if data.startswith(b"{\\rtf"):
        raise UnreadableFile("It is an RTF file under another name; rename it to .rtf and try again.")
    if data.startswith(_OLD_OFFICE_MAGIC):
        raise UnreadableFile(
            "It is of an old Office format; save it as .docx, .xlsx or .pptx (Office and LibreOffice do) "
            "and try again."
        )
    raise UnreadableFile(
        "Its format is not read; save it as .docx, .xlsx, .pptx or .pdf in the program that made it "
        "and try again."
    )
