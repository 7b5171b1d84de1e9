"""How probable a model finds a given text after another: one number a token, from any engine."""

from collections.abc import Sequence

import numpy as np

from homespun.engines.engine import Engine, FloatArray, ScoreRequest
from homespun.engines.errors import EngineError
from homespun.progress import Progress, no_progress

#: Requests that an engine gets at once: enough to fill its batches, few enough to tell progress.
_AT_ONCE = 32


def log_likelihoods(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    continuations: Sequence[Sequence[int]],
    *,
    adapter: str | None = None,
    progress: Progress = no_progress,
    what: str = "reading passages",
) -> list[FloatArray]:
    """Log-probabilities of each continuation's tokens, given its prompt and the tokens before.

    The engine computes logits for the continuations only, and reads many prompts in one batch where it can.

    Args:
        engine: any engine that scores given tokens.
        prompts: token ids, each at least one.
        continuations: token ids, one list a prompt; an empty one gets an empty array.
        adapter: a loaded adapter; None is the base model.
        progress: told the number of prompts read, as work named `what`.

    Returns:
        For each prompt float32 (tokens of its continuation,) in nats.

    Raises:
        WindowError: a prompt and its continuation are longer than the engine's window.
        EngineError: an empty prompt, or as many continuations as prompts are not given.
    """
    if len(prompts) != len(continuations):
        raise EngineError(f"{len(prompts)} prompts need as many continuations, not {len(continuations)}")
    if any(not len(prompt) for prompt in prompts):
        raise EngineError("a prompt is empty", remedy="Give at least one token, such as the begin token.")
    asked = [number for number, tokens in enumerate(continuations) if len(tokens)]
    found = [np.zeros(0, np.float32) for _ in prompts]
    for start in range(0, len(asked), _AT_ONCE):
        batch = asked[start : start + _AT_ONCE]
        requests = [
            ScoreRequest((*prompts[number], *continuations[number]), len(continuations[number]), adapter)
            for number in batch
        ]
        for number, values in zip(batch, engine.score(requests), strict=True):
            found[number] = values
        progress(what, start + len(batch), len(asked))
    return found
