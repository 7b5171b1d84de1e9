"""Failures of keeping and searching documents."""

from homespun.errors import HomespunError


class RetrievalError(HomespunError):
    """A library or an embedder that cannot do what was asked."""


class LibraryError(RetrievalError):
    """A library that is not there, is of another embedder, or cannot be read or written."""


class LibraryBusyError(LibraryError):
    """Another process is writing to the library and did not finish in time."""


class EmbedderError(RetrievalError):
    """An embedder's folder that cannot be used, or a text that it cannot read whole."""
