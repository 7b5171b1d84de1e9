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
    ".docm": "docx",
    ".dotx": "docx",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
    ".xltx": "xlsx",
    ".pptx": "pptx",
    ".pptm": "pptx",
    ".ppsx": "pptx",
    ".odt": "odf",
    ".ott": "odf",
    ".ods": "odf",
    ".odp": "odf",
    ".rtf": "rtf",
    ".epub": "epub",
    ".ipynb": "ipynb",
    ".json": "json",
    ".geojson": "json",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
    ".rst": "rst",
    ".log": "text",
    ".eml": "eml",
    ".mbox": "mbox",
    ".msg": "msg",
    ".csv": "csv",
    ".tsv": "csv",
}

# Programs and settings: read as they are, their definitions as headings.
_CODE_SUFFIXES = """
.py .pyi .js .mjs .cjs .jsx .ts .tsx .vue .java .kt .kts .scala .c .h .cc .cpp .cxx .hpp .hh .cs .go .rs
.swift .php .rb .pl .lua .r .jl .sh .bash .zsh .ps1 .bat .sql .css .scss .proto .tex .yaml .yml .toml .ini
.cfg .conf .properties .tf .gradle .cmake
"""
_MODULES.update(dict.fromkeys(_CODE_SUFFIXES.split(), "code"))
# Not read, but answered with what to do.
_MODULES.update(dict.fromkeys((".doc", ".xls", ".ppt", ".xlsb", ".pages", ".numbers", ".key"), "legacy"))

#: The endings of files that are taken, in lower case with their dot.
SUPPORTED_SUFFIXES = frozenset(_MODULES)


def reader_for(suffix: str) -> Callable[[bytes], Reading]:
    """The reader of files that end so, imported when first asked for."""
    module = import_module(f"{__name__}.{_MODULES[suffix]}")
    reader: Callable[[bytes], Reading] = module.read
    return reader
