"""Failures of running a model."""

from homespun.errors import HomespunError


class EngineError(HomespunError):
    """A model cannot be run here, or an engine failed."""


class WindowError(EngineError):
    """A request that does not fit the context window or the key-value cache."""


class AdapterError(EngineError):
    """An adapter that is not loaded, does not match the model, or holds what cannot be applied."""
