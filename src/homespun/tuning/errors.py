"""Failures of this room that a user can act on."""

from homespun.errors import HomespunError


class DataError(HomespunError):
    """Training data that cannot be used: which file, which columns, what was expected."""


class TuneError(HomespunError):
    """A run that cannot begin or go on."""


class ReceiptError(HomespunError):
    """Training and serving do not agree."""


class ExportError(HomespunError):
    """An export that cannot be written, or does not say what the adapter says."""
