"""Output that must satisfy a JSON schema, a regular expression or a grammar: masks over the vocabulary."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from homespun.engines.engine import GenerateOptions
from homespun.engines.errors import ConstraintError
from homespun.models.tokenizer import Tokenizer


class Constraint(Protocol):
    """What one answer may go on with, token by token."""

    def mask(self) -> npt.NDArray[np.bool_]:
        """Tokens that may come next: (n_vocab,). End tokens are among them where the answer may end."""

    def advance(self, token_id: int) -> None:
        """Take a token that was drawn; the next mask is computed beside the model's step."""

    @property
    def is_complete(self) -> bool:
        """Nothing but an end token could follow."""


def begin_constraint(options: GenerateOptions, tokenizer: Tokenizer) -> Constraint | None:
    """The constraint that an answer's options ask for; None where they ask for none.

    Raises:
        ConstraintError: it cannot be enforced, naming the part.
    """
    if options.json_schema or options.regex or options.grammar:
        raise ConstraintError("constrained output is not built yet")
    return None
