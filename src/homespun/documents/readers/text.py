"""Plain text: the decoded file itself."""

from homespun.documents.decode import decode_text
from homespun.documents.document import Reading


def read(data: bytes) -> Reading:
    """The file's text; plain text has no headings that one could be sure of."""
    return Reading(decode_text(data).text)
