"""The strategies of choosing the next token, by name, and one text written with each on any engine."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from homespun.decoding.beam import BeamOptions, beam_search
from homespun.decoding.contrastive import ContrastiveOptions, HiddenStates, contrastive_scores
from homespun.decoding.errors import DecodingError
from homespun.decoding.stages import Floats
from homespun.decoding.tree import TreeBuilder, TreeNode
from homespun.engines.engine import Engine, Finish, GenerateOptions, Generation, Request

Strategy = Literal["greedy", "beam", "sample", "temperature", "top-k", "top-p", "min-p", "contrastive"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

#: What each way of sampling does when the user names no value of its own. The values are those that its
#: authors or the transformers library's guide show: temperature 0.7, top-k 50, top-p 0.92, min-p 0.05.
_SAMPLING: dict[str, dict[str, float]] = {
    "sample": {},
    "temperature": {"temperature": 0.7},
    "top-k": {"top_k": 50},
    "top-p": {"top_p": 0.92},
    "min-p": {"min_p": 0.05},
}
#: Alternatives that a tree of greedy or drawn choices shows beside the chosen token.
N_SHOWN = 3
#: Texts that a search asks about together.
_AT_ONCE = 16


@dataclass(frozen=True)
class StrategyOptions:
    """Which strategy, and what the searching ones need."""

    strategy: str = field(default="", metadata={"help": f"how tokens are chosen: {', '.join(STRATEGIES)}"})
    beam: BeamOptions = field(default=BeamOptions(), metadata={"help": "beam search's own", "flag": False})
    contrastive: ContrastiveOptions = field(
        default=ContrastiveOptions(), metadata={"help": "contrastive search's own", "flag": False}
    )

    def __post_init__(self) -> None:
        if self.strategy and self.strategy not in STRATEGIES:
            raise DecodingError(
                f"There is no strategy {self.strategy!r}.", remedy=f"Choose one of {', '.join(STRATEGIES)}."
            )


@dataclass(frozen=True)
class Written:
    """A text, and the tree of the choices that led to it.

    Attributes:
        token_ids: without the end token.
        log_probability: of all tokens drawn, the end token too, under the model, in nats; NaN where a server
            does not tell it.
        n_steps: tokens drawn.
        seed: of the draws; None where nothing is drawn.
        notes: what could not be had from this model.
    """

    strategy: Strategy
    text: str
    token_ids: tuple[int, ...]
    log_probability: float
    n_steps: int
    finish: Finish
    seconds: float
    seed: int | None
    tree: tuple[TreeNode, ...]
    notes: tuple[str, ...] = ()

    @property
    def mean_log_probability(self) -> float:
        """Nats a token."""
        return self.log_probability / max(self.n_steps, 1)


def generate_options(strategy: Strategy, options: GenerateOptions) -> GenerateOptions:
    """The engine's options for a strategy that it has itself; what the user set stays.

    Raises:
        DecodingError: a strategy that searches.
    """
    if strategy == "greedy":
        return replace(options, temperature=0.0)
    if strategy not in _SAMPLING:
        raise DecodingError(f"{strategy} is no way of sampling.")
    defaults = GenerateOptions()
    given = {
        name
        for name in ("temperature", "top_k", "top_p", "min_p")
        if getattr(options, name) != getattr(defaults, name)
    }
    values = {name: value for name, value in _SAMPLING[strategy].items() if name not in given}
    if "temperature" not in given and "temperature" not in values:
        values["temperature"] = 1.0
    return replace(options, **values)  # type: ignore[arg-type]


def write(
    engine: Engine,
    token_ids: Sequence[int],
    options: GenerateOptions,
    strategy_options: StrategyOptions,
    *,
    adapter: str | None = None,
    hidden_states: Callable[[], HiddenStates] | None = None,
) -> Written:
    """Write one text with a strategy: the engine's own path where it has one, a search of ours elsewhere.

    Args:
        engine: any; searching needs one that gives whole distributions.
        token_ids: the prompt.
        options: limits and values of the sampling options.
        strategy_options: which strategy.
        adapter: a loaded adapter's name.
        hidden_states: gives what finds hidden states, for contrastive search (`hidden_states_of`).

    Raises:
        DecodingError: contrastive search without hidden states, stop texts in a search, or a search on a
            server, which tells only its best few tokens.
        EngineError: as the engine says.
    """
    strategy = _named(strategy_options)
    started = time.perf_counter()
    if strategy in ("beam", "contrastive"):
        if options.stop or options.is_constrained:
            raise DecodingError(f"{strategy} search takes no stop texts and no constraints.")
        if engine.facts.engine == "remote":
            raise DecodingError(
                f"{strategy} search needs the odds of all tokens, and a server tells those of its best few only.",
                where=engine.facts.model_path,
                remedy="Choose greedy or a way of sampling, or a local model.",
            )
        reader = _Reader(engine, adapter)
        try:
            found = _searched(reader, tuple(token_ids), options, strategy_options, hidden_states)
        finally:
            reader.close()
        return replace(found, seconds=time.perf_counter() - started)
    asked = generate_options(strategy, replace(options, n_best=_n_shown(engine, options)))
    result = engine.generate([Request(tuple(token_ids), asked, adapter)])[0]
    written = from_generation(strategy, result, time.perf_counter() - started)
    return replace(written, notes=_server_notes(engine, written))


def _server_notes(engine: Engine, written: Written) -> tuple[str, ...]:
    most = engine.facts.max_alternatives
    if engine.facts.engine != "remote":
        return ()
    if not most or not any(np.isfinite(node.log_probability) for node in written.tree[1:]):
        return ("this server told no probabilities, so the tree is the text alone",)
    notes = [f"a server tells at most {most} alternatives a token, and no odds of the others"]
    if np.isnan(written.log_probability):
        notes.append("it told no probability of some tokens, such as parts of a character")
    return tuple(notes)


def _n_shown(engine: Engine, options: GenerateOptions) -> int:
    most = engine.facts.max_alternatives
    wanted = max(options.n_best, N_SHOWN)
    return wanted if most is None else min(wanted, most)


def from_generation(strategy: Strategy, result: Generation, seconds: float) -> Written:
    """An engine's answer as a strategy's: the tree has each step's best tokens beside the drawn one."""
    builder = TreeBuilder()
    node, total = builder.root, 0.0
    for step in result.steps:
        chosen = None
        for candidate in step.best:
            score = total + candidate.log_probability
            index = builder.add(node, candidate.token_id, candidate.log_probability, score)
            chosen = index if candidate.token_id == step.token_id else chosen
        if chosen is None:
            chosen = builder.add(node, step.token_id, step.log_probability, total + step.log_probability)
        node, total = chosen, total + step.log_probability
    builder.keep(node)
    seed = None if strategy == "greedy" else result.seed
    return Written(
        strategy,
        result.text,
        result.token_ids,
        total,
        len(result.steps),
        result.finish,
        seconds,
        seed,
        builder.nodes(),
    )


