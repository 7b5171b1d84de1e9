"""The one interface through which every model runs: text ids in, text ids and probabilities out.

Everything above this room (retrieval, answers, evaluation, serving) receives an `Engine` and never asks
which one it is. Shapes are written as (rows, columns); log-probabilities are natural logarithms (nats).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer

FloatArray = npt.NDArray[np.float32]

#: Why a generation ended: the model's own end or a stop text, the token limit, or the caller.
Finish = Literal["stop", "length", "cancelled"]

#: exact: float32 everywhere, equal to the reference; fast: what this processor does best, loss measured.
Mode = Literal["fast", "exact"]

#: How the torch engine keeps weights; int8 and nf4 through bitsandbytes.
WeightPrecision = Literal["auto", "f32", "bf16", "int8", "nf4"]

Device = Literal["auto", "cpu", "cuda", "mps"]

#: Whether tokens are guessed ahead and verified in one step: never changes what is drawn.
Guessing = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class EngineOptions:
    """How a model is loaded. A value of 0 means: chosen from the model and this machine."""

    mode: Mode = field(default="fast", metadata={"help": "fast, or exact (float32, slower)"})
    threads: int = field(default=0, metadata={"help": "processor threads; 0: all that this process may use"})
    window: int = field(default=0, metadata={"help": "context window in tokens; 0: the model's own"})
    cache_tokens: int = field(default=0, metadata={"help": "tokens kept in the key-value cache; 0: chosen"})
    device: Device = field(default="auto", metadata={"help": "auto, cpu, cuda or mps (torch, llama.cpp)"})
    precision: WeightPrecision = field(
        default="auto", metadata={"help": "weights in torch: auto, f32, bf16, int8 or nf4"}
    )
    guess: Guessing = field(
        default="auto",
        metadata={"help": "guess tokens ahead from the text so far: auto (when it measures faster), on, off"},
    )
    draft: str = field(
        default="", metadata={"help": "a small GGUF with the same tokenizer that guesses ahead"}
    )


@dataclass(frozen=True)
class GenerateOptions:
    """How an answer is written. Temperature 0 takes the most probable token at every step (greedy)."""

    max_new_tokens: int = field(default=256, metadata={"help": "tokens to write at most"})
    temperature: float = field(default=0.0, metadata={"help": "0: most probable token; 1: the model's odds"})
    top_k: int = field(default=0, metadata={"help": "keep the k most probable tokens; 0: all"})
    top_p: float = field(default=1.0, metadata={"help": "keep the most probable tokens of this total mass"})
    min_p: float = field(default=0.0, metadata={"help": "drop tokens below this share of the best one's"})
    repeat_penalty: float = field(default=1.0, metadata={"help": "divide logits of tokens already there"})
    seed: int | None = field(default=None, metadata={"help": "seed of the draw; none: a fresh one, recorded"})
    stop: tuple[str, ...] = field(default=(), metadata={"help": "end when the text contains this"})
    n_best: int = field(default=0, metadata={"help": "alternatives reported at each step"})
    json_schema: str = field(
        default="", metadata={"help": "JSON schema (text, or @FILE) that the answer must satisfy"}
    )
    regex: str = field(default="", metadata={"help": "regular expression that the whole answer must match"})
    grammar: str = field(default="", metadata={"help": "Lark grammar (text, or @FILE) of the answer"})

    @property
    def is_constrained(self) -> bool:
        """Whether the answer must satisfy a schema, an expression or a grammar."""
        return bool(self.json_schema or self.regex or self.grammar)


@dataclass(frozen=True)
class Request:
    """One prompt to continue. `adapter` names one loaded with `Engine.load_adapter`; None is the base."""

    token_ids: tuple[int, ...]
    options: GenerateOptions = GenerateOptions()
    adapter: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A possible next token, its log-probability under the model (before temperature and cuts)."""

    token_id: int
    log_probability: float


