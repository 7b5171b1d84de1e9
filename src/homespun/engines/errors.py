"""Failures of running a model."""

from homespun.errors import HomespunError


class EngineError(HomespunError):
    """A model cannot be run here, or an engine failed."""


class WindowError(EngineError):
    """A request that does not fit the context window or the key-value cache."""


class AdapterError(EngineError):
    """An adapter that is not loaded, does not match the model, or holds what cannot be applied."""


class ConstraintError(EngineError):
    """A schema, regular expression or grammar that cannot be enforced; nothing is written without it."""


class CheckError(EngineError):
    """An engine whose numbers on the probe are further from the reference than its bound."""


class RemoteError(EngineError):
    """A remote server that cannot be reached, refuses the request, or does not offer what was asked for."""


class ChatError(EngineError):
    """A kept chat that is not there, is in use elsewhere, has an impossible name, or cannot be read."""
