"""Failures of looking at how a model writes."""

from homespun.errors import HomespunError


class DecodingError(HomespunError):
    """A view or a strategy that cannot be had for this model or with these options."""
