"""The step loop: continuous batching of everything that runs on one model (Yu et al. 2022, Orca).

One thread owns the model. At each step it lets waiting sequences in while the cache has room for all that
they may become, plans who computes what (`plan`), adds the tokens that are guessed ahead (`guesser`), and
computes all in one pass. A sequence that is cancelled leaves before the next step.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from homespun.engines.errors import EngineError, WindowError
from homespun.engines.openvino.blocks import BLOCK_TOKENS, BlockPool, blocks_for
from homespun.engines.openvino.guesser import Guesser
from homespun.engines.openvino.paged import PagedModel, Part
from homespun.engines.openvino.plan import STEP_ASKED, plan_step
from homespun.engines.openvino.roster import AdapterRoster
from homespun.engines.sequence import RunningSequence

MAX_SEQUENCES = 64


class StepLoop:
    """Runs sequences on a paged model in a thread of its own."""

    def __init__(self, model: PagedModel, pool: BlockPool, roster: AdapterRoster, guesser: Guesser) -> None:
        self._model = model
        self._pool = pool
        self._roster = roster
        self._guesser = guesser
        self._waiting: deque[RunningSequence] = deque()
        self._running: list[RunningSequence] = []
        self._calls: deque[tuple[Callable[[], None], threading.Event, list[BaseException]]] = deque()
        self._wake = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="homespun-steps", daemon=True)
        self._thread.start()

    def submit(self, sequence: RunningSequence) -> None:
        """Let a sequence in; its `done` is set when it has finished, failed or was cancelled.

        Raises:
            WindowError: it could never fit the cache.
            EngineError: the engine is closed.
        """
        needed = blocks_for(sequence.n_total)
        if needed > self._pool.n_blocks:
            raise WindowError(
                f"prompt and answer need {sequence.n_total} tokens of key-value cache; "
                f"it holds {self._pool.n_blocks * BLOCK_TOKENS}",
                remedy="Ask for fewer new tokens, or load the model with a larger cache_tokens.",
            )
        with self._wake:
            if self._is_closed:
                raise EngineError("the engine is closed")
            self._waiting.append(sequence)
            self._wake.notify()

    def cancel(self, sequence: RunningSequence) -> None:
        """End a sequence within one step."""
        with self._wake:
            sequence.is_cancelled = True
            self._wake.notify()

    def call(self, action: Callable[[], None]) -> None:
        """Run something between two steps in the loop's own thread, and wait for it."""
        finished = threading.Event()
        errors: list[BaseException] = []
        with self._wake:
            if self._is_closed:
                raise EngineError("the engine is closed")
            self._calls.append((action, finished, errors))
            self._wake.notify()
        finished.wait()
        if errors:
            raise errors[0]

    def close(self) -> None:
        """Cancel everything and end the thread."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join()

    def _run(self) -> None:
        reason = "the engine was closed"
        try:
            while self._wait_for_work():
                self._run_calls()
                self._drop_cancelled()
                self._admit()
                if self._running:
                    self._step_safely()
        except BaseException as error:  # nobody may wait for a thread that is gone
            reason = f"the engine stopped: {type(error).__name__}: {error}"
            with self._wake:
                self._is_closed = True
        for sequence in [*self._running, *self._waiting]:
            if not sequence.done.is_set():
                sequence.error = EngineError(reason)
                sequence.close()
        self._run_calls()
        self._guesser.release()
        self._model.release()

    def _wait_for_work(self) -> bool:
        with self._wake:
            while not (self._waiting or self._running or self._calls or self._is_closed):
                self._wake.wait()
            return not self._is_closed

    def _run_calls(self) -> None:
        while self._calls:
            action, finished, errors = self._calls.popleft()
            try:
                action()
            except BaseException as error:  # handed to the caller, whose call it is
                errors.append(error)
            finished.set()

    def _drop_cancelled(self) -> None:
        for sequence in [s for s in self._running if s.is_cancelled]:
            self._leave(sequence)
        with self._wake:
            gone = [s for s in self._waiting if s.is_cancelled]
            for sequence in gone:
                self._waiting.remove(sequence)
        for sequence in gone:
            sequence.close()

    def _admit(self) -> None:
        """Let sequences in, oldest first, while the cache can hold all that they may become."""
        while self._waiting and len(self._running) < MAX_SEQUENCES:
            sequence = self._waiting[0]
            try:
                root = self._roster.root(sequence.adapter)
            except EngineError as error:
                self._waiting.popleft()
                sequence.error = error
                sequence.close()
                continue
            # The first token asked for must be computed, and so the block that it stands in.
            known, node = self._pool.find_prefix(root, sequence.token_ids, sequence.first_asked)
            promised = blocks_for(sequence.n_total) - len(known)
            if promised + self._pool.n_idle(known) > self._pool.n_available:
                return
            sequence.root, sequence.node = root, node
            sequence.version = self._roster.enter(sequence.adapter)
            self._pool.share(known)
            self._pool.reserve(promised)
            sequence.n_promised = promised
            sequence.blocks = list(known)
            sequence.n_computed = sequence.n_cached = len(known) * BLOCK_TOKENS
            self._running.append(self._waiting.popleft())

    def _leave(self, sequence: RunningSequence) -> None:
        self._running.remove(sequence)
        try:
            self._pool.release_reserved(sequence.n_promised)
            self._pool.give_back(sequence.blocks)
            self._guesser.forget(sequence)
            self._roster.leave(sequence.version)
        finally:
            sequence.close()

    def _step_safely(self) -> None:
        """One step; a failure ends the sequences that took part, with its reason, and not the loop."""
        plan = plan_step(self._running)
        try:
            self._step(plan)
        except Exception as error:
            for sequence, _ in plan:
                sequence.error = (
                    error if isinstance(error, EngineError) else EngineError(f"a step failed: {error}")
                )
                sequence.is_finished = True
        for sequence in [s for s in self._running if s.is_finished]:
            self._leave(sequence)

    def _step(self, plan: list[tuple[RunningSequence, int]]) -> None:
        n_asked = sum(len(sequence.asked(n_new)) for sequence, n_new in plan)
        self._guesser.propose(plan, STEP_ASKED - n_asked)
        parts = [self._part(sequence, n_new) for sequence, n_new in plan]
        mask = self._roster.mask(
            [(sequence.version, len(part.token_ids)) for (sequence, _), part in zip(plan, parts, strict=True)]
        )
        started_s = time.perf_counter()
        logits = self._model.forward(parts, mask)
        n_tokens = sum(len(part.token_ids) for part in parts)
        self._guesser.times.learn(n_tokens, time.perf_counter() - started_s)
        row = 0
        for (sequence, n_new), part in zip(plan, parts, strict=True):
            self._take(sequence, n_new, logits[row : row + len(part.asked)])
            row += len(part.asked)

    def _part(self, sequence: RunningSequence, n_new: int) -> Part:
        begin = sequence.n_computed
        new = [*sequence.token_ids[begin : begin + n_new], *sequence.guesses]
        self._grow(sequence, begin + len(new))
        asked = sequence.asked(n_new)
        return Part(new, begin, sequence.blocks, range(asked.start, asked.stop + len(sequence.guesses)))

    def _take(self, sequence: RunningSequence, n_new: int, rows: npt.NDArray[np.float32]) -> None:
        """Hand a sequence its rows. What it guessed wrongly is not counted, and is computed over."""
        self._advance(sequence, n_new)
        try:
            sequence.take(rows)
        except EngineError as error:  # its own fault, not that of those beside it
            sequence.error = error
            sequence.is_finished = True
            return
        self._guesser.learn(sequence)
        self._advance(sequence, sequence.n_verified)

    def _grow(self, sequence: RunningSequence, n_tokens: int) -> None:
        while len(sequence.blocks) * BLOCK_TOKENS < n_tokens:
            sequence.blocks.append(self._pool.take())
            sequence.n_promised -= 1

    def _advance(self, sequence: RunningSequence, n_new: int) -> None:
        """Count new tokens as computed, and make the blocks that they filled known."""
        before = sequence.n_computed // BLOCK_TOKENS
        sequence.n_computed += n_new
        for number in range(before, sequence.n_computed // BLOCK_TOKENS):
            tokens = tuple(sequence.token_ids[number * BLOCK_TOKENS : (number + 1) * BLOCK_TOKENS])
            sequence.node = self._pool.remember(sequence.node, tokens, sequence.blocks[number])
