"""An answer token by token: how probable each was, what else was near, where the model hesitated, and what
each passage changed."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from homespun.decoding.errors import DecodingError
from homespun.engines.engine import Candidate, Engine, Finish, GenerateOptions, Request, ScoreRequest, Step

#: Alternatives at each step where the caller names no number.
N_BEST = 5

#: The prompt's token ids with these of the passages in it, by their places.
BuildPrompt = Callable[[tuple[int, ...]], tuple[int, ...]]


@dataclass(frozen=True)
class HesitationOptions:
    """When a model counts as hesitating: its odds are spread wide, or two tokens are nearly as probable."""

    doubt_entropy: float = field(
        default=2.0, metadata={"help": "hesitates from this entropy on, in nats (2: as 7 equal choices)"}
    )
    doubt_margin: float = field(
        default=0.5, metadata={"help": "or when the second best token is at most so many nats below the best"}
    )

    def __post_init__(self) -> None:
        for name in ("doubt_entropy", "doubt_margin"):
            if not getattr(self, name) >= 0:
                raise DecodingError(f"{name} is {getattr(self, name)}; it must be 0 or more.")

    @property
    def rule(self) -> str:
        """In words."""
        return (
            f"the entropy is {self.doubt_entropy:g} nats or more, or the second best token is within "
            f"{self.doubt_margin:g} nats of the best"
        )

    def reason(self, entropy_low: float | None, best: Sequence[Candidate]) -> str:
        """Why this is a hesitation; empty where it is none."""
        reasons = []
        if entropy_low is not None and entropy_low >= self.doubt_entropy:
            reasons.append("high entropy")
        if len(best) > 1 and best[0].log_probability - best[1].log_probability <= self.doubt_margin:
            reasons.append("two near")
        return ", ".join(reasons)


@dataclass(frozen=True)
class Alternative:
    """A token that might have stood there, under the model (before temperature and cuts)."""

    id: int
    token: str
    probability: float


@dataclass(frozen=True)
class TracedToken:
    """One token of an answer.

    Attributes:
        position: in the answer, from 1.
        log_probability: under the model, in nats; None where the server tells none.
        entropy_low, entropy_high: of the model's odds there, in nats: equal where all odds are seen, else
            what the best tokens leave possible (`entropy_bounds`). None where nothing is known.
        alternatives: the most probable tokens, the written one among them.
        hesitation: why this counts as hesitating; empty: it does not.
        is_given: put there by the user, who branched here.
    """

    position: int
    id: int
    token: str
    log_probability: float | None
    entropy_low: float | None
    entropy_high: float | None
    alternatives: tuple[Alternative, ...]
    hesitation: str
    is_given: bool = False

    @property
    def probability(self) -> float | None:
        return None if self.log_probability is None else math.exp(self.log_probability)


@dataclass(frozen=True)
class PassageEffect:
    """What a passage changed.

    Attributes:
        name: of the passage.
        text: its text; empty for all passages together.
        differences: for each token of the answer, nats: its log-probability with all passages, less that
            with all but this one (for all together: less that with none). Above 0: the passage helped.
    """

    name: str
    text: str
    differences: tuple[float, ...]

    @property
    def total(self) -> float:
        """Of the whole answer, nats."""
        return float(sum(self.differences))


@dataclass(frozen=True)
class Trace:
    """An answer, looked at.

    Attributes:
        effects: one for each passage, then "all passages" where there are several.
        n_readings: of prompt and answer, made for the effects, each beyond what the answer itself took.
        branched_at: position of the first token that the user put there; None: all is the model's own.
        unknown: what could not be seen and why; empty: everything was.
    """

    prompt: str
    prompt_ids: tuple[int, ...]
    text: str
    tokens: tuple[TracedToken, ...]
    finish: Finish
    seed: int
    rule: str
    effects: tuple[PassageEffect, ...] = ()
    n_readings: int = 0
    branched_at: int | None = None
    unknown: str = ""

    @property
    def mean_log_probability(self) -> float | None:
        """Nats a token, of those whose log-probability is known."""
        known = [token.log_probability for token in self.tokens if token.log_probability is not None]
        return sum(known) / len(known) if known else None


def entropy_bounds(log_probabilities: Sequence[float], n_vocab: int | None) -> tuple[float, float | None]:
    """The least and the largest entropy, in nats, of odds of which only the best are known.

    What the best leave over is shared, at the least, by as few tokens as can hold it, none being more
    probable than the last of the best; at the most, by all other tokens equally.

    Args:
        log_probabilities: of the best, falling.
        n_vocab: tokens that there are; None, where that is not known, leaves the most open.
    """
    known = np.exp(np.asarray(log_probabilities, np.float64))
    told = float(-(known[known > 0] * np.log(known[known > 0])).sum())
    rest = max(0.0, 1.0 - float(known.sum()))
    if rest < 1e-12 or not len(known) or n_vocab == len(known):
        return told, told
    last = float(known[-1])
    n_full, share = divmod(rest, last)
    low = told - n_full * last * math.log(last) - (share * math.log(share) if share > 0 else 0.0)
    if n_vocab is None:
        return low, None
    return low, max(low, told - rest * math.log(rest / (n_vocab - len(known))))


def trace(
    engine: Engine,
    prompt: str,
    build: BuildPrompt,
    options: GenerateOptions,
    *,
    passages: Sequence[tuple[str, str]] = (),
    hesitation: HesitationOptions = HesitationOptions(),
    adapter: str | None = None,
) -> Trace:
    """Write an answer and look at each of its tokens.

    Alternatives and entropy are noted while the answer is written and cost little; the effect of each
    passage costs one more reading of prompt and answer, and two more the comparison itself.

    Args:
        engine: any; a server tells what it tells.
        prompt: as the user wrote it, for the view.
        build: gives what the model reads, with any of the passages.
        options: how the answer is written; `n_best` alternatives are kept (5 if it is 0).
        passages: name and text of each.
        hesitation: when the model counts as hesitating.
        adapter: a loaded adapter's name.

    Raises:
        EngineError: as the engine says.
    """
    everything = tuple(range(len(passages)))
    prompt_ids = build(everything)
    asked = replace(options, n_best=n_best_of(engine, options))
    result = engine.generate([Request(prompt_ids, asked, adapter)])[0]
    tokens = tuple(
        traced_token(engine, step, number, hesitation) for number, step in enumerate(result.steps, start=1)
    )
    made = Trace(
        prompt, prompt_ids, result.text, tokens, result.finish, result.seed, hesitation.rule,
        unknown=what_is_unknown(tokens),
    )  # fmt: skip
    return with_effects(engine, made, build, passages, adapter)


def n_best_of(engine: Engine, options: GenerateOptions) -> int:
    """The alternatives to ask for: as many as wanted, or as the engine may tell."""
    most = engine.facts.max_alternatives
    wanted = options.n_best or N_BEST
    return wanted if most is None else min(wanted, most)


def traced_token(engine: Engine, step: Step, position: int, hesitation: HesitationOptions) -> TracedToken:
    """One step of an engine as it is shown."""
    tokenizer = engine.tokenizer
    low, high = step.entropy_nats, step.entropy_nats
    if low is None and step.best:
        n_vocab = None if engine.facts.engine == "remote" else tokenizer.n_vocab
        low, high = entropy_bounds([c.log_probability for c in step.best], n_vocab)
    return TracedToken(
        position,
        step.token_id,
        tokenizer.token_text(step.token_id),
        None if math.isnan(step.log_probability) else step.log_probability,
        low,
        high,
        tuple(
            Alternative(c.token_id, tokenizer.token_text(c.token_id), math.exp(c.log_probability))
            for c in step.best
        ),
        hesitation.reason(low, step.best),
    )


def what_is_unknown(tokens: Sequence[TracedToken]) -> str:
    """What could not be seen of these, and why, in words."""
    if any(token.log_probability is None and not token.is_given for token in tokens):
        return "this server tells no probabilities"
    if any(token.entropy_low != token.entropy_high for token in tokens):
        return "this engine tells the best tokens only, so entropy is known between two bounds"
    return ""


def with_effects(
    engine: Engine,
    made: Trace,
    build: BuildPrompt,
    passages: Sequence[tuple[str, str]],
    adapter: str | None,
) -> Trace:
    """Add what each passage changed, where the engine can read given texts."""
    if not passages or not made.tokens:
        return made
    if engine.facts.engine == "remote":
        why = "a server reads no given text, so what the passages changed is not known"
        return replace(made, unknown="; ".join(filter(None, (made.unknown, why))))
    ids = tuple(token.id for token in made.tokens)
    everything = tuple(range(len(passages)))
    parts = [tuple(i for i in everything if i != left) for left in everything]
    names = list(passages)
    if len(passages) > 1:
        parts.append(())
        names.append(("all passages", ""))
    # All in one call, and the whole prompt read anew beside the others: the same arithmetic for each.
    prompts = [made.prompt_ids, *(build(part) for part in parts)]
    whole, *others = engine.score([ScoreRequest((*p, *ids), len(ids), adapter) for p in prompts])
    effects = tuple(
        PassageEffect(name, text, tuple(float(value) for value in whole - other))
        for (name, text), other in zip(names, others, strict=True)
    )
    return replace(made, effects=effects, n_readings=len(prompts))
