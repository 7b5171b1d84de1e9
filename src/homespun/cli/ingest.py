"""`homespun ingest`: documents into a library."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json, LibraryName, flags
from homespun.cli.render import print_json, shown_progress
from homespun.retrieval.sync import IngestOptions

app = typer.Typer()


@app.command()
@flags
def ingest(
    options: IngestOptions,
    paths: Annotated[list[Path], typer.Argument(help="files and folders")],
    library: LibraryName = "default",
    embedder: Annotated[
        str | None, typer.Option(help="the embedder of a new library (see `homespun embedders list`)")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read documents into a library."""
    from homespun.models.home import Home
    from homespun.retrieval.intake import ingest_paths
    from homespun.retrieval.library import Library
    from homespun.retrieval.notices import library_notices
    from homespun.retrieval.open import open_library

    home = Home.open()
    if embedder is not None:  # a new library is made with it; an old one of another embedder refuses
        open_library(home, library, create=True, embedder=embedder)
    with shown_progress() as progress:
        report = ingest_paths(home, library, paths, options, progress=progress)
    notices = library_notices(Library.open(home, library))
    if as_json:
        fields = {**_fields(report), "complete": report.is_complete, "notices": notices}
        print_json({"library": library, **fields})
        return
    n_read = len(report.added) + len(report.updated) + len(report.renamed) + len(report.unchanged)
    print(f"{library}: {n_read} documents, {report.n_passages} passages, in {report.seconds:.1f} s.")
    counts = {
        "added": report.added,
        "updated": report.updated,
        "renamed": report.renamed,
        "unchanged": report.unchanged,
        "removed": report.removed,
    }
    print("  " + ", ".join(f"{len(names)} {what}" for what, names in counts.items() if names))
    for item in report.partly_read:
        print(f"  partly read  {item.name}: {item.reason}")
    for item in report.not_read:
        print(f"  not read     {item.name}: {item.reason}")
    for skipped in report.skipped:
        print(f"  skipped      {skipped.path}: {skipped.reason}")
    for notice in notices:
        print(f"  note         {notice}")
    if report.n_passages:
        print(f'Try: homespun ask "..." --library {library}')


def _fields(report: object) -> dict[str, object]:
    import dataclasses

    return {f.name: getattr(report, f.name) for f in dataclasses.fields(report)}  # type: ignore[arg-type]