def _searched(
    reader: "_Reader",
    prompt: tuple[int, ...],
    options: GenerateOptions,
    how: StrategyOptions,
    hidden_states: Callable[[], HiddenStates] | None,
) -> Written:
    if how.strategy == "beam":
        return _beam(reader, prompt, options, how.beam)
    if hidden_states is None:
        raise DecodingError("Contrastive search needs a model in a GGUF file, for its output layer.")
    return _contrastive(reader, prompt, options, how.contrastive, hidden_states())


class _Reader:
    """Log-probabilities after several texts at once; the engine's prefix cache keeps what they share."""

    def __init__(self, engine: Engine, adapter: str | None) -> None:
        self.engine = engine
        self.adapter = adapter
        self._pool = ThreadPoolExecutor(_AT_ONCE)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __call__(self, texts: Sequence[tuple[int, ...]]) -> Floats:
        def one(ids: tuple[int, ...]) -> Floats:
            return self.engine.distributions(ids, adapter=self.adapter)

        return np.stack([rows[-1] for rows in self._pool.map(one, texts)])


def _beam(reader: _Reader, prompt: tuple[int, ...], options: GenerateOptions, beam: BeamOptions) -> Written:
    stops = reader.engine.tokenizer.stop_ids
    limit = min(options.max_new_tokens, reader.engine.facts.window - len(prompt))
    found = beam_search(reader, prompt, beam, max_new_tokens=limit, stop_ids=stops)
    best = found.sequences[0]
    return _text_of(reader, "beam", best.token_ids, best.log_probability, best.is_ended, found.tree)


def _contrastive(
    reader: _Reader,
    prompt: tuple[int, ...],
    options: GenerateOptions,
    how: ContrastiveOptions,
    hidden: HiddenStates,
) -> Written:
    stops = reader.engine.tokenizer.stop_ids
    limit = min(options.max_new_tokens, reader.engine.facts.window - len(prompt) - 1)
    rows = reader.engine.distributions(prompt, last=len(prompt), adapter=reader.adapter)
    context, odds = hidden.of(rows), rows[-1]
    builder = TreeBuilder()
    node, total, ids = builder.root, 0.0, ()  # type: int, float, tuple[int, ...]
    is_ended = False
    for _ in range(limit):
        best = np.argsort(-odds, kind="stable")[: how.contrast_k]
        after = reader([(*prompt, *ids, int(token_id)) for token_id in best])
        states = hidden.of(after)
        scores = contrastive_scores(np.exp(odds[best]), states, context, how.contrast_alpha)
        indices = [
            builder.add(node, int(token_id), float(odds[token_id]), float(score))
            for token_id, score in zip(best, scores, strict=True)
        ]
        place = int(np.argmax(scores))
        token_id = int(best[place])
        node, total, ids = indices[place], total + float(odds[token_id]), (*ids, token_id)
        context, odds = np.vstack([context, states[place]]), after[place]
        if token_id in stops:
            is_ended = True
            break
    builder.keep(node)
    return _text_of(reader, "contrastive", ids, total, is_ended, builder.nodes())


def _text_of(
    reader: _Reader,
    strategy: Strategy,
    ids: tuple[int, ...],
    total: float,
    is_ended: bool,
    tree: tuple[TreeNode, ...],
) -> Written:
    kept = ids[:-1] if is_ended else ids
    finish: Finish = "stop" if is_ended else "length"
    text = reader.engine.tokenizer.decode(kept)
    return Written(strategy, text, kept, total, len(ids), finish, 0.0, None, tree)


def _named(options: StrategyOptions) -> Strategy:
    for strategy in STRATEGIES:
        if strategy == options.strategy:
            return strategy
    raise DecodingError("No strategy is named.", remedy=f"Choose one of {', '.join(STRATEGIES)}.")
