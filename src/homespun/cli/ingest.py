"""`homespun ingest`: documents into a library, once or for as long as they change."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json, LibraryName, OptionError, flags
from homespun.cli.render import print_json, shown_progress
from homespun.documents.fetch import FetchOptions, is_url
from homespun.documents.read import ReadOptions
from homespun.errors import HomespunError
from homespun.models.home import Home
from homespun.retrieval.report import IngestReport
from homespun.retrieval.sync import IngestOptions
from homespun.retrieval.watch import WatchOptions

app = typer.Typer()


@app.command()
@flags
def ingest(
    options: IngestOptions,
    read_options: ReadOptions,
    fetch_options: FetchOptions,
    watch_options: WatchOptions,
    paths: Annotated[
        list[str], typer.Argument(help='files, folders, patterns ("**/*.md"), addresses of web pages')
    ],
    library: LibraryName = "default",
    embedder: Annotated[
        str | None, typer.Option(help="the embedder of a new library (see `homespun embedders list`)")
    ] = None,
    store: Annotated[
        str, typer.Option(help="where a new library keeps its rows: postgresql://..., s3://...; none: here")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="go on and follow the files; Ctrl-C ends")] = False,
    as_json: Json = False,
) -> None:
    """Read documents into a library."""
    from homespun.retrieval.intake import ingest_paths
    from homespun.retrieval.open import open_library

    home = Home.open()
    if watch and any(map(is_url, paths)):
        raise OptionError("--watch follows files and folders, not web pages")
    options = dataclasses.replace(options, read=_checked(read_options))
    if embedder is not None or store:  # a new library is made so; an old one of another embedder refuses
        open_library(home, library, create=True, embedder=embedder, store=store)
    if watch:
        _follow(home, library, [Path(path) for path in paths], watch_options, options, as_json)
        return
    with shown_progress() as progress:
        report = ingest_paths(home, library, paths, options, fetch_options, progress=progress)
    _print_report(home, library, report, as_json)


def _checked(options: ReadOptions) -> ReadOptions:
    """Refuse before a long run what could not be read in it."""
    if options.recognition is not None:
        from homespun.documents.ocr import check_ocr

        check_ocr(options.recognition)
    return options


def _follow(
    home: Home, library: str, paths: list[Path], how: WatchOptions, options: IngestOptions, as_json: bool
) -> None:
    import sys

    from homespun.retrieval.watch import watch

    def tell(report: IngestReport | HomespunError) -> None:
        if isinstance(report, IngestReport):
            _print_report(home, library, report, as_json)
            sys.stdout.flush()
        else:
            print(f"homespun: {report.sentence()} It is tried again.", file=sys.stderr)

    if not as_json:
        print("Following the files; Ctrl-C ends, and nothing is lost by it.", flush=True)
    with shown_progress() as progress:
        watch(home, library, paths, how, options, on_report=tell, progress=progress)


def _print_report(home: Home, library: str, report: IngestReport, as_json: bool) -> None:
    from homespun.retrieval.library import Library
    from homespun.retrieval.notices import library_notices

    notices = library_notices(Library.open(home, library))
    if as_json:
        fields = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
        print_json({"library": library, **fields, "complete": report.is_complete, "notices": notices})
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