@dataclass(frozen=True)
class Step:
    """One token written. `text` is what became certain with it (a part of a character gives none).

    Attributes:
        entropy_nats: of the model's odds there, where alternatives are asked for and the engine sees all odds.
    """

    token_id: int
    text: str
    log_probability: float
    best: tuple[Candidate, ...] = ()
    entropy_nats: float | None = None


@dataclass(frozen=True)
class Generation:
    """A finished answer. `text` ends before the stop text or end token that ended it.

    Attributes:
        token_ids: tokens written, without the end token.
        steps: what was drawn, the end token too; their texts joined are the text.
        n_cached_tokens: prompt tokens whose keys and values were already there.
        seed: the seed that was used; the same seed, prompt and options give the same text.
        read_s, write_s: seconds until the first token, and from there to the end.
        n_guessed, n_accepted: tokens guessed ahead, and those of them that were drawn indeed.
        cost_usd: what a remote server charges for it, where its prices are known.
    """

    token_ids: tuple[int, ...]
    text: str
    finish: Finish
    steps: tuple[Step, ...]
    n_prompt_tokens: int
    n_cached_tokens: int
    seed: int
    read_s: float
    write_s: float
    n_guessed: int = 0
    n_accepted: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True)
class ScoreRequest:
    """Tokens whose last `n_scored` get a log-probability, each given all before it."""

    token_ids: tuple[int, ...]
    n_scored: int
    adapter: str | None = None


@dataclass(frozen=True)
class EngineFacts:
    """What runs, where and how exactly; never what was asked for, always what is in force.

    Attributes:
        engine: `openvino`, `llama.cpp` or `torch`, with version.
        window: tokens that one request may hold, prompt and answer together.
        precision: of the products (`f32`, `bf16`, `f32, int8 activations`), as read back.
        cache_precision: of keys and values.
        loss_nats: mean KL to the float32 reference where it was measured, else None.
        checked_nats: mean KL to independent reference numbers on a probe, measured before the engine first
            served this model; None where no reference knows the architecture.
        max_alternatives: the most that `n_best` may ask for; None: any number.
    """

    engine: str
    version: str
    model_path: str
    architecture: str
    mode: Mode
    window: int
    threads: int
    precision: str
    cache_precision: str
    processor: str
    loss_nats: float | None = None
    checked_nats: float | None = None
    max_alternatives: int | None = None
    notes: tuple[str, ...] = ()


class GenerationStream(Protocol):
    """An answer while it is written: iterate for steps, then ask for the result."""

    def __iter__(self) -> Iterator[Step]: ...

    def cancel(self) -> None:
        """End within one step; the iterator stops and `result` says `cancelled`."""

    @property
    def result(self) -> Generation:
        """The finished answer; an error before the iterator is exhausted."""


class Engine(Protocol):
    """A loaded model. Safe to call from several threads; calls at once share batches where possible."""

    @property
    def facts(self) -> EngineFacts: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def template(self) -> ChatTemplate: ...

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that requests may use now."""

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Write all answers, together where the engine can; one result per request, in order.

        Raises:
            WindowError: a prompt leaves no room for a single token.
            AdapterError: an adapter that is not loaded.
        """

    def stream(self, request: Request) -> GenerationStream:
        """Write one answer step by step. Closing the iterator cancels."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[FloatArray]:
        """Log-probabilities of given tokens: an array (n_scored,) in nats per request."""

    def distributions(
        self, token_ids: Sequence[int], *, last: int = 1, adapter: str | None = None
    ) -> FloatArray:
        """Log-probabilities of every next token after each of the last positions: (last, n_vocab)."""

    def prepare_adapters(self) -> None:
        """Begin what the first adapter needs, in the background, so that it is live at once when it comes."""

    def load_adapter(self, name: str, path: Path) -> None:
        """Make a PEFT LoRA folder available under a name; the same name again replaces it.

        Raises:
            AdapterError: a tensor that has no place in this model, or another base model.
        """

    def remove_adapter(self, name: str) -> None: ...

    def close(self) -> None:
        """Free the model; calls after that raise."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...
