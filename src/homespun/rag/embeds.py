"""What this room needs of an embedder."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


class Embeds(Protocol):
    """Texts to unit vectors: float32 (n texts, dimensions)."""

    def embed(self, texts: Sequence[str], kind: Literal["query", "passage"]) -> FloatArray: ...
