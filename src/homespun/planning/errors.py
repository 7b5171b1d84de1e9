"""Failures of planning."""

from homespun.errors import HomespunError


class PlanError(HomespunError):
    """Something that cannot be planned, measured or shown."""
