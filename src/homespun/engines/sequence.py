"""One request while it runs: what is read, where its keys and values stand, what it has given so far."""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event

import numpy as np
import numpy.typing as npt

from homespun.engines.constraint import begin_constraint
from homespun.engines.engine import Candidate, Finish, Generation, Request, Step
from homespun.engines.errors import EngineError
from homespun.engines.sampling import best_candidates, choose_token, log_softmax
from homespun.engines.stopping import StopMatcher
from homespun.models.tokenizer import Tokenizer

Floats = npt.NDArray[np.float32]


@dataclass(eq=False)
class RunningSequence(ABC):
    """Tokens that move through the step loop.

    Attributes:
        token_ids: prompt, then what was written.
        n_computed: tokens whose keys and values are in the blocks.
        root: where the known prefixes of its adapter version begin.
        n_total: tokens that it may grow to; its blocks were promised for that many.
        first_asked: place of the first token whose logits it wants.
        guesses: tokens guessed to come after token_ids, computed in the step under way.
        n_verified: guesses of the last step that were drawn and written.
    """

    token_ids: list[int]
    n_total: int
    first_asked: int
    adapter: str | None = None
    version: int = 0
    root: int = 0
    node: int = 0
    n_computed: int = 0
    n_cached: int = 0
    n_promised: int = 0
    blocks: list[int] = field(default_factory=list)
    guesses: list[int] = field(default_factory=list)
    n_verified: int = 0
    is_cancelled: bool = False
    is_finished: bool = False
    error: BaseException | None = None
    done: Event = field(default_factory=Event)
    on_close: Callable[[], None] | None = None

    @property
    def n_waiting(self) -> int:
        """Tokens that are still to be computed."""
        return len(self.token_ids) - self.n_computed

    def asked(self, n_new: int) -> range:
        """Places, among the next n_new tokens, whose logits are wanted."""
        first = max(self.first_asked - self.n_computed, 0)
        return range(min(first, n_new), min(n_new, len(self.token_ids) - self.n_computed))

    @property
    def n_guessable(self) -> int:
        """How many tokens might be guessed ahead in the next step."""
        return 0

    @abstractmethod
    def take(self, logits: Floats) -> None:
        """Receive the logits (n asked, n_vocab) of the tokens just computed, guesses included."""

    def close(self) -> None:
        """Called once, when the sequence has left the loop."""
        self.done.set()
        if self.on_close is not None:
            self.on_close()


