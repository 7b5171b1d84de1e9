"""`homespun embed`: texts as embedders see them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import Json, OptionError, flags
from homespun.cli.render import print_json, shown_progress, table
from homespun.retrieval.embedding_views import EmbeddingView, EmbeddingViews, EmbedOptions, Method

if TYPE_CHECKING:
    from homespun.models.home import Home
    from homespun.retrieval.embedder import Embedder
    from homespun.retrieval.group_scores import GroupScores

app = typer.Typer()

#: What fits a terminal.
_MOST_COLUMNS, _MOST_ROWS = 12, 40
_MAP_WIDTH, _MAP_HEIGHT = 72, 18
_METHODS = {"pca": "principal components", "random": "random projection", "truncated": "truncation"}


@app.command()
@flags
def embed(
    options: EmbedOptions,
    texts: Annotated[
        list[str],
        typer.Argument(help="texts, or files: one a line, or .jsonl and .csv with `text` and `group`"),
    ],
    embedder: Annotated[
        list[str] | None, typer.Option(help="an embedder's name; several are shown side by side")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write vectors: FILE.npy, .parquet or .json")] = None,
    reduction: Annotated[
        Method | None,
        typer.Option(help="which of the reduced vectors --out writes; by default the whole ones"),
    ] = None,
    learn_from: Annotated[
        Path | None, typer.Option(help="a file of other texts that the principal components are learnt from")
    ] = None,
    heat: Annotated[Path | None, typer.Option(help="draw the similarities: FILE.png or FILE.svg")] = None,
    map_path: Annotated[
        Path | None, typer.Option("--map", help="draw the texts in the plane: FILE.png or FILE.svg")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show texts as embedders see them: vectors, similarities, groups, a map, and what fewer dimensions lose."""
    from homespun.documents.text_list import gather_texts, read_texts
    from homespun.models.home import Home
    from homespun.pictures.canvas import check_suffix
    from homespun.retrieval.embedding_files import (
        check_vectors_path,
        draw_map,
        draw_similarities,
        save_vectors,
    )
    from homespun.retrieval.embedding_views import view_embeddings

    for picture in (heat, map_path):
        if picture is not None:
            check_suffix(picture)
    names: list[str | None] = list(dict.fromkeys(embedder or [])) or [None]
    if out is not None:
        check_vectors_path(out, len(names))
    if reduction is not None and not (out and options.dimensions):
        raise OptionError(
            "--reduction says what --out writes of vectors reduced to --dimensions; give all three"
        )
    listed = gather_texts(texts)
    others = read_texts(learn_from) if learn_from is not None else []
    home = Home.open()
    with shown_progress() as progress:
        opened = [_opened(home, name) for name in names]
        found = view_embeddings(opened, listed, options, progress, learn_from=others)
    if out is not None:
        save_vectors(found, out, reduction)
    if heat is not None:
        draw_similarities(found, heat)
    if map_path is not None:
        draw_map(found, map_path)
    if as_json:
        print_json({"texts": found.texts, "groups": found.groups, "embedders": found.views})
        return
    for view in found.views:
        print(_shown(view, found) + "\n")
    if len(found.views) > 1 and len(found.texts) > 2:
        print(_side_by_side(found))


def _opened(home: "Home", name: str | None) -> "Embedder":
    """By name; without one the default, which nobody named just now and so may send nothing away."""
    from homespun.retrieval.embedders.opening import open_local

    found = open_local(home, name)
    if found is None:
        default = home.default_embedder
        raise OptionError(
            f"the default embedder {default} sends texts to a server; name it with --embedder {default}"
            if default
            else "there is no embedder; fetch the starter's with: homespun models add starter"
        )
    return found


def _shown(view: EmbeddingView, found: EmbeddingViews) -> str:
    sent = f"; the texts were sent to {view.sends_to}" if view.sends_to else ""
    parts = [f"{view.embedder}: {len(found.texts)} vectors of {view.dimensions} dimensions{sent}"]
    if view.similarities is None:
        parts.append("So many texts are not compared with each other.")
    elif len(found.texts) == 1:
        parts.append(" ".join(f"{value:.4f}" for value in view.vectors[0, :8]) + " ...")
    elif len(found.texts) <= _MOST_COLUMNS:
        parts.append(_matrix(view, found))
    else:
        parts.append(_neighbours(view, found))
    if view.scores is not None:
        parts.append(_told(view.scores))
    if view.points is not None and len(found.texts) <= _MOST_ROWS:
        parts.append(_drawn(view))
    if view.reductions:
        parts.append(_losses(view))
    return "\n".join(parts)


