"""The angles by which queries and keys are turned with their position (Su et al. 2021)."""

import numpy as np
import numpy.typing as npt

from homespun.models.config import ModelConfig


def rotary_frequencies(
    config: ModelConfig, factors: npt.NDArray[np.float32] | None, *, is_local: bool = False
) -> npt.NDArray[np.float64]:
    """Radians a position for each pair of values: (rope_dim / 2,) in float64.

    Args:
        factors: (rope_dim / 2,) divisors, as llama 3.1 files carry them in `rope_freqs.weight`.
        is_local: of the layers that see only a window, which have their own base and are never scaled.
    """
    base = config.local_rope_theta if is_local else config.rope_theta
    frequencies = base ** -(np.arange(0, config.rope_dim, 2, dtype=np.float64) / config.rope_dim)
    scaling = config.rope_scaling or {}
    if scaling.get("type") == "linear" and not is_local:
        frequencies = frequencies / scaling["factor"]
    return frequencies if factors is None else frequencies / factors.astype(np.float64)