class Writing(RunningSequence):
    """A request to continue a prompt."""

    def __init__(
        self,
        request: Request,
        tokenizer: Tokenizer,
        window: int,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        n_prompt = len(request.token_ids)
        self._limit = min(request.options.max_new_tokens, window - n_prompt)
        super().__init__(
            list(request.token_ids), n_prompt + self._limit, n_prompt - 1, adapter=request.adapter
        )
        self._options = request.options
        self._tokenizer = tokenizer
        self._n_prompt = n_prompt
        self._on_step = on_step
        self._decoder = tokenizer.stream_decoder()
        self._stops = StopMatcher(request.options.stop)
        self._constraint = begin_constraint(request.options, tokenizer)
        self.seed = secrets.randbits(53) if request.options.seed is None else request.options.seed
        self._random = np.random.default_rng(self.seed)
        self._steps: list[Step] = []
        self._n_guessed = 0
        self._n_accepted = 0
        self._finish: Finish = "cancelled"
        self._started_s = time.perf_counter()
        self._first_s: float | None = None
        self._ended_s = self._started_s

    @property
    def n_written(self) -> int:
        """Tokens of the answer so far."""
        return len(self.token_ids) - self._n_prompt

    @property
    def n_guessable(self) -> int:
        """The last token of the answer is never computed, so it need not be guessed either."""
        return self.n_total - len(self.token_ids) - 1 if self.n_waiting == 1 else 0

    def take(self, logits: Floats) -> None:
        """Draw from the last row; with guesses, from row to row as long as the drawn token is the guessed one.

        Each draw is the one that would be made without guesses: same tokens before it, same mask, same
        random number.
        """
        guesses, self.guesses = self.guesses, []
        self.n_verified = 0
        self._n_guessed += len(guesses)
        for row, guess in zip(logits[-1 - len(guesses) :], [*guesses, None], strict=False):
            if self.is_cancelled:
                return
            token = self._draw(row)
            if token != guess:
                return
            self._n_accepted += 1
            if self.is_finished:
                return
            self.n_verified += 1

    def _draw(self, row: Floats) -> int:
        """One token from one row of logits, written down."""
        log_probabilities = log_softmax(row)
        _check_finite(log_probabilities)
        allowed = row if self._constraint is None else np.where(self._constraint.mask(), row, -np.inf)
        token = choose_token(allowed, self._options, self.token_ids, self._random)
        best = best_candidates(log_probabilities, self._options.n_best)
        entropy = -float(np.exp(log_probabilities) @ log_probabilities) if best else None
        self.add(token, float(log_probabilities[token]), best, entropy)
        return token

    def add(
        self, token: int, log_probability: float, best: tuple[Candidate, ...], entropy: float | None = None
    ) -> None:
        """Write one token that was drawn: give its text out, and see whether the answer ends with it."""
        self._first_s = self._first_s or time.perf_counter()
        is_end = token in self._tokenizer.stop_ids
        if is_end:
            text = self._stops.push(self._decoder.flush()) + self._stops.flush()
            self._end("stop")
        else:
            self.token_ids.append(token)
            text = self._stops.push(self._decoder.push(token))
            if self._constraint is not None:
                self._constraint.advance(token)
            if self._stops.is_stopped:
                self._end("stop")
            elif self._constraint is not None and self._constraint.is_complete:
                text += self._stops.push(self._decoder.flush()) + self._stops.flush()
                self._end("stop")
            elif len(self.token_ids) - self._n_prompt >= self._limit:
                text += self._stops.push(self._decoder.flush()) + self._stops.flush()
                self._end("stop" if self._stops.is_stopped else "length")
        step = Step(token, text, log_probability, best, entropy)
        self._steps.append(step)
        if self._on_step is not None:
            self._on_step(step)

    def _end(self, finish: Finish) -> None:
        self._finish = finish
        self.is_finished = True
        self._ended_s = time.perf_counter()

    def result(self) -> Generation:
        """The finished answer (or what there was when it was cancelled)."""
        if not self.is_finished:
            self._ended_s = time.perf_counter()
        first = self._first_s or self._ended_s
        return Generation(
            token_ids=tuple(self.token_ids[self._n_prompt :]),
            text="".join(step.text for step in self._steps),
            finish=self._finish,
            steps=tuple(self._steps),
            n_prompt_tokens=self._n_prompt,
            n_cached_tokens=self.n_cached,
            seed=self.seed,
            read_s=first - self._started_s,
            write_s=self._ended_s - first,
            n_guessed=self._n_guessed,
            n_accepted=self._n_accepted,
        )


class Reading(RunningSequence):
    """A request for log-probabilities of the last positions: of the given next tokens, or of all tokens."""

    def __init__(self, token_ids: Sequence[int], n_last: int, adapter: str | None, *, whole: bool) -> None:
        # Without `whole`, position i scores token i + 1, so the last token itself is never computed.
        self._targets = None if whole else list(token_ids[len(token_ids) - n_last :])
        computed = list(token_ids) if whole else list(token_ids[:-1])
        super().__init__(computed, len(computed), len(computed) - n_last, adapter=adapter)
        self._rows: list[Floats] = []
        self._n_taken = 0

    def take(self, logits: Floats) -> None:
        """Keep the wanted log-probabilities of these positions."""
        if len(logits):
            rows = log_softmax(logits)
            _check_finite(rows)
            if self._targets is not None:
                wanted = self._targets[self._n_taken : self._n_taken + len(rows)]
                rows = rows[np.arange(len(rows)), wanted]
            self._rows.append(rows)
            self._n_taken += len(rows)
        self.is_finished = self.n_waiting == 0

    def result(self) -> Floats:
        """(n_last,) or (n_last, n_vocab), in nats."""
        return np.concatenate(self._rows)


def _check_finite(log_probabilities: Floats) -> None:
    """Refuse to go on with numbers that are none: a damaged model or adapter gives them.

    Raises:
        EngineError: naming what to look at.
    """
    if not np.isfinite(log_probabilities).all():
        raise EngineError(
            "the model's numbers overflowed",
            remedy="Try without the adapter and in exact mode; if it stays, the model file is damaged.",
        )
