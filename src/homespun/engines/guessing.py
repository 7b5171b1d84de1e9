"""Guessing tokens ahead, so that one step of the model verifies several: what to guess, and when it pays.

An answer about passages quotes them, so the tokens that followed the same last few tokens earlier in the
text are good guesses (prompt lookup, Saxena 2023). The model computes the guesses in one step, and the
answer's own draws decide: a guess counts only where it equals the token that was drawn from its row, so
nothing about what is drawn changes. (Leviathan et al. 2023 accept with a probability instead, which needs
the guesser's own; a lookup has none.) All figures here are given from outside: nothing looks at a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_GUESSES = 10
LONGEST_MATCH = 4  # tokens that must have stood together before; the longest match is taken
SHORTEST_MATCH = 2


class TokenIndex:
    """Where each short run of tokens was last followed by something: one dictionary entry a token and length."""

    def __init__(self, token_ids: Sequence[int] = ()) -> None:
        self._tokens: list[int] = []
        self._following: dict[tuple[int, ...], int] = {}
        self.extend(token_ids)

    def extend(self, token_ids: Sequence[int]) -> None:
        """Take the next tokens of the text."""
        for token in token_ids:
            place = len(self._tokens)
            for length in range(SHORTEST_MATCH, min(LONGEST_MATCH, place) + 1):
                self._following[tuple(self._tokens[place - length :])] = place
            self._tokens.append(token)

    def __len__(self) -> int:
        return len(self._tokens)

    def guess(self, n_guesses: int) -> list[int]:
        """What followed the last tokens before; fewer or none where they stand here for the first time.

        A match whose continuation reaches the text's end goes on with what was guessed: a text that repeats
        itself keeps doing so.
        """
        for length in range(min(LONGEST_MATCH, len(self._tokens)), SHORTEST_MATCH - 1, -1):
            place = self._following.get(tuple(self._tokens[-length:]))
            if place is not None:
                guesses: list[int] = []
                for next_place in range(place, place + n_guesses):
                    beyond = next_place - len(self._tokens)
                    guesses.append(self._tokens[next_place] if beyond < 0 else guesses[beyond])
                return guesses
        return []


@dataclass
class AcceptanceRate:
    """Share of guesses that were drawn, newer ones counting more; before any, `PRIOR` as if seen twice."""

    PRIOR = 0.5
    PRIOR_WEIGHT = 2.0
    KEPT = 0.95  # of a guess's weight at each further one

    n_hits: float = PRIOR * PRIOR_WEIGHT
    n_tried: float = PRIOR_WEIGHT

    @property
    def value(self) -> float:
        """The share, between 0 and 1."""
        return self.n_hits / self.n_tried

    def learn(self, n_accepted: int, *, was_rejected: bool) -> None:
        """Count guesses that were drawn, and the one after them that was not (those behind it say nothing)."""
        for is_hit in [True] * n_accepted + [False] * was_rejected:
            self.n_hits = self.KEPT * self.n_hits + is_hit
            self.n_tried = self.KEPT * self.n_tried + 1


@dataclass
class StepTimes:
    """How long a step of so many tokens takes: a running mean for each size, in seconds.

    A size that was not seen, or not for long, counts as fast as the next smaller one that was: it is then
    tried where that would pay, and its own time known.
    """

    SHARE = 0.25  # of the newest time in the mean
    FORGOTTEN_AFTER = 400  # steps

    _mean_s: dict[int, float] = field(default_factory=dict)
    _seen_at: dict[int, int] = field(default_factory=dict)
    _n_steps: int = 0

    def learn(self, n_tokens: int, seconds: float) -> None:
        """Take one measured step. One that is far slower than the mean (the machine was busy) counts little."""
        size = _size_class(n_tokens)
        self._n_steps += 1
        old_s = self._mean_s.get(size) if self._is_fresh(size) else None
        self._mean_s[size] = (
            seconds if old_s is None else old_s + self.SHARE * (min(seconds, 2 * old_s) - old_s)
        )
        self._seen_at[size] = self._n_steps

    def seconds(self, n_tokens: int) -> float:
        """Expected time of a step; 0 where nothing as small was ever seen."""
        limit = _size_class(n_tokens)
        known = [size for size in self._mean_s if size <= limit and self._is_fresh(size)]
        return self._mean_s[max(known)] if known else 0.0

    def _is_fresh(self, size: int) -> bool:
        return size in self._seen_at and self._n_steps - self._seen_at[size] < self.FORGOTTEN_AFTER


def _size_class(n_tokens: int) -> int:
    """Steps of about the same number of tokens share a mean: each by itself to 16, then by 8, then by 64."""
    if n_tokens <= 16:
        return n_tokens
    width = 8 if n_tokens <= 64 else 64
    return -(-n_tokens // width) * width


@dataclass(frozen=True)
class Offer:
    """What one answer could guess: how many tokens, how likely each is drawn if those before it were, and
    what a further one costs before the step (a draft model's own step; a lookup is free)."""

    n_guesses: int
    rate: float
    seconds_each: float = 0.0


def choose_counts(offers: Sequence[Offer], n_tokens: int, n_writing: int, times: StepTimes) -> list[int]:
    """How many guesses of each answer make the most tokens a second.

    The n-th guess of an answer is drawn with probability rate^n. Taking the likeliest guesses first, a step
    with m of them gives n_writing + their summed probabilities in the time of n_tokens + m; the best m wins,
    the smallest where several do.

    Args:
        offers: one for each answer that could guess.
        n_tokens: tokens of the step without guesses, prompts included.
        n_writing: answers that get a token in it.
    """
    likeliest = sorted(
        (-(offer.rate**number), number, place)
        for place, offer in enumerate(offers)
        for number in range(1, offer.n_guesses + 1)
    )
    counts = [0] * len(offers)
    best_counts, best_speed = list(counts), _speed(n_writing, times.seconds(n_tokens))
    gained = draft_s = 0.0
    for n_taken, (minus_probability, number, place) in enumerate(likeliest, 1):
        gained -= minus_probability
        counts[place] = number
        draft_s = max(draft_s, number * offers[place].seconds_each)  # drafts of one step run together
        speed = _speed(n_writing + gained, times.seconds(n_tokens + n_taken) + draft_s)
        if speed > best_speed * (1 + 1e-9):
            best_counts, best_speed = list(counts), speed
    return best_counts


def _speed(n_tokens: float, seconds: float) -> float:
    return n_tokens / seconds if seconds > 0 else float("inf")
