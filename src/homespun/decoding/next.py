"""The most probable next tokens, before and after each option; with and without an adapter or a passage."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homespun.decoding.errors import DecodingError
from homespun.decoding.stages import Floats, Stage, entropy_nats, stages
from homespun.engines.engine import Engine, GenerateOptions, Request
from homespun.models.template import Message


@dataclass(frozen=True)
class NextCandidate:
    """A possible next token.

    Attributes:
        logit: its log-probability under the model: logits but for one shift common to all tokens, which
            softmax takes no notice of.
        probability: under the model.
        cumulative: of this and all more probable tokens.
        by_stage: its probability after each stage, in their order.
    """

    id: int
    token: str
    bytes: str
    logit: float
    probability: float
    cumulative: float
    by_stage: tuple[float, ...] = ()


@dataclass(frozen=True)
class NextTokens:
    """The odds of the next token.

    Attributes:
        n_prompt_tokens: that were read.
        entropy_nats: of the model's odds; None where only the best tokens are known.
        n_effective: equally likely tokens with the same entropy.
        stage_names, stage_left, stage_entropy_nats: of each stage, "model" first.
        mass_told: what the candidates have together.
    """

    candidates: tuple[NextCandidate, ...]
    n_prompt_tokens: int
    entropy_nats: float | None
    n_effective: float | None
    stage_names: tuple[str, ...]
    stage_left: tuple[int, ...]
    stage_entropy_nats: tuple[float, ...]
    mass_told: float


def prompt_ids(
    engine: Engine, text: str, *, passage: str | None = None, chat: bool = False
) -> tuple[int, ...]:
    """What the model reads: the text to go on with, behind a passage if there is one, or as a chat's turn."""
    whole = text if passage is None else f"{passage}\n\n{text}"
    if chat:
        return tuple(engine.template.encode([Message("user", whole)]))
    tokenizer = engine.tokenizer
    return (*tokenizer.begin_ids, *tokenizer.encode(whole))


def next_tokens(
    engine: Engine,
    token_ids: Sequence[int],
    options: GenerateOptions = GenerateOptions(temperature=1.0),
    *,
    k: int = 10,
    adapter: str | None = None,
) -> NextTokens:
    """The k most probable next tokens after a prompt, and what each option makes of them.

    A remote model tells its best few only; whole distributions and stages are left out then.

    Raises:
        DecodingError: k is below 1.
        WindowError, AdapterError: as the engine says.
    """
    if k < 1:
        raise DecodingError(f"k is {k}; it must be 1 or more.")
    if engine.facts.engine == "remote":
        return _told_by_server(engine, token_ids, k)
    logits = engine.distributions(token_ids, last=1, adapter=adapter)[0]
    found = stages(logits, options, token_ids)
    return _described(engine, logits, found, len(token_ids), k)


def _described(engine: Engine, logits: Floats, found: list[Stage], n_prompt: int, k: int) -> NextTokens:
    odds = found[0].probabilities
    order = np.argsort(-odds, kind="stable")[:k]
    running = np.cumsum(odds[order])
    tokenizer = engine.tokenizer
    candidates = tuple(
        NextCandidate(
            int(token_id),
            tokenizer.token_text(int(token_id)),
            tokenizer.token_bytes(int(token_id)).hex(),
            float(logits[token_id]),
            float(odds[token_id]),
            float(total),
            tuple(float(stage.probabilities[token_id]) for stage in found),
        )
        for token_id, total in zip(order, running, strict=True)
    )
    return NextTokens(
        candidates,
        n_prompt,
        entropy_nats(odds),
        found[0].n_effective,
        tuple(stage.name for stage in found),
        tuple(stage.n_left for stage in found),
        tuple(stage.entropy_nats for stage in found),
        float(running[-1]),
    )


def _told_by_server(engine: Engine, token_ids: Sequence[int], k: int) -> NextTokens:
    options = GenerateOptions(max_new_tokens=1, n_best=k)
    result = engine.generate([Request(tuple(token_ids), options)])[0]
    best = result.steps[0].best if result.steps else ()
    if not best:
        raise DecodingError(
            "This server tells no probabilities.",
            remedy="Use a local model to see the odds of the next token.",
        )
    odds = np.exp([candidate.log_probability for candidate in best])
    running = np.cumsum(odds)
    tokenizer = engine.tokenizer
    candidates = tuple(
        NextCandidate(
            c.token_id,
            tokenizer.token_text(c.token_id),
            tokenizer.token_bytes(c.token_id).hex(),
            c.log_probability,
            float(p),
            float(total),
            (float(p),),
        )
        for c, p, total in zip(best, odds, running, strict=True)
    )
    return NextTokens(candidates, result.n_prompt_tokens, None, None, ("model",), (), (), float(running[-1]))
