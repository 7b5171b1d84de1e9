"""Failures of reading and splitting documents."""

from homespun.errors import HomespunError


class DocumentError(HomespunError):
    """A document that cannot be read or split."""


class UnreadableFile(DocumentError):
    """A file whose content gives no text; `what` is the reason as one plain sentence."""


class LimitTooSmall(DocumentError):
    """A token limit so small that not even one character fits."""


class FetchError(DocumentError):
    """A web address that cannot or may not be fetched."""
