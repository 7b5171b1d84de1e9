"""A trace as a picture."""

import math
from pathlib import Path

from homespun.decoding.trace import Trace
from homespun.pictures.token_rows import draw_token_rows


def draw_trace(traced: Trace, path: Path) -> None:
    """Probability and entropy of each token, and what each passage changed; hesitations dark and hatched.

    Args:
        path: ends in .png or .svg.

    Raises:
        PictureError: another ending, or a file that cannot be written.
    """
    tokens = traced.tokens
    rows = {
        "probability": [math.nan if t.probability is None else t.probability for t in tokens],
        "entropy (nats)": [math.nan if t.entropy_low is None else t.entropy_low for t in tokens],
    }
    draw_token_rows(
        [t.token for t in tokens],
        rows,
        path,
        title=f"{' '.join(traced.prompt.split())[:70]} (dark: the model hesitated)",
        marked=[bool(t.hesitation) for t in tokens],
        changes={
            f"{n}. {effect.name}" if effect.text else effect.name: effect.differences
            for n, effect in enumerate(traced.effects, 1)
        },
        change_unit="change of log-probability (nats)",
    )
