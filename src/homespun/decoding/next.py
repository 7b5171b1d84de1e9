"""The most probable next tokens, before and after each option; with and without an adapter or a passage."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from homespun.decoding.errors import DecodingError
from homespun.decoding.stages import Floats, entropy_nats, stages
from homespun.engines.engine import Engine, GenerateOptions, Request
from homespun.engines.sampling import check_options
from homespun.models.template import Message

_ABOUT = {one.name: one.metadata for one in fields(GenerateOptions)}


@dataclass(frozen=True)
class OddsOptions:
    """What is done to the odds before a token is drawn; the model's own odds by default."""

    temperature: float = field(default=1.0, metadata=_ABOUT["temperature"])
    top_k: int = field(default=0, metadata=_ABOUT["top_k"])
    top_p: float = field(default=1.0, metadata=_ABOUT["top_p"])
    min_p: float = field(default=0.0, metadata=_ABOUT["min_p"])
    repeat_penalty: float = field(default=1.0, metadata=_ABOUT["repeat_penalty"])
    seed: int | None = field(default=None, metadata=_ABOUT["seed"])

    @property
    def generate(self) -> GenerateOptions:
        """The same for an engine.

        Raises:
            EngineError: a value that is not allowed.
        """
        options = GenerateOptions(**{one.name: getattr(self, one.name) for one in fields(self)})
        check_options(options)
        return options


@dataclass(frozen=True)
class NextCandidate:
    """A possible next token.

    Attributes:
        id: None where a server does not tell it.
        logit: its log-probability under the model: logits but for one shift common to all tokens, which
            softmax takes no notice of.
        probability: under the model.
        cumulative: of this and all more probable tokens.
        by_stage: its probability after each stage, in their order.
    """

    id: int | None
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
        notes: what could not be had from this model, and what was done instead.
    """

    candidates: tuple[NextCandidate, ...]
    n_prompt_tokens: int
    entropy_nats: float | None
    n_effective: float | None
    stage_names: tuple[str, ...]
    stage_left: tuple[int, ...]
    stage_entropy_nats: tuple[float, ...]
    mass_told: float
    notes: tuple[str, ...] = ()


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

    A remote model tells its best few only; whole distributions and stages are left out then, and said.

    Raises:
        DecodingError: k is below 1.
        WindowError, AdapterError: as the engine says.
    """
    check_k(k)
    if engine.facts.engine == "remote":
        return _told_by_server(engine, token_ids, options, k, adapter)
    return describe(
        engine, engine.distributions(token_ids, last=1, adapter=adapter)[0], token_ids, options, k
    )


def check_k(k: int) -> None:
    """Refuse to show nothing.

    Raises:
        DecodingError: k is below 1.
    """
    if k < 1:
        raise DecodingError(f"k is {k}; it must be 1 or more.")


def describe(
    engine: Engine, logits: Floats, token_ids: Sequence[int], options: GenerateOptions, k: int
) -> NextTokens:
    """The k most probable tokens of a row of log-probabilities (n_vocab,) that stands after these tokens."""
    found = stages(logits, options, token_ids)
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
        len(token_ids),
        entropy_nats(odds),
        found[0].n_effective,
        tuple(stage.name for stage in found),
        tuple(stage.n_left for stage in found),
        tuple(stage.entropy_nats for stage in found),
        float(running[-1]),
    )


def _told_by_server(
    engine: Engine, token_ids: Sequence[int], options: GenerateOptions, k: int, adapter: str | None
) -> NextTokens:
    most = engine.facts.max_alternatives
    n_best = k if most is None else min(k, most)
    asked = GenerateOptions(max_new_tokens=1, n_best=n_best)
    result = engine.generate([Request(tuple(token_ids), asked, adapter)])[0] if n_best else None
    best = result.steps[0].best if result and result.steps else ()
    if not best:
        raise DecodingError(
            "This server told no odds of the next token (some tell none; none tells those of a part of a "
            "character).",
            where=engine.facts.model_path,
            remedy="Use a local model to see the odds of the next token.",
        )
    odds = np.exp([candidate.log_probability for candidate in best])
    running = np.cumsum(odds)
    tokenizer = engine.tokenizer
    candidates = tuple(
        NextCandidate(
            None,
            tokenizer.token_text(c.token_id),
            tokenizer.token_bytes(c.token_id).hex(),
            c.log_probability,
            float(p),
            float(total),
            (float(p),),
        )
        for c, p, total in zip(best, odds, running, strict=True)
    )
    assert result is not None
    n_prompt, notes = result.n_prompt_tokens, _server_notes(len(best), k, options)
    return NextTokens(candidates, n_prompt, None, None, ("model",), (), (), float(running[-1]), notes)


def _server_notes(n_told: int, k: int, options: GenerateOptions) -> tuple[str, ...]:
    notes = [
        f"a server tells the odds of its best tokens only, here {n_told}"
        + (f" of the {k} asked for" if n_told < k else "")
        + ": no entropy, no number of choices, no token ids",
        "a server takes chats only: the prompt was sent as a user's message, and these are the odds of the "
        "answer's first token",
    ]
    plain = GenerateOptions(temperature=1.0)
    changed = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty")
    if any(getattr(options, name) != getattr(plain, name) for name in changed):
        notes.append("what temperature, cuts and penalties make of the odds needs the odds of all tokens")
    return tuple(notes)
