"""What every engine refuses before it runs anything: the same sentences, whichever engine it is."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from homespun.engines.engine import EngineOptions, ScoreRequest
from homespun.engines.errors import AdapterError, EngineError, WindowError


def check_sizes(options: EngineOptions) -> None:
    """Refuse sizes below 0.

    Raises:
        EngineError: naming the option and its value.
    """
    for name in ("threads", "cache_tokens"):
        if getattr(options, name) < 0:
            raise EngineError(f"{name} is {getattr(options, name)}; it must be 0 (chosen) or more")


class HasContextLength(Protocol):
    """A description of a model that says how long its window is."""

    @property
    def context_length(self) -> int: ...


def checked_window(window: int, config: HasContextLength) -> int:
    """The window in force: what was asked for, or the model's own where that is 0.

    Raises:
        EngineError: more than the model was trained for.
    """
    if window < 0 or window > config.context_length:
        raise EngineError(
            f"window is {window}; this model was trained for at most {config.context_length} tokens",
            remedy=f"Choose a window between 1 and {config.context_length}, or 0 for the model's own.",
        )
    return window or config.context_length


def check_tokens(token_ids: Sequence[int], *, room: int, window: int, n_vocab: int) -> None:
    """Refuse tokens that cannot be read.

    Args:
        room: tokens that must still fit after them.

    Raises:
        WindowError: they and the room are more than the window.
        EngineError: none at all, or ids that the vocabulary does not have.
    """
    if not len(token_ids):
        raise EngineError("the prompt is empty", remedy="Give at least one token.")
    if len(token_ids) + room > window:
        raise WindowError(
            f"the prompt has {len(token_ids)} tokens; the window holds {window}, answer included",
            remedy="Shorten the prompt, or use a model with a larger window.",
        )
    ids = np.asarray(token_ids)
    if ids.min() < 0 or ids.max() >= n_vocab:
        raise EngineError(f"token ids must be between 0 and {n_vocab - 1}")


def check_score(request: ScoreRequest, *, window: int, n_vocab: int) -> None:
    """Refuse a score request that asks for more tokens than have something before them."""
    if not 1 <= request.n_scored < len(request.token_ids):
        raise EngineError(
            f"n_scored is {request.n_scored}; it must be between 1 and the number of tokens less one "
            f"({len(request.token_ids) - 1}), for each token is scored given those before it"
        )
    check_tokens(request.token_ids, room=0, window=window, n_vocab=n_vocab)


def check_last(token_ids: Sequence[int], last: int, *, window: int, n_vocab: int) -> None:
    """Refuse a wish for distributions after more positions than there are."""
    check_tokens(token_ids, room=0, window=window, n_vocab=n_vocab)
    if not 1 <= last <= len(token_ids):
        raise EngineError(f"last is {last}; it must be between 1 and the number of tokens ({len(token_ids)})")


def unknown_adapter(name: str, loaded: Sequence[str]) -> AdapterError:
    """What is raised for the name of an adapter that is not loaded."""
    return AdapterError(f"adapter {name!r} is not loaded; loaded: {', '.join(loaded) or 'none'}")
