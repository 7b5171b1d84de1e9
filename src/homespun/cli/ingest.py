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
    as_json: Json = False,
) -> None:
    """Read documents into a library."""
    from homespun.models.home import Home
    from homespun.retrieval.intake import ingest_paths

    with shown_progress() as progress:
        report = ingest_paths(Home.open(), library, paths, options, progress=progress)
    if as_json:
        print_json({"library": library, **_fields(report), "complete": report.is_complete})
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
    if report.n_passages:
        print(f'Try: homespun ask "..." --library {library}')


def _fields(report: object) -> dict[str, object]:
    import dataclasses

    return {f.name: getattr(report, f.name) for f in dataclasses.fields(report)}  # type: ignore[arg-type]
