"""How one token is drawn from logits: small pure functions on arrays of shape (n_vocab,).

Temperature divides the logits (Ackley et al. 1985); top-k keeps the k best (Fan et al. 2018); top-p keeps
the smallest set of best tokens with that much probability (Holtzman et al. 2020); min-p drops tokens
below a share of the best one's probability (Nguyen et al. 2024); the repeat penalty divides positive
logits and multiplies negative ones of tokens already there (Keskar et al. 2019).
"""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from homespun.engines.engine import Candidate, GenerateOptions
from homespun.engines.errors import EngineError

Floats = npt.NDArray[np.floating]


def check_options(options: GenerateOptions) -> None:
    """Refuse values outside their range, naming option, value and range.

    Raises:
        EngineError: a value out of range.
    """
    rules = (
        ("max_new_tokens", options.max_new_tokens >= 1, "at least 1"),
        ("temperature", 0 <= options.temperature < float("inf"), "0 or more"),
        ("top_k", options.top_k >= 0, "0 (all) or more"),
        ("top_p", 0 < options.top_p <= 1, "above 0 and at most 1"),
        ("min_p", 0 <= options.min_p <= 1, "between 0 and 1"),
        ("repeat_penalty", 0 < options.repeat_penalty < float("inf"), "above 0"),
        ("n_best", options.n_best >= 0, "0 or more"),
        ("seed", options.seed is None or options.seed >= 0, "0 or more"),
        ("stop", all(options.stop), "texts that are not empty"),
    )
    for name, is_right, allowed in rules:
        if not is_right:
            raise EngineError(f"{name} is {getattr(options, name)!r}; it must be {allowed}")


def log_softmax(logits: Floats) -> npt.NDArray[np.float32]:
    """Log-probabilities along the last axis, summed in float64: same shape, float32."""
    shifted = logits.astype(np.float32) - logits.max(axis=-1, keepdims=True)
    total = np.exp(shifted).sum(axis=-1, keepdims=True, dtype=np.float64)
    return (shifted - np.log(total)).astype(np.float32)


def best_candidates(log_probabilities: Floats, n_best: int) -> tuple[Candidate, ...]:
    """The n most probable tokens, best first; equal ones by lower id."""
    if n_best <= 0:
        return ()
    n_best = min(n_best, len(log_probabilities))
    top = np.argpartition(log_probabilities, -n_best)[-n_best:]
    top = top[np.lexsort((top, -log_probabilities[top]))]
    return tuple(Candidate(int(i), float(log_probabilities[i])) for i in top)


def penalize_repeats(logits: Floats, token_ids: Collection[int], penalty: float) -> Floats:
    """Logits with those of tokens already there made smaller."""
    if penalty == 1.0 or not token_ids:
        return logits
    changed = logits.astype(np.float32)
    seen = np.fromiter(set(token_ids), np.int64)
    values = changed[seen]
    changed[seen] = np.where(values > 0, values / penalty, values * penalty)
    return changed


def keep_top_k(probabilities: Floats, top_k: int) -> Floats:
    """Probabilities of the k best tokens, the others 0; not yet summing to 1."""
    if top_k <= 0 or top_k >= len(probabilities):
        return probabilities
    kept = np.argpartition(probabilities, -top_k)[-top_k:]
    result = np.zeros_like(probabilities)
    result[kept] = probabilities[kept]
    return result


def keep_top_p(probabilities: Floats, top_p: float) -> Floats:
    """The smallest set of best tokens whose share of the whole reaches top_p, the others 0."""
    if top_p >= 1.0:
        return probabilities
    order = np.argsort(-probabilities, kind="stable")
    total = np.cumsum(probabilities[order])
    n_kept = int(np.searchsorted(total, top_p * total[-1])) + 1
    result = np.zeros_like(probabilities)
    result[order[:n_kept]] = probabilities[order[:n_kept]]
    return result


def keep_min_p(probabilities: Floats, min_p: float) -> Floats:
    """Tokens with at least min_p times the best one's probability, the others 0."""
    if min_p <= 0:
        return probabilities
    return np.where(probabilities >= min_p * probabilities.max(), probabilities, 0)


def next_probabilities(logits: Floats, options: GenerateOptions, seen: Collection[int]) -> Floats:
    """What is drawn from, float64 and summing to 1: penalty, temperature, top-k, top-p, min-p, in this order.

    At temperature 0 all mass is on the most probable token.
    """
    logits = penalize_repeats(logits, seen, options.repeat_penalty)
    if options.temperature == 0:
        certain = np.zeros(len(logits), np.float64)
        certain[int(np.argmax(logits))] = 1.0
        return certain
    below_best = logits.astype(np.float64) - logits.max()
    with np.errstate(over="ignore"):  # a temperature next to 0 leaves the best token alone
        probabilities = np.exp(below_best / options.temperature)
    probabilities = keep_top_k(probabilities, options.top_k)
    probabilities = keep_top_p(probabilities, options.top_p)
    probabilities = keep_min_p(probabilities, options.min_p)
    return probabilities / probabilities.sum()


def choose_token(
    logits: Floats, options: GenerateOptions, seen: Collection[int], random: np.random.Generator
) -> int:
    """One token id drawn by the options."""
    if options.temperature == 0:
        return int(np.argmax(penalize_repeats(logits, seen, options.repeat_penalty)))
    total = np.cumsum(next_probabilities(logits, options, seen))
    return int(np.searchsorted(total, random.random() * total[-1], side="right"))
