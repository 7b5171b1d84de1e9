"""A small model with the same tokens that guesses what a larger one will write (Leviathan et al. 2023).

It takes its most probable token each time. It has a cache of its own, keeps up with each answer lazily
and never sees adapters: a wrong guess costs time, nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from homespun.engines.errors import EngineError
from homespun.engines.openvino.blocks import BLOCK_TOKENS, BlockPool, blocks_for
from homespun.engines.openvino.paged import PagedModel, Part
from homespun.engines.sequence import RunningSequence
from homespun.models.tokenizer import Tokenizer

CHUNK_TOKENS = 256  # of a prompt that the draft reads before one step; it guesses once it has read all


@dataclass
class _Follower:
    """The draft's own view of one answer: the tokens whose keys and values stand in its blocks."""

    token_ids: list[int] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    n_promised: int = 0


class DraftModel:
    """Greedy guesses for several answers at once. One thread uses it."""

    def __init__(self, model: PagedModel, n_blocks: int, window: int) -> None:
        self._model = model
        self._pool = BlockPool(n_blocks)
        self._window = window
        self._followers: dict[RunningSequence, _Follower] = {}

    def guess(self, wanted: Sequence[tuple[RunningSequence, int]]) -> list[list[int]]:
        """Up to so many next tokens for each; none where the draft has no room or has not read all yet."""
        guesses: list[list[int]] = [[] for _ in wanted]
        going = [place for place, (sequence, n) in enumerate(wanted) if self._can_follow(sequence, n)]
        pending = {place: self._catch_up(wanted[place][0]) for place in going}
        while going:
            rows = self._compute([(self._followers[wanted[place][0]], pending[place]) for place in going])
            still = []
            for place, token in zip(going, rows, strict=True):
                sequence, n_guesses = wanted[place]
                follower = self._followers[sequence]
                if len(follower.token_ids) < len(sequence.token_ids):
                    continue  # not at the end of its prompt yet
                guesses[place].append(token)
                pending[place] = [token]
                if len(guesses[place]) < n_guesses:
                    still.append(place)
            going = still
        return guesses

    def leave(self, sequence: RunningSequence) -> None:
        """An answer has ended."""
        follower = self._followers.pop(sequence, None)
        if follower is not None:
            self._pool.release_reserved(follower.n_promised)
            self._pool.give_back(follower.blocks)

    def release(self) -> None:
        """Free the graph and the cache."""
        self._model.release()

    @property
    def n_available_blocks(self) -> int:
        """Blocks that no answer has or was promised."""
        return self._pool.n_available

    def _can_follow(self, sequence: RunningSequence, n_guesses: int) -> bool:
        if n_guesses < 1 or sequence.n_total > self._window:
            return False
        if sequence not in self._followers:
            n_blocks = blocks_for(sequence.n_total)
            if n_blocks > self._pool.n_available:
                return False
            self._pool.reserve(n_blocks)
            self._followers[sequence] = _Follower(n_promised=n_blocks)
        return True

    def _catch_up(self, sequence: RunningSequence) -> list[int]:
        """Drop what was guessed wrongly; the next tokens to read."""
        follower = self._followers[sequence]
        n_same = min(len(follower.token_ids), len(sequence.token_ids) - 1)
        while follower.token_ids[:n_same] != sequence.token_ids[:n_same]:
            n_same -= 1
        del follower.token_ids[n_same:]
        return sequence.token_ids[n_same : n_same + CHUNK_TOKENS]

    def _compute(self, work: Sequence[tuple[_Follower, list[int]]]) -> list[int]:
        parts = []
        for follower, new in work:
            n_past = len(follower.token_ids)
            while len(follower.blocks) * BLOCK_TOKENS < n_past + len(new):
                follower.blocks.append(self._pool.take())
                follower.n_promised -= 1
            parts.append(Part(new, n_past, follower.blocks, [len(new) - 1]))
        logits = self._model.forward(parts)
        for follower, new in work:
            follower.token_ids.extend(new)
        return [int(token) for token in logits.argmax(axis=-1)]


def check_same_tokens(tokenizer: Tokenizer, draft: Tokenizer, name: str) -> None:
    """Refuse a draft model whose tokens are not the model's.

    Raises:
        EngineError: naming the first token that differs.
    """
    own, other = tokenizer.vocabulary.texts, draft.vocabulary.texts
    n_both = min(len(own), len(other))
    differing = next((place for place in range(n_both) if own[place] != other[place]), n_both)
    if differing == n_both and len(own) == len(other):
        return
    spelled = [repr(texts[differing]) if differing < len(texts) else "missing" for texts in (own, other)]
    raise EngineError(
        f"the draft model has other tokens: number {differing} is {spelled[0]} in the model and "
        f"{spelled[1]} in the draft",
        where=name,
        remedy="Choose a draft of the same family, or leave the draft out.",
    )
