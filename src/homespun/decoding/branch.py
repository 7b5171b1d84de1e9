"""An answer that goes on otherwise from one of its tokens."""

import math
from collections.abc import Sequence
from dataclasses import replace

from homespun.decoding.errors import DecodingError
from homespun.decoding.trace import (
    BuildPrompt,
    HesitationOptions,
    Trace,
    TracedToken,
    n_best_of,
    traced_token,
    what_is_unknown,
    with_effects,
)
from homespun.engines.engine import Engine, Finish, GenerateOptions, Request, ScoreRequest


def branch(
    engine: Engine,
    traced: Trace,
    position: int,
    token: str | int | None,
    build: BuildPrompt,
    options: GenerateOptions,
    *,
    passages: Sequence[tuple[str, str]] = (),
    hesitation: HesitationOptions = HesitationOptions(),
    adapter: str | None = None,
) -> Trace:
    """Put another token at a place of an answer, and let the model go on from there.

    Args:
        position: of the token that is replaced, from 1; what stood before it stays.
        token: its id, or a text (one token or several); None: the most probable other one.
        options: how the answer goes on; `max_new_tokens` counts the kept tokens too.

    The other arguments are those of `trace`.

    Raises:
        DecodingError: no such position, no such token, or no alternative is known.
    """
    if not 1 <= position <= len(traced.tokens):
        raise DecodingError(
            f"The answer has no token {position}.", remedy=f"Name one from 1 to {len(traced.tokens)}."
        )
    kept, replaced = traced.tokens[: position - 1], traced.tokens[position - 1]
    forced = _forced(engine, replaced, token)
    before = (*traced.prompt_ids, *(one.id for one in kept))
    given = _given(engine, before, forced, replaced, adapter)
    start = (*before, *forced)
    n_left = options.max_new_tokens - len(kept) - len(forced)
    written: tuple[TracedToken, ...] = ()
    finish: Finish = "stop" if forced[-1] in engine.tokenizer.stop_ids else "length"
    if finish == "length" and n_left > 0 and len(start) < engine.facts.window:
        asked = replace(options, n_best=n_best_of(engine, options), max_new_tokens=n_left)
        result = engine.generate([Request(start, asked, adapter)])[0]
        first = position + len(forced)
        written = tuple(
            traced_token(engine, s, n, hesitation) for n, s in enumerate(result.steps, start=first)
        )
        finish = result.finish
    tokens = (*kept, *given, *written)
    stops = engine.tokenizer.stop_ids
    text = engine.tokenizer.decode([one.id for one in tokens if one.id not in stops])
    made = replace(
        traced, text=text, tokens=tokens, finish=finish, branched_at=position, effects=(), n_readings=0,
        unknown=what_is_unknown(tokens),
    )  # fmt: skip
    return with_effects(engine, made, build, passages, adapter)


def _forced(engine: Engine, replaced: TracedToken, token: str | int | None) -> tuple[int, ...]:
    tokenizer = engine.tokenizer
    if token is None:
        others = [one.id for one in replaced.alternatives if one.id != replaced.id]
        if not others:
            raise DecodingError("No alternative is known there.", remedy="Name the token to put there.")
        return (others[0],)
    if isinstance(token, int):
        if not 0 <= token < tokenizer.n_vocab:
            raise DecodingError(f"There is no token {token}; ids go from 0 to {tokenizer.n_vocab - 1}.")
        return (token,)
    # A tokenizer may cut the beginning of a text otherwise than its middle, so one whole token goes first.
    named = next((one.id for one in replaced.alternatives if one.token == token), None)
    ids = (named,) if named is not None else tuple(tokenizer.encode(token))
    if not ids:
        raise DecodingError("The token to put there is empty.")
    return ids


def _given(
    engine: Engine,
    before: tuple[int, ...],
    forced: tuple[int, ...],
    replaced: TracedToken,
    adapter: str | None,
) -> tuple[TracedToken, ...]:
    """The user's tokens; the first stands where other odds are known, the others have a probability only."""
    known = {one.id: math.log(one.probability) for one in replaced.alternatives if one.probability > 0}
    if engine.facts.engine == "remote":
        values: list[float | None] = [known.get(forced[0]), *[None] * (len(forced) - 1)]
    else:
        request = ScoreRequest((*before, *forced), len(forced), adapter)
        values = [float(value) for value in engine.score([request])[0]]
        values[0] = known.get(forced[0], values[0])
    made = [
        TracedToken(
            replaced.position + n, i, engine.tokenizer.token_text(i), value, None, None, (), "", is_given=True
        )
        for n, (i, value) in enumerate(zip(forced, values, strict=True))
    ]
    made[0] = replace(
        made[0],
        entropy_low=replaced.entropy_low,
        entropy_high=replaced.entropy_high,
        alternatives=replaced.alternatives,
        hesitation=replaced.hesitation,
    )
    return tuple(made)