def _matrix(view: EmbeddingView, found: EmbeddingViews) -> str:
    """Cosines, numbered columns."""
    from homespun.documents.text_list import shortened

    assert view.similarities is not None
    rows: list[dict[str, Any]] = []
    for number, (text, values) in enumerate(zip(found.texts, view.similarities, strict=True), 1):
        row: dict[str, Any] = {"": number, "text": shortened(text), "group": found.groups[number - 1]}
        rows.append({**row, **{str(n): f"{value:.2f}" for n, value in enumerate(values, 1)}})
    return table(_without_groups(rows, found))


def _neighbours(view: EmbeddingView, found: EmbeddingViews) -> str:
    """For each text the one most like it."""
    from homespun.documents.text_list import shortened

    assert view.similarities is not None and view.nearest is not None
    rows: list[dict[str, Any]] = [
        {
            "": row + 1,
            "text": shortened(found.texts[row]),
            "group": found.groups[row],
            "most_like": shortened(found.texts[near]),
            "cosine": f"{view.similarities[row, near]:.2f}",
        }
        for row, near in list(enumerate(view.nearest.tolist()))[:_MOST_ROWS]
    ]
    left = len(found.texts) - len(rows)
    return table(_without_groups(rows, found)) + (f"\n... and {left} more" if left else "")


def _without_groups(rows: list[dict[str, Any]], found: EmbeddingViews) -> list[dict[str, Any]]:
    if any(found.groups):
        return rows
    return [{name: value for name, value in row.items() if name != "group"} for row in rows]


def _told(scores: "GroupScores") -> str:
    return (
        f"groups: silhouette {scores.silhouette:.3f} (cosine distance; from -1 to 1), nearest neighbour of the "
        f"same group {scores.n_nearest_same} of {scores.n_texts}"
    )


def _drawn(view: EmbeddingView) -> str:
    """The map with the texts' numbers at their places; the first of two at one place is seen."""
    assert view.points is not None
    low, high = view.points.min(axis=0), view.points.max(axis=0)
    scaled = (view.points - low) / [span if span > 0 else 1.0 for span in high - low]
    lines = [[" "] * (_MAP_WIDTH + 2) for _ in range(_MAP_HEIGHT)]
    for number, (x, y) in reversed(list(enumerate(scaled.tolist(), 1))):
        line, place = lines[round((1 - y) * (_MAP_HEIGHT - 1))], round(x * (_MAP_WIDTH - 1))
        line[place : place + len(str(number))] = str(number)
    edge = "+" + "-" * (_MAP_WIDTH + 2) + "+"
    rows = [edge, *("|" + "".join(line) + "|" for line in lines), edge]
    return "\n".join([*rows, f"across: {view.axis_labels[0]}; up: {view.axis_labels[1]}"])


def _losses(view: EmbeddingView) -> str:
    rows: list[dict[str, Any]] = []
    for one in view.reductions:
        rows.append(
            {
                "reduced_by": _METHODS[one.method],
                "dimensions": one.dimensions,
                "cosines_change_by": f"{one.mean_change:.3f}",
                "correlation": "-" if one.correlation is None else f"{one.correlation:.3f}",
                "same_nearest": f"{one.nearest_kept:.0%}",
                "silhouette": "-" if one.scores is None else f"{one.scores.silhouette:.3f}",
                "nearest_of_own_group": "-"
                if one.scores is None
                else f"{one.scores.n_nearest_same} of {one.scores.n_texts}",
            }
        )
    notes = [f"{_METHODS[one.method]}: {one.note}." for one in view.reductions]
    return "\n".join([table(rows), *notes])


def _side_by_side(found: EmbeddingViews) -> str:
    rows: list[dict[str, Any]] = []
    for view in found.views:
        scores = view.scores
        rows.append(
            {
                "embedder": view.embedder,
                "dimensions": view.dimensions,
                "silhouette": "-" if scores is None else f"{scores.silhouette:.3f}",
                "nearest_of_own_group": "-"
                if scores is None
                else f"{scores.n_nearest_same} of {scores.n_texts}",
            }
        )
    return table(rows)
