"""The step loop's guesses: what each answer in a step guesses ahead, and what the outcome teaches.

Only the loop's thread uses it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from homespun.engines.engine import Guessing
from homespun.engines.guessing import (
    MAX_GUESSES,
    AcceptanceRate,
    Offer,
    StepTimes,
    TokenIndex,
    choose_counts,
)
from homespun.engines.openvino.draft import DraftModel
from homespun.engines.sequence import RunningSequence

MAX_DRAFTED = 5  # a draft model's guesses cost a step of its own each


@dataclass
class _Answer:
    """What is known of one answer's guesses."""

    index: TokenIndex
    lookup_rate: AcceptanceRate = field(default_factory=AcceptanceRate)
    draft_rate: AcceptanceRate = field(default_factory=AcceptanceRate)
    offered: list[int] = field(default_factory=list)
    n_before: int = 0
    is_drafted: bool = False


class Guesser:
    """Guesses for the answers that are written in a step."""

    def __init__(self, mode: Guessing, draft: DraftModel | None = None) -> None:
        self._mode = mode
        self._draft = draft
        self._answers: dict[RunningSequence, _Answer] = {}
        self._draft_times = StepTimes()
        self.times = StepTimes()

    def propose(self, plan: Sequence[tuple[RunningSequence, int]], n_asked_left: int) -> None:
        """Set the guesses of the sequences that write in this step.

        Args:
            plan: the sequences of the step, with their tokens.
            n_asked_left: rows of logits that the step may still ask for.
        """
        if self._mode == "off":
            return
        writing = [(s, min(s.n_guessable, MAX_GUESSES)) for s, _ in plan if s.n_guessable > 0]
        if not writing:
            return
        most_each = n_asked_left // len(writing)
        answers = [self._look_up(sequence, min(most, most_each)) for sequence, most in writing]
        wanted = [
            self._wanted(answer, min(most, most_each))
            for answer, (_, most) in zip(answers, writing, strict=True)
        ]
        if self._mode == "auto":
            n_writing = sum(1 for s, _ in plan if s.n_waiting == 1)
            counts = choose_counts(wanted, sum(n for _, n in plan), n_writing, self.times)
        else:
            counts = [offer.n_guesses for offer in wanted]
        self._fill_by_draft([(s, a, n) for (s, _), a, n in zip(writing, answers, counts, strict=True)])
        for (sequence, _), answer, count in zip(writing, answers, counts, strict=True):
            sequence.guesses = answer.offered[:count]

    def learn(self, sequence: RunningSequence) -> None:
        """Compare what was offered with what was drawn, whether or not the model was asked to verify it."""
        answer = self._answers.get(sequence)
        if answer is None or not answer.offered:
            return
        written = sequence.token_ids[answer.n_before :]
        n_hits = 0
        while n_hits < min(len(written), len(answer.offered)) and written[n_hits] == answer.offered[n_hits]:
            n_hits += 1
        rate = answer.draft_rate if answer.is_drafted else answer.lookup_rate
        rate.learn(n_hits, was_rejected=n_hits < min(len(written), len(answer.offered)))
        answer.offered = []

    def forget(self, sequence: RunningSequence) -> None:
        """A sequence has left the loop."""
        self._answers.pop(sequence, None)
        if self._draft is not None:
            self._draft.leave(sequence)

    def release(self) -> None:
        """Free the draft model."""
        if self._draft is not None:
            self._draft.release()

    def _look_up(self, sequence: RunningSequence, n_guesses: int) -> _Answer:
        answer = self._answers.get(sequence)
        if answer is None:
            answer = self._answers[sequence] = _Answer(TokenIndex())
        answer.index.extend(sequence.token_ids[len(answer.index) :])
        answer.n_before = len(sequence.token_ids)
        answer.offered = answer.index.guess(n_guesses)
        answer.is_drafted = False
        return answer

    def _wanted(self, answer: _Answer, most: int) -> Offer:
        if answer.offered:
            return Offer(len(answer.offered), answer.lookup_rate.value)
        if self._draft is None:
            return Offer(0, 0.0)
        return Offer(min(most, MAX_DRAFTED), answer.draft_rate.value, self._draft_times.seconds(1))

    def _fill_by_draft(self, wanted: Sequence[tuple[RunningSequence, _Answer, int]]) -> None:
        lacking = [(s, answer, n) for s, answer, n in wanted if n and not answer.offered]
        if self._draft is None or not lacking:
            return
        started_s = time.perf_counter()
        drafted = self._draft.guess([(sequence, n) for sequence, _, n in lacking])
        n_rounds = max(len(guesses) for guesses in drafted)
        if n_rounds:
            self._draft_times.learn(1, (time.perf_counter() - started_s) / n_rounds)
        for (_, answer, _), guesses in zip(lacking, drafted, strict=True):
            answer.offered, answer.is_drafted = guesses, True
