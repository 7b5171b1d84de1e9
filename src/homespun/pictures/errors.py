"""Failures of drawing."""

from homespun.errors import HomespunError


class PictureError(HomespunError):
    """A picture that cannot be drawn or written."""
