"""The strategies of choosing the next token, measured on the same prompts and compared with greedy choice.

Each prompt is read once before any strategy goes on with it, then every strategy writes its text, one after
the other, another one first each time; so speeds are of writing alone, and what else the machine does meets
all alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from homespun.decoding.contrastive import HiddenStates
from homespun.decoding.errors import DecodingError
from homespun.decoding.next import prompt_ids
from homespun.decoding.output_layer import hidden_states_of
from homespun.decoding.strategies import (
    STRATEGIES,
    Strategy,
    StrategyOptions,
    Written,
    generate_options,
    write,
)
from homespun.engines.engine import Engine, EngineFacts, GenerateOptions, Request
from homespun.engines.errors import RemoteError, WindowError
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.intervals import Interval, Shares, difference, interval
from homespun.evaluation.prompts import Prompt
from homespun.evaluation.strategy_measures import MEASURES, coherence_shares, text_shares
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder

#: With fewer prompts intervals are too rough to conclude from.
MIN_PROMPTS = 30
#: What all others are compared with.
BASE: Strategy = "greedy"

_SERVER_NOTES = (
    "a server takes chats only: each prompt was sent as a user's message",
    "a server's speed has the way to it in it, and the reading of the prompt unless it keeps what it read",
)


@dataclass(frozen=True)
class ComparisonOptions:
    """What is compared."""

    strategy: tuple[str, ...] = field(
        default=(),
        metadata={
            "help": f"only this one beside greedy (may be given several times): {', '.join(STRATEGIES)}"
        },
    )
    max_new_tokens: int = field(default=40, metadata={"help": "tokens to write at most for each prompt"})
    seed: int = field(default=0, metadata={"help": "seed of the draws and of the intervals"})
    as_chat: bool = field(
        default=False, metadata={"help": "each prompt is a chat's question, not a text that goes on"}
    )

    def __post_init__(self) -> None:
        for name in self.strategy:
            StrategyOptions(name)  # refuses what there is not
        if self.max_new_tokens < 1:
            raise EvaluationError(f"max_new_tokens is {self.max_new_tokens}; it must be 1 or more.")

    @property
    def chosen(self) -> tuple[Strategy, ...]:
        """Greedy and those asked for; all where none is."""
        return tuple(name for name in STRATEGIES if name == BASE or name in (self.strategy or STRATEGIES))


@dataclass(frozen=True)
class MeasuredStrategy:
    """One strategy's row.

    Attributes:
        settings: what decides its choices, such as "top-p 0.92".
        measures: by name; one that no prompt says anything about is left out.
        differences: each measure less greedy's, paired by prompts; empty for greedy.
        texts: one a prompt.
    """

    strategy: Strategy
    settings: str
    measures: Mapping[str, Interval]
    differences: Mapping[str, Interval]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class StrategyComparison:
    """What was measured.

    Attributes:
        left_out: strategies and measures that this model or these prompts do not allow, and why.
        n_references: prompts that have a right answer.
        adapter: whose texts they are; None: the base model's.
        embedder: whose cosines the coherence is; None: not measured.
        notes: what else is to be known of the figures.
    """

    strategies: tuple[MeasuredStrategy, ...]
    left_out: Mapping[str, str]
    n_prompts: int
    n_references: int
    options: ComparisonOptions
    adapter: str | None
    embedder: str | None
    engine: EngineFacts
    notes: tuple[str, ...] = ()

    def is_clear(self, row: MeasuredStrategy, measure: str) -> bool:
        """Whether a strategy differs from greedy: prompts enough, and an interval that excludes 0."""
        apart = row.differences.get(measure)
        return self.n_prompts >= MIN_PROMPTS and apart is not None and apart.excludes_zero


def compare_strategies(
    engine: Engine,
    prompts: Sequence[Prompt],
    options: ComparisonOptions = ComparisonOptions(),
    *,
    adapter: str | None = None,
    embedder: Embedder | None = None,
    progress: Progress = no_progress,
) -> StrategyComparison:
    """Write a text for each prompt with each strategy, and measure them.

    Args:
        engine: any; on a server the searching strategies, and those that it does not take, are left out.
        prompts: at least one; `MIN_PROMPTS` to conclude anything.
        options: which strategies, and how long.
        adapter: a loaded adapter's name; None is the base model.
        embedder: for the coherence; longer texts are read in windows, as questions are.
        progress: told how many texts are written.

    Raises:
        EvaluationError: no prompt.
        WindowError: a prompt leaves no room for its text; which one is said.
        EngineError: as the engine says.
    """
    if not prompts:
        raise EvaluationError("There is no prompt.")
    ids = [_ids(engine, prompt, options) for prompt in prompts]
    hidden = lru_cache(maxsize=1)(lambda: hidden_states_of(Path(engine.facts.model_path)))
    left_out: dict[str, str] = {}
    able = tuple(name for name in options.chosen if _is_able(engine, name, ids[0], options, hidden, left_out))
    written = _all_written(engine, ids, able, options, adapter, hidden, progress)
    shares = {name: text_shares(texts, prompts) for name, texts in written.items()}
    if embedder is not None:
        for name, values in coherence_shares(prompts, written, embedder, progress).items():
            shares[name]["coherence"] = values
    for measure, reason in (
        ("log-likelihood", "the server tells no probabilities"),
        ("token F1", "no prompt has a reference"),
        ("coherence", "the home has no embedder of its own, and none is named"),
    ):
        if not any(_says(found, measure) for found in shares.values()):
            left_out[measure] = reason
    rows = tuple(_row(name, written[name], shares, options) for name in able)
    n_references = sum(bool(prompt.references) for prompt in prompts)
    measured_by = None if embedder is None else embedder.name
    notes = _SERVER_NOTES if engine.facts.engine == "remote" else ()
    return StrategyComparison(
        rows, left_out, len(prompts), n_references, options, adapter, measured_by, engine.facts, notes
    )


def _ids(engine: Engine, prompt: Prompt, options: ComparisonOptions) -> tuple[int, ...]:
    ids = prompt_ids(engine, prompt.text, chat=options.as_chat)
    if len(ids) + options.max_new_tokens > engine.facts.window:
        raise WindowError(
            f"The prompt in line {prompt.line} has {len(ids):,} tokens; with {options.max_new_tokens} to write "
            f"that is more than the model's window of {engine.facts.window:,}.",
            remedy="Shorten it, or ask for fewer tokens with --max-new-tokens.",
        )
    return ids


def _is_able(
    engine: Engine,
    strategy: Strategy,
    ids: tuple[int, ...],
    options: ComparisonOptions,
    hidden: Callable[[], HiddenStates],
    left_out: dict[str, str],
) -> bool:
    """Whether this model can be asked for it; if not, why not is kept."""
    is_remote = engine.facts.engine == "remote"
    try:
        if strategy == "beam" and is_remote:
            raise DecodingError("a server tells the odds of its best few tokens only")
        if strategy == "contrastive":
            hidden()
        elif is_remote:  # refused before anything is sent
            engine.stream(Request(ids, generate_options(strategy, _limits(options, 0))))
    except (DecodingError, RemoteError) as error:
        left_out[strategy] = error.what.rstrip(".")
        return False
    return True


def _all_written(
    engine: Engine,
    ids: Sequence[tuple[int, ...]],
    strategies: Sequence[Strategy],
    options: ComparisonOptions,
    adapter: str | None,
    hidden: Callable[[], HiddenStates],
    progress: Progress,
) -> dict[Strategy, list[Written]]:
    found: dict[Strategy, list[Written]] = {name: [] for name in strategies}
    n_texts, what = len(ids) * len(strategies), "writing texts"
    progress(what, 0, n_texts)
    for number, prompt in enumerate(ids):
        if engine.facts.engine != "remote":
            # Reads it, for all of them.
            engine.generate([Request(prompt, GenerateOptions(max_new_tokens=1), adapter)])
        first = number % len(strategies)
        for place, name in enumerate([*strategies[first:], *strategies[:first]]):
            # Each prompt has draws of its own, the same for all strategies.
            limits = _limits(options, number)
            how = StrategyOptions(name)
            found[name].append(write(engine, prompt, limits, how, adapter=adapter, hidden_states=hidden))
            progress(what, number * len(strategies) + place + 1, n_texts)
    return found


def _limits(options: ComparisonOptions, number: int) -> GenerateOptions:
    return GenerateOptions(max_new_tokens=options.max_new_tokens, seed=(options.seed + number) % 2**31)


def _row(
    name: Strategy,
    texts: Sequence[Written],
    shares: Mapping[Strategy, Mapping[str, Shares]],
    options: ComparisonOptions,
) -> MeasuredStrategy:
    told = [measure.name for measure in MEASURES if _says(shares[name], measure.name)]
    measures = {measure: interval(shares[name][measure], seed=options.seed) for measure in told}
    differences = {
        measure: difference(shares[name][measure], shares[BASE][measure], seed=options.seed)
        for measure in told
        if name != BASE and _says(shares[BASE], measure)
    }
    return MeasuredStrategy(name, settings_of(name), measures, differences, tuple(one.text for one in texts))


def _says(shares: Mapping[str, Shares], measure: str) -> bool:
    return measure in shares and shares[measure].says_something


def settings_of(strategy: Strategy) -> str:
    """What decides the strategy's choices, as people read it."""
    how = StrategyOptions(strategy)
    if strategy == "beam":
        return f"{how.beam.n_beams} beams"
    if strategy == "contrastive":
        return f"best {how.contrastive.contrast_k}, alpha {how.contrastive.contrast_alpha:g}"
    used = generate_options(strategy, GenerateOptions())
    defaults = replace(GenerateOptions(), temperature=1.0)
    told = [
        f"{name.replace('_', '-')} {getattr(used, name):g}"
        for name in ("temperature", "top_k", "top_p", "min_p")
        if getattr(used, name) != getattr(defaults, name)
    ]
    return "the most probable token" if strategy == "greedy" else ", ".join(told) or "the model's odds"
