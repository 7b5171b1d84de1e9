"""Failures of measuring."""

from homespun.errors import HomespunError


class EvaluationError(HomespunError):
    """A file of prompts or questions that cannot be used, or options that measure nothing."""
