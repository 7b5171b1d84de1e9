"""Vectors as files for other programs, and their pictures."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from homespun.documents.text_list import shortened
from homespun.pictures.canvas import check_suffix
from homespun.pictures.heat import draw_heat_maps
from homespun.pictures.points import Panel, draw_points
from homespun.retrieval.embedding_views import MOST_COMPARED, EmbeddingView, EmbeddingViews, Method
from homespun.retrieval.errors import EmbedderError

SUFFIXES = (".npy", ".parquet", ".json")
_MOST_IN_HEAT_MAP = 1000


def check_vectors_path(path: Path, n_embedders: int) -> None:
    """Refuse before any work.

    Raises:
        EmbedderError: a name that ends otherwise, or a .npy file for several embedders.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise EmbedderError(
            f"{path.name!r} is no name for a file of vectors.",
            remedy="Let it end in .npy, .parquet or .json.",
        )
    if suffix == ".npy" and n_embedders > 1:
        raise EmbedderError(
            "A .npy file holds the vectors of one embedder.", remedy="Use .parquet or .json for several."
        )


def save_vectors(found: EmbeddingViews, path: Path, reduction: Method | None = None) -> None:
    """Write the vectors, whole or not at all.

    - `.npy`: float32 (n texts, dimensions).
    - `.parquet`: a row for each text and embedder: `text`, `group`, `embedder`, `vector`.
    - `.json`: `texts`, `groups`, and under `embedders` by name `dimensions` and `vectors`.

    Args:
        found: texts and vectors.
        path: by its ending.
        reduction: write the vectors that this method reduced, which must have been asked for.

    Raises:
        EmbedderError: see `check_vectors_path`, a reduction that was not made, or a file that cannot be written.
    """
    check_vectors_path(path, len(found.views))
    vectors = {view.embedder: _chosen(view, reduction) for view in found.views}
    data = io.BytesIO()
    suffix = path.suffix.lower()
    if suffix == ".npy":
        np.save(data, next(iter(vectors.values())))
    elif suffix == ".json":
        data.write(_as_json(found, vectors).encode("utf-8", "replace"))
    else:
        _write_parquet(found, vectors, data)
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data.getvalue())
        part.replace(path)
    except OSError as error:
        raise EmbedderError(f"The vectors cannot be written ({error.strerror}).", where=str(path)) from error


def _chosen(view: EmbeddingView, reduction: Method | None) -> npt.NDArray[np.float32]:
    if reduction is None:
        return view.vectors
    for one in view.reductions:
        if one.method == reduction:
            return one.vectors
    raise EmbedderError("The vectors were not reduced.", remedy="Say to how many --dimensions.")


def _as_json(found: EmbeddingViews, vectors: dict[str, npt.NDArray[np.float32]]) -> str:
    # The shortest decimals that are read back as the same float32.
    each = {
        name: {
            "dimensions": rows.shape[1],
            "vectors": [[float(str(value)) for value in row] for row in rows],
        }
        for name, rows in vectors.items()
    }
    return json.dumps({"texts": found.texts, "groups": found.groups, "embedders": each}, ensure_ascii=False)


def _write_parquet(found: EmbeddingViews, vectors: dict[str, npt.NDArray[np.float32]], data: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = len(found.texts)
    columns = {
        "text": [text.encode("utf-8", "replace").decode() for text in found.texts] * len(vectors),
        "group": list(found.groups) * len(vectors),
        "embedder": [name for name in vectors for _ in range(n)],
        "vector": pa.array([row for rows in vectors.values() for row in rows], pa.list_(pa.float32())),
    }
    pq.write_table(pa.table(columns), data)


def draw_similarities(found: EmbeddingViews, path: Path) -> None:
    """Heat maps of the embedders side by side, texts of a group together.

    Raises:
        EmbedderError: too many texts.
        PictureError: the name ends otherwise, or the file cannot be written.
    """
    check_suffix(path)
    if len(found.texts) > _MOST_IN_HEAT_MAP:
        raise EmbedderError(f"A heat map shows at most {_MOST_IN_HEAT_MAP} texts, not {len(found.texts)}.")
    rank = {group: number for number, group in enumerate(dict.fromkeys(found.groups))}
    order = sorted(range(len(found.texts)), key=lambda row: rank[found.groups[row]])
    groups = [found.groups[row] for row in order]
    matrices = {
        _title(view): view.similarities[np.ix_(order, order)]
        for view in found.views
        if view.similarities is not None
    }
    labels = [shortened(found.texts[row]) for row in order]
    dividers = [row for row in range(1, len(groups)) if groups[row] != groups[row - 1]]
    draw_heat_maps(matrices, labels, path, unit="similarity (cosine, no unit)", dividers=dividers)


def draw_map(found: EmbeddingViews, path: Path) -> None:
    """The texts in the plane, the embedders side by side.

    Raises:
        EmbedderError: too few texts, or too many.
        PictureError: the name ends otherwise, or the file cannot be written.
    """
    check_suffix(path)
    if not 3 <= len(found.texts) <= MOST_COMPARED:
        raise EmbedderError(f"A map shows 3 to {MOST_COMPARED} texts, not {len(found.texts)}.")
    panels = {
        _title(view): Panel(view.points, view.axis_labels) for view in found.views if view.points is not None
    }
    draw_points(panels, found.groups, path, labels=[shortened(text) for text in found.texts], legend="group")


def _title(view: EmbeddingView) -> str:
    title = f"{view.embedder}, {view.dimensions} dimensions"
    return title if view.scores is None else f"{title}, silhouette {view.scores.silhouette:.2f}"
