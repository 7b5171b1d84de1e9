"""What `next_tokens` and the strategies found, as pictures."""

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homespun.decoding.compare_next import NextComparison
from homespun.decoding.next import NextTokens
from homespun.decoding.strategies import Written
from homespun.decoding.tree import TreeNode
from homespun.models.tokenizer import Tokenizer
from homespun.pictures.charts import draw_bars
from homespun.pictures.tree import DrawnNode, draw_tree
from homespun.pictures.wheel import draw_wheel


@dataclass(frozen=True)
class Spin:
    """One draw: tokens share a circle by their odds after the last stage; `random` (0 to 1) is the pointer.

    `token` is empty when the pointer stands on what is not among the shown ones.
    """

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]
    random: float
    token: str
    seed: int

    def draw(self, path: Path) -> None:
        """As a picture, PNG or SVG."""
        kept = [(t, p) for t, p in zip(self.tokens, self.probabilities, strict=True) if p > 0]
        title = f"Spinning the wheel (seed {self.seed})"
        draw_wheel([t for t, _ in kept], [p for _, p in kept], path, drawn_at=self.random, title=title)


def spin(found: NextTokens, seed: int | None = None) -> Spin:
    """Draw once from the odds after all stages, tokens in the order of the candidates."""
    seed = secrets.randbits(31) if seed is None else seed
    random = float(np.random.default_rng(seed).random())
    odds = [candidate.by_stage[-1] for candidate in found.candidates]
    place = int(np.searchsorted(np.cumsum(odds), random, side="right"))
    tokens = tuple(candidate.token for candidate in found.candidates)
    return Spin(tokens, tuple(odds), random, tokens[place] if place < len(tokens) else "", seed)


def draw_next(found: NextTokens, path: Path, *, title: str) -> None:
    """The candidates' odds after each stage as bars."""
    series = {
        name: [candidate.by_stage[stage] for candidate in found.candidates]
        for stage, name in enumerate(found.stage_names)
    }
    draw_bars([c.token for c in found.candidates], series, path, title=_short(title), unit="probability")


def draw_compared(found: NextComparison, path: Path, *, title: str) -> None:
    """The odds under the model for each way of asking, as bars; what a server does not tell has none."""
    series = {
        variant.name: [token.probabilities[place] or 0.0 for token in found.tokens]
        for place, variant in enumerate(found.variants)
    }
    draw_bars(
        [t.token for t in found.tokens], series, path, title=_short(title), unit="probability under the model"
    )


def draw_choices(
    written: Written,
    prompt: str,
    tokenizer: Tokenizer,
    path: Path,
    *,
    n_steps: int = 8,
    colour: str = "probability",
) -> None:
    """The tree of choices, its first steps.

    Args:
        colour: `probability` of each token, or `score` of the text up to it (scaled to the shown ones).
    """
    nodes = _first_steps(written, n_steps)
    scores = [node.score for _, node in nodes[1:] if np.isfinite(node.score)]
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    drawn: list[DrawnNode] = []
    new_index = {old: new for new, (old, _) in enumerate(nodes)}
    for _, node in nodes:
        odds = float(np.exp(node.log_probability))
        value = odds if colour == "probability" else (node.score - low) / max(high - low, 1e-9)
        text = _short(prompt, 24) if node.token_id is None else tokenizer.token_text(node.token_id)
        told = f"{odds:.3f}" if colour == "probability" else f"{node.score:.2f}"
        note = "" if node.token_id is None else told.replace("nan", "?")
        value = value if np.isfinite(value) else 0.0  # a server did not tell it
        parent = None if node.parent is None else new_index[node.parent]
        drawn.append(DrawnNode(parent, text, 0.0 if parent is None else value, note, node.is_kept))
    label = "probability of the token" if colour == "probability" else "score of the text, lowest to highest"
    draw_tree(drawn, path, title=f"{written.strategy}: the choices at each token", value_label=label)


def _first_steps(written: Written, n_steps: int) -> list[tuple[int, TreeNode]]:
    depth: dict[int, int] = {}
    kept = []
    for index, node in enumerate(written.tree):
        depth[index] = 0 if node.parent is None else depth[node.parent] + 1
        if depth[index] <= n_steps:
            kept.append((index, node))
    return kept


def _short(text: str, n: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= n else line[: n - 1] + "…"


def tree_text(written: Written, tokenizer: Tokenizer, *, n_steps: int = 8) -> str:
    """The same tree for a terminal: one line a node, the kept path marked with a star."""
    lines = []
    children: dict[int | None, list[int]] = {}
    for index, node in _first_steps(written, n_steps):
        children.setdefault(node.parent, []).append(index)
    waiting: list[tuple[int, int]] = [(index, 0) for index in reversed(children.get(0, []))]
    while waiting:
        index, level = waiting.pop()
        node = written.tree[index]
        assert node.token_id is not None
        mark = "*" if node.is_kept else " "
        token = repr(tokenizer.token_text(node.token_id))
        figures = f"{np.exp(node.log_probability):.3f}  score {node.score:.2f}".replace("nan", "?")
        lines.append(f"{mark} {'  ' * level}{token} {figures}")
        waiting += [(child, level + 1) for child in reversed(children.get(index, []))]
    return "\n".join(lines)
