"""Failures of finding, fetching and reading a model."""

from homespun.errors import HomespunError


class ModelError(HomespunError):
    """A model that is not there or cannot be used."""


class ModelFileError(ModelError):
    """A file that is no whole, well-formed GGUF (or safetensors) file."""


class TokenizerError(ModelError):
    """A tokenizer of a kind that Homespun does not know, or that does not belong to its model."""


class FetchError(ModelError):
    """A download that failed, was cut, or does not have the pinned checksum."""


class TemplateError(ModelError):
    """A chat template that cannot be read, or that refuses the messages it is given."""


class HomeError(ModelError):
    """The home folder cannot be read or written, or has no room."""


class UnknownModelError(ModelError):
    """A name under which no model (or embedder) is registered."""
