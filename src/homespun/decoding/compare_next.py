"""The next token's odds side by side: the base model and an adapter, with a passage and without."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homespun.decoding.next import NextTokens, check_k, describe, next_tokens, prompt_ids
from homespun.decoding.stages import Floats
from homespun.engines.engine import Engine, GenerateOptions

BASE = "base"


@dataclass(frozen=True)
class NextVariant:
    """The odds of one way of asking.

    Attributes:
        name: "base", "with the adapter", "behind the passage" or "with both".
        kl_nats: how far the odds moved: the Kullback-Leibler divergence of these from the base's, over all
            tokens; None for the base, and where a server tells its best tokens only.
    """

    name: str
    found: NextTokens
    kl_nats: float | None


@dataclass(frozen=True)
class ComparedToken:
    """A token that is among the most probable of some way of asking.

    Attributes:
        id: None where a server does not tell it.
        probabilities: under the model, one for each way; None where a server does not tell it.
    """

    id: int | None
    token: str
    probabilities: tuple[float | None, ...]


@dataclass(frozen=True)
class NextComparison:
    """All ways of asking, the base first, and the tokens side by side, the most probable anywhere first."""

    variants: tuple[NextVariant, ...]
    tokens: tuple[ComparedToken, ...]


def compare_next(
    engine: Engine,
    text: str,
    options: GenerateOptions = GenerateOptions(temperature=1.0),
    *,
    k: int = 10,
    passage: str | None = None,
    adapter: str | None = None,
    chat: bool = False,
) -> NextComparison:
    """The k most probable next tokens of the base model, and of what a passage and an adapter make of it.

    Args:
        engine: any; a server's model takes no adapter.
        text: that goes on, or a chat's question.
        options: what is done to the odds, stage by stage.
        k: tokens for each way of asking.
        passage: a text before the prompt.
        adapter: a loaded adapter's name.
        chat: whether the text is a chat's question.

    Raises:
        DecodingError: k is below 1, or a server that tells no probabilities.
        WindowError, AdapterError: as the engine says.
    """
    check_k(k)
    ways: list[tuple[str, str | None, str | None]] = [(BASE, None, None)]
    if adapter is not None:
        ways.append(("with the adapter", None, adapter))
    if passage is not None:
        ways.append(("behind the passage", passage, None))
    if adapter is not None and passage is not None:
        ways.append(("with both", passage, adapter))
    asked = [(name, prompt_ids(engine, text, passage=before, chat=chat), used) for name, before, used in ways]
    if engine.facts.engine == "remote":
        told = [next_tokens(engine, ids, options, k=k, adapter=used) for _, ids, used in asked]
        variants = [NextVariant(name, one, None) for (name, _, _), one in zip(asked, told, strict=True)]
        return NextComparison(tuple(variants), _told_tokens(told))
    rows = [engine.distributions(ids, last=1, adapter=used)[0] for _, ids, used in asked]
    found = [describe(engine, row, ids, options, k) for row, (_, ids, _) in zip(rows, asked, strict=True)]
    variants = [
        NextVariant(name, one, kl_nats(row, rows[0]) if place else None)
        for place, ((name, _, _), one, row) in enumerate(zip(asked, found, rows, strict=True))
    ]
    return NextComparison(tuple(variants), _tokens(engine, found, rows))


def kl_nats(log_probabilities: Floats, base: Floats) -> float:
    """The Kullback-Leibler divergence of one distribution from another, both log-probabilities (n_vocab,)."""
    values, others = np.asarray(log_probabilities, np.float64), np.asarray(base, np.float64)
    some = np.isfinite(values)
    return max(0.0, float((np.exp(values[some]) * (values[some] - others[some])).sum()))


def _tokens(engine: Engine, found: Sequence[NextTokens], rows: Sequence[Floats]) -> tuple[ComparedToken, ...]:
    odds = np.exp(np.stack([np.asarray(row, np.float64) for row in rows]))
    ids = {one.id for told in found for one in told.candidates if one.id is not None}
    ordered = sorted(ids, key=lambda token_id: (-odds[:, token_id].max(), token_id))
    text = engine.tokenizer.token_text
    return tuple(
        ComparedToken(token_id, text(token_id), tuple(float(value) for value in odds[:, token_id]))
        for token_id in ordered
    )


def _told_tokens(told: Sequence[NextTokens]) -> tuple[ComparedToken, ...]:
    odds = [{candidate.token: candidate.probability for candidate in one.candidates} for one in told]
    tokens = {token: max(one.get(token, 0.0) for one in odds) for one in odds for token in one}
    ordered = sorted(tokens, key=lambda token: (-tokens[token], token))
    return tuple(ComparedToken(None, token, tuple(one.get(token) for one in odds)) for token in ordered)
