"""What every engine of this package holds besides its way of computing."""

from abc import ABC, abstractmethod
from typing import Self

from homespun.engines.engine import EngineFacts
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer


class LoadedModel(ABC):
    """A model with its tokenizer, template and facts, usable in a `with` block."""

    _facts: EngineFacts
    _tokenizer: Tokenizer
    _template: ChatTemplate

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def facts(self) -> EngineFacts:
        """What runs, and how."""
        return self._facts

    @facts.setter
    def facts(self, facts: EngineFacts) -> None:
        """Complete them with what was measured after loading."""
        self._facts = facts

    @property
    def tokenizer(self) -> Tokenizer:
        """The file's own tokenizer."""
        return self._tokenizer

    @property
    def template(self) -> ChatTemplate:
        """The file's own chat template."""
        return self._template

    def prepare_adapters(self) -> None:  # noqa: B027  (most engines have nothing to prepare)
        """Begin what the first adapter needs. See `Engine.prepare_adapters`."""

    @abstractmethod
    def close(self) -> None:
        """Free the model."""
