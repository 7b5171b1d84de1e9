"""What embedders make of texts: vectors, how alike they are, their groups, and what fewer dimensions lose."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from homespun.documents.text_list import ListedText, shortened
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder, Kind
from homespun.retrieval.errors import EmbedderError
from homespun.retrieval.group_scores import GroupScores, group_scores, nearest_neighbours
from homespun.retrieval.plane import check_umap, component_labels, principal_plane, umap_plane
from homespun.retrieval.reductions import (
    FloatArray,
    principal_directions,
    random_projection,
    similarities,
    truncation,
)

#: Every text is compared with every other up to so many; above, there are only vectors.
MOST_COMPARED = 2000

Method = Literal["pca", "random", "truncated"]


@dataclass(frozen=True)
class EmbedOptions:
    """How texts are embedded and looked at."""

    kind: Kind = field(
        default="passage", metadata={"help": "passage or query: some embedders read them differently"}
    )
    dimensions: int = field(
        default=0,
        metadata={"help": "also reduce vectors to so many dimensions, and say what is lost; 0: not"},
    )
    layout: Literal["pca", "umap"] = field(
        default="pca", metadata={"help": "of the map: pca, or umap where the package umap-learn is installed"}
    )
    seed: int = field(default=0, metadata={"help": "of random projections and of umap"})


@dataclass(frozen=True)
class Reduction:
    """Vectors of fewer dimensions, and what they lose.

    Attributes:
        method: pca, random or truncated.
        dimensions: fewer than asked for where so many cannot be.
        vectors: (n texts, dimensions) float32; pca's are centred, no others.
        mean_change: mean absolute change of the cosine of two texts.
        correlation: of the cosines of two texts before and after; None where all are the same.
        nearest_kept: share of texts whose nearest neighbour is the same as before.
        scores: of the groups, after it.
        note: what must be known to read these figures.
    """

    method: Method
    dimensions: int
    vectors: npt.NDArray[np.float32]
    mean_change: float
    correlation: float | None
    nearest_kept: float
    scores: GroupScores | None
    note: str = ""


@dataclass(frozen=True)
class EmbeddingView:
    """What one embedder makes of the texts.

    Attributes:
        embedder: its name.
        sends_to: the server that read the texts; empty where they stayed on this machine.
        vectors: (n texts, dimensions) float32, of length 1.
        similarities: (n, n) cosines; None for more than `MOST_COMPARED` texts, and so are the next four.
        nearest: for each text the number of the one most like it; None for one text too.
        scores: of the groups; None without two groups, or where each text is a group.
        points: (n, 2), the map; None for fewer than three texts too.
        axis_labels: of the map.
        reductions: as asked for.
    """

    embedder: str
    sends_to: str
    dimensions: int
    vectors: npt.NDArray[np.float32]
    similarities: FloatArray | None
    nearest: npt.NDArray[np.int64] | None
    scores: GroupScores | None
    points: FloatArray | None
    axis_labels: tuple[str, str]
    reductions: tuple[Reduction, ...] = ()


@dataclass(frozen=True)
class EmbeddingViews:
    """The same texts as several embedders see them."""

    texts: tuple[str, ...]
    groups: tuple[str, ...]
    views: tuple[EmbeddingView, ...]


def view_embeddings(
    embedders: Sequence[Embedder],
    texts: Sequence[ListedText],
    options: EmbedOptions = EmbedOptions(),
    progress: Progress = no_progress,
    *,
    learn_from: Sequence[ListedText] = (),
) -> EmbeddingViews:
    """Embed texts and look at the vectors.

    Args:
        embedders: each looks at all texts.
        texts: with their groups, if any.
        options: what to do.
        progress: told what is done.
        learn_from: texts like the ones to be reduced, whose principal directions are used instead of the
            texts' own; (n - 1 dimensions need n of them).

    Raises:
        EmbedderError: a text that an embedder cannot read whole, dimensions that cannot be, or a layout whose
            package is not installed.
        RemoteError: a server that does not answer.
    """
    if options.dimensions and not 3 <= len(texts) <= MOST_COMPARED:
        raise EmbedderError(
            f"What fewer dimensions lose is measured on 3 to {MOST_COMPARED} texts, not {len(texts)}."
        )
    if learn_from and (not options.dimensions or len(learn_from) < 3):
        raise EmbedderError("Principal directions are learnt from 3 texts or more, and for fewer dimensions.")
    _check(embedders, texts, options)
    _check(embedders, learn_from, options)
    listed = tuple(text.text for text in texts)
    groups = tuple(text.group for text in texts)
    others = [text.text for text in learn_from]
    views = tuple(_view(embedder, listed, groups, options, progress, others) for embedder in embedders)
    return EmbeddingViews(listed, groups, views)


def _check(embedders: Sequence[Embedder], texts: Sequence[ListedText], options: EmbedOptions) -> None:
    """Refuse before any work."""
    if options.layout == "umap":
        check_umap()
    if options.dimensions < 0:
        raise EmbedderError(f"{options.dimensions} dimensions cannot be.", remedy="Name 1 or more.")
    for embedder in embedders:
        if options.dimensions >= embedder.dimensions:
            raise EmbedderError(
                f"{embedder.name} has {embedder.dimensions} dimensions; {options.dimensions} are not fewer."
            )
        for number, text in enumerate(texts, 1):
            n_tokens = len(embedder.token_limit.offsets(text.text))
            if options.kind == "passage" and n_tokens > embedder.max_tokens:
                raise EmbedderError(
                    f"The text {shortened(text.text)!r} (number {number}) has {n_tokens} tokens, and {embedder.name} "
                    f"reads {embedder.max_tokens}.",
                    remedy="Shorten or divide it, or use --kind query, which takes the mean of its parts.",
                )


def _view(
    embedder: Embedder,
    texts: tuple[str, ...],
    groups: tuple[str, ...],
    options: EmbedOptions,
    progress: Progress,
    learn_from: Sequence[str],
) -> EmbeddingView:
    vectors = embedder.embed(texts, options.kind, progress)
    about = (embedder.name, str(getattr(embedder, "sends_to", "")), embedder.dimensions, vectors)
    if len(texts) > MOST_COMPARED:
        return EmbeddingView(*about, None, None, None, None, ("", ""))
    n_steps = 3 if options.dimensions else 2
    progress("comparing the texts", 0, n_steps)
    similar = similarities(vectors)
    progress("comparing the texts", 1, n_steps)
    points, axis_labels = _laid_out(vectors, options)
    progress("comparing the texts", 2, n_steps)
    reductions: tuple[Reduction, ...] = ()
    if options.dimensions:
        others = embedder.embed(learn_from, options.kind, progress) if learn_from else None
        reductions = reduced(vectors, groups, options.dimensions, options.seed, others)
    return EmbeddingView(
        *about,
        similar,
        nearest_neighbours(similar) if len(texts) > 1 else None,
        group_scores(similar, groups),
        points,
        axis_labels,
        reductions,
    )


def _laid_out(
    vectors: npt.NDArray[np.float32], options: EmbedOptions
) -> tuple[FloatArray | None, tuple[str, str]]:
    if len(vectors) < 3:
        return None, ("", "")
    if options.layout == "umap":
        return umap_plane(vectors, options.seed), (
            "first direction of UMAP (no unit)",
            "second direction of UMAP",
        )
    points, explained = principal_plane(vectors)
    return points, component_labels(explained)


def reduced(
    vectors: npt.NDArray[np.float32],
    groups: Sequence[str],
    n_dimensions: int,
    seed: int = 0,
    learn_from: npt.NDArray[np.float32] | None = None,
) -> tuple[Reduction, ...]:
    """Vectors reduced by each method, and what each loses.

    Args:
        vectors: (n, d), at least three.
        groups: of the texts.
        n_dimensions: fewer than d.
        seed: of the random projection.
        learn_from: (m, d) vectors whose principal directions are used; None: those of `vectors`.
    """
    learnt_from = vectors if learn_from is None else learn_from
    learnt = principal_directions(learnt_from, n_dimensions)
    before = similarities(vectors)
    pairs = np.triu_indices(len(vectors), 1)
    by_centring = float(np.abs(similarities(vectors - learnt.mean) - before)[pairs].mean())
    notes: dict[Method, str] = {
        "pca": f"learnt from {len(learnt_from)} texts, whose mean it takes away; that alone changes cosines by "
        f"{by_centring:.3f}",
        "random": f"one draw, seed {seed}",
        "truncated": "the first numbers of each vector, which mean most only in embedders trained for it",
    }
    n_learnt = len(learnt.directions)
    if n_learnt < n_dimensions:
        notes["pca"] += f"; {len(learnt_from)} texts differ in at most {n_learnt} directions"
    found: dict[Method, FloatArray] = {
        "pca": learnt.points(vectors),
        "random": random_projection(vectors, n_dimensions, seed),
        "truncated": truncation(vectors, n_dimensions),
    }
    return tuple(_measured(method, rows, before, groups, notes[method]) for method, rows in found.items())


def _measured(
    method: Method, rows: FloatArray, before: FloatArray, groups: Sequence[str], note: str
) -> Reduction:
    after = similarities(rows)
    pairs = np.triu_indices(len(rows), 1)
    old, new = before[pairs], after[pairs]
    varies = min(old.std(), new.std()) > 1e-12
    return Reduction(
        method=method,
        dimensions=rows.shape[1],
        vectors=rows.astype(np.float32),
        mean_change=float(np.abs(new - old).mean()),
        correlation=float(np.corrcoef(old, new)[0, 1]) if varies else None,
        nearest_kept=float((nearest_neighbours(before) == nearest_neighbours(after)).mean()),
        scores=group_scores(after, groups),
        note=note,
    )
