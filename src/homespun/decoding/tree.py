"""The tree of choices: each node a token, with its probability, the score of the text so far, and the kept path."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TreeNode:
    """One token in the tree. Node 0 is the prompt's end and has no token.

    Attributes:
        parent: index of the node before; None for node 0.
        log_probability: of this token after its parents, in nats.
        score: of the text from the root to here, as the strategy orders texts (higher is better).
        is_kept: whether it lies on the path that became the answer.
    """

    parent: int | None
    token_id: int | None
    log_probability: float
    score: float
    is_kept: bool = False


class TreeBuilder:
    """A growing tree."""

    def __init__(self) -> None:
        self._nodes = [TreeNode(None, None, 0.0, 0.0, True)]

    @property
    def root(self) -> int:
        return 0

    def add(self, parent: int, token_id: int, log_probability: float, score: float) -> int:
        """A token behind a node; its index."""
        self._nodes.append(TreeNode(parent, token_id, log_probability, score))
        return len(self._nodes) - 1

    def keep(self, node: int | None) -> None:
        """Mark the path from the root to a node as the answer."""
        while node is not None:
            self._nodes[node] = replace(self._nodes[node], is_kept=True)
            node = self._nodes[node].parent

    def nodes(self) -> tuple[TreeNode, ...]:
        """All nodes; parents come before their children."""
        return tuple(self._nodes)


def path(nodes: tuple[TreeNode, ...], index: int) -> tuple[int, ...]:
    """Token ids from the root to a node."""
    ids: list[int] = []
    node = nodes[index]
    while node.parent is not None:
        assert node.token_id is not None
        ids.append(node.token_id)
        node = nodes[node.parent]
    return tuple(reversed(ids))
