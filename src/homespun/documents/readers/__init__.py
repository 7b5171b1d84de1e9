"""One format a file; each module has `read(data: bytes) -> Reading`.

A reader raises `UnreadableFile` with a plain sentence when a file gives no text.
"""

from collections.abc import Callable
from importlib import import_module

from homespun.documents.document import Reading

_MODULES = {
    ".txt": "text",
    ".text": "text",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
    ".docx": "docx",
    ".eml": "eml",
    ".mbox": "mbox",
    ".msg": "msg",
    ".csv": "csv",
    ".tsv": "csv",
}

#: The endings of files that are read, in lower case with their dot.
SUPPORTED_SUFFIXES = frozenset(_MODULES)


def reader_for(suffix: str) -> Callable[[bytes], Reading]:
    """The reader of files that end so, imported when first asked for."""
    module = import_module(f"{__name__}.{_MODULES[suffix]}")
    reader: Callable[[bytes], Reading] = module.read
    return reader
