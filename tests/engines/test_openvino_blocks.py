"""The block pool: whatever sequences come and go, no block is lost, shared wrongly or given twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from homespun.engines.openvino.blocks import BLOCK_TOKENS, BlockPool

N_BLOCKS = 12


class Run:
    """A sequence as the step loop treats one: known prefix, promise, blocks as it grows, end."""

    def __init__(self, pool: BlockPool, root: int, token_ids: list[int]) -> None:
        self.pool, self.token_ids = pool, token_ids
        known, self.node = pool.find_prefix(root, token_ids, len(token_ids) - 1)
        self.n_known = len(known)
        self.n_promised = -(-len(token_ids) // BLOCK_TOKENS) - len(known)
        self.is_in = self.n_promised + pool.n_idle(known) <= pool.n_available
        if self.is_in:
            pool.share(known)
            pool.reserve(self.n_promised)
            self.blocks = list(known)

    def compute(self) -> None:
        while len(self.blocks) * BLOCK_TOKENS < len(self.token_ids):
            self.blocks.append(self.pool.take())
            self.n_promised -= 1
        for number in range(self.n_known, len(self.token_ids) // BLOCK_TOKENS):
            tokens = tuple(self.token_ids[number * BLOCK_TOKENS : (number + 1) * BLOCK_TOKENS])
            self.node = self.pool.remember(self.node, tokens, self.blocks[number])

    def end(self) -> None:
        self.pool.release_reserved(self.n_promised)
        self.pool.give_back(self.blocks)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),  # root: which adapter
            st.lists(st.integers(0, 1), min_size=1, max_size=5),  # each a block of one repeated token
            st.integers(1, BLOCK_TOKENS),  # tokens of the last block
            st.sampled_from(["compute and keep", "compute and end", "end at once", "end the oldest"]),
        ),
        max_size=30,
    )
)
def test_any_traffic_leaves_the_pool_whole(traffic):
    pool = BlockPool(N_BLOCKS)
    roots = [pool.new_root(), pool.new_root()]
    content: dict[int, tuple] = {}
    running: list[Run] = []
    for root, letters, n_last, what in traffic:
        if what == "end the oldest" and running:
            running.pop(0).end()
            continue
        tokens = [letter for letter in letters for _ in range(BLOCK_TOKENS)]
        run = Run(pool, roots[root], tokens[: len(tokens) - BLOCK_TOKENS + n_last])
        if not run.is_in:
            continue
        for number in range(run.n_known):  # what it takes over holds exactly its beginning
            assert content[run.blocks[number]] == (root, tuple(letters[: number + 1]))
        if what == "end at once":
            run.end()
            continue
        run.compute()
        in_use = {block for other in running for block in other.blocks}
        own = run.blocks[run.n_known :]
        assert len(set(run.blocks)) == len(run.blocks)
        assert not in_use & set(own)
        for number, block in enumerate(run.blocks):
            if number >= run.n_known:
                content[block] = (root, tuple(letters[: number + 1]))
        if what == "compute and end":
            run.end()
        else:
            running.append(run)
        assert 0 <= pool.n_available <= N_BLOCKS
    for run in running:
        run.end()
    assert pool.n_available == N_BLOCKS
    pool.forget_all()
    assert pool.n_available == N_BLOCKS
    pool.reserve(N_BLOCKS)
    assert sorted(pool.take() for _ in range(N_BLOCKS)) == list(range(N_BLOCKS))


def test_a_prefix_is_found_only_as_far_as_it_is_equal():
    pool = BlockPool(8)
    root, other = pool.new_root(), pool.new_root()
    tokens = list(range(3 * BLOCK_TOKENS))
    run = Run(pool, root, tokens)
    run.compute()
    run.end()
    assert pool.find_prefix(root, tokens, len(tokens))[0] == run.blocks
    assert pool.find_prefix(root, tokens, len(tokens) - 1)[0] == run.blocks[:2]
    changed = [*tokens[: BLOCK_TOKENS + 5], 999, *tokens[BLOCK_TOKENS + 6 :]]
    assert pool.find_prefix(root, changed, len(changed))[0] == run.blocks[:1]
    assert pool.find_prefix(root, [999, *tokens[1:]], len(tokens))[0] == []
    assert pool.find_prefix(other, tokens, len(tokens))[0] == []


def test_the_end_of_a_prefix_is_given_up_before_its_beginning():
    pool = BlockPool(3)
    root = pool.new_root()
    tokens = list(range(3 * BLOCK_TOKENS))
    run = Run(pool, root, tokens)
    run.compute()
    run.end()
    pool.reserve(1)
    assert pool.take() == run.blocks[2]
    assert pool.find_prefix(root, tokens, len(tokens))[0] == run.blocks[:2]
