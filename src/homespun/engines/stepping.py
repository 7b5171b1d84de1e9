"""An answer that is written step by step in the thread of whoever reads it."""

from collections.abc import Callable, Iterator

from homespun.engines.engine import Generation, Request, Step
from homespun.engines.errors import EngineError
from homespun.engines.sequence import Writing
from homespun.models.tokenizer import Tokenizer


class SteppedStream:
    """A `GenerationStream` for engines without a loop of their own: each iteration computes one step."""

    def __init__(
        self,
        request: Request,
        tokenizer: Tokenizer,
        window: int,
        advance: Callable[[Writing], None],
        leave: Callable[[Writing], None],
    ) -> None:
        """Begin an answer.

        Args:
            advance: computes the next step of a sequence.
            leave: frees what the engine keeps for it; called once it has ended.
        """
        self._steps: list[Step] = []
        self.sequence = Writing(request, tokenizer, window, self._steps.append)
        self._advance = advance
        self._leave = leave

    def __iter__(self) -> Iterator[Step]:
        sequence = self.sequence
        n_given = 0
        try:
            while not (sequence.is_finished or sequence.is_cancelled):
                self._advance(sequence)
                while n_given < len(self._steps):
                    n_given += 1
                    yield self._steps[n_given - 1]
        finally:
            self.cancel()
            self._leave(sequence)
            sequence.close()

    def cancel(self) -> None:
        """End within one step."""
        if not self.sequence.is_finished:
            self.sequence.is_cancelled = True

    @property
    def result(self) -> Generation:
        """The finished answer."""
        if not (self.sequence.is_finished or self.sequence.is_cancelled):
            raise EngineError("the answer is not finished: read the stream to its end, or cancel it")
        return self.sequence.result()
