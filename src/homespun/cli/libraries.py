"""`homespun libraries`: what is in the libraries of this home."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, table

app = typer.Typer(
    no_args_is_help=True, help="List, show, check, purge and remove libraries; print their documents' text."
)
Name = Annotated[str, typer.Argument(help="the library's name")]


@app.command("list")
def list_libraries(as_json: Json = False) -> None:
    """List the libraries of this home."""
    from homespun.errors import HomespunError
    from homespun.models.home import Home
    from homespun.retrieval.library import Library, library_names

    home = Home.open()
    rows, damaged = [], []
    for name in library_names(home):
        try:
            documents = Library.open(home, name).documents()
        except HomespunError as error:  # one that is damaged does not hide the others
            damaged.append({"name": name, "error": error.sentence()})
            continue
        rows.append(
            {
                "name": name,
                "documents": len(documents),
                "not_read": sum(d.status == "not read" for d in documents),
                "passages": sum(d.n_passages for d in documents),
            }
        )
    if as_json:
        print_json({"libraries": rows, "damaged": damaged})
        return
    if rows or not damaged:
        print(table(rows) or "No library yet. Make one with: homespun ingest PATH --library NAME")
    for library in damaged:
        print(f"{library['name']} cannot be used. {library['error']}")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show a library's documents, and what of them could not be read."""
    from homespun.models.home import Home
    from homespun.retrieval.library import Library
    from homespun.retrieval.notices import library_notices

    library = Library.open(Home.open(), name)
    documents = library.documents()
    notices = library_notices(library)
    if as_json:
        print_json({"library": library.facts, "documents": documents, "notices": notices})
        return
    print(f"{name}: embedder {library.facts.embedder_name}, {library.facts.dimensions} dimensions")
    rows = [
        {
            "document": d.name,
            "status": d.status,
            "passages": d.n_passages,
            "characters": d.n_chars,
            "why": d.reason,
        }
        for d in documents
    ]
    print(table(rows))
    for notice in notices:
        print(f"note: {notice}")


@app.command()
def text(
    document: Annotated[str, typer.Argument(help="a document's name, as `libraries show` prints it")],
    library: Annotated[str, typer.Option("--library", "-l", help="the library's name")] = "default",
    as_json: Json = False,
) -> None:
    """Print the text that the offsets of citations count in, to the letter."""
    import sys

    from homespun.models.home import Home
    from homespun.retrieval.library import Library

    found = Library.open(Home.open(), library).text(document)
    if as_json:
        print_json({"document": document, "text": found})
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(found.encode("utf-8"))  # as bytes, so that no line end is changed


@app.command()
def remove(
    name: Name,
    document: Annotated[str | None, typer.Option(help="take only this document out")] = None,
    as_json: Json = False,
) -> None:
    """Remove a library, or one document of it; the files that it was made from stay."""
    from homespun.models.home import Home
    from homespun.retrieval.library import Library

    library = Library.open(Home.open(), name)
    if document is None:
        library.drop()
    else:
        library.remove(document)
    removed = document or name
    if as_json:
        print_json({"removed": removed})
        return
    print(f"{removed} is removed.")
    if document is not None:
        print(
            f"Its words may stay in old files for an hour; homespun libraries purge {name} deletes them now."
        )


@app.command()
def files(
    name: Name,
    document: Annotated[str | None, typer.Argument(help="only this document")] = None,
    as_json: Json = False,
) -> None:
    """Show the file that each document came from, its size and digest, and how it was read."""
    from homespun.models.home import Home
    from homespun.retrieval.library import Library

    library = Library.open(Home.open(), name)
    documents = library.documents() if document is None else [library.document(document)]
    if as_json:
        print_json({"library": name, "documents": documents})
        return
    rows = [
        {
            "file": d.source,
            "document": d.name,
            "status": d.status,
            "bytes": d.size_bytes,
            "pages": d.n_pages or "",
            "sha256": d.digest[:12],
            "why": d.reason,
        }
        for d in documents
    ]
    print(table(rows))


@app.command()
def passages(
    name: Name,
    document: Annotated[str, typer.Argument(help="a document's name, as `libraries show` prints it")],
    as_json: Json = False,
) -> None:
    """Show where a document was divided into passages."""
    from homespun.models.home import Home
    from homespun.retrieval.library import Library

    library = Library.open(Home.open(), name)
    found = [
        {"passage": passage, "where": library.locate(document, passage.start, passage.end)}
        for passage in library.passages(document)
    ]
    if as_json:
        print_json({"library": name, "document": document, "passages": found})
        return
    for one in library.passages(document):
        heading = f"  {' > '.join(one.headings)}" if one.headings else ""
        print(f"{one.start}-{one.end}{f'  page {one.page}' if one.page else ''}{heading}")
        print("    " + " ".join(one.text.split())[:240])


@app.command()
def check(name: Name, as_json: Json = False) -> None:
    """Compute offsets, digests and vectors of a library again; exit code 2 where it is damaged."""
    from homespun.cli.render import shown_progress
    from homespun.models.home import Home
    from homespun.retrieval.check import check_library
    from homespun.retrieval.library import Library

    with shown_progress() as progress:
        report = check_library(Library.open(Home.open(), name), progress=progress)
    if as_json:
        print_json(report)
    else:
        print(f"{report.name}: {report.n_documents} documents, {report.n_passages} passages.")
        for problem in report.problems:
            print(f"  {problem.where}: {problem.what} {problem.remedy}")
        for file in report.changed_files:
            print(f"  changed since it was read: {file}")
        for file in report.missing_files:
            print(f"  no longer there: {file}")
        print("All is whole." if not report.problems else f"{len(report.problems)} problems.")
    if report.problems:
        raise typer.Exit(2)


@app.command()
def purge(name: Name, as_json: Json = False) -> None:
    """Leave no word of removed documents in a library's files."""
    from homespun.cli.render import shown_progress
    from homespun.models.home import Home
    from homespun.retrieval.library import Library

    with shown_progress() as progress:
        Library.open(Home.open(), name).purge(progress=progress)
    print_json({"purged": name}) if as_json else print(
        f"{name} holds no word of removed documents any more. Kept chats, saved answers and backups are yours to "
        "delete."
    )


@app.command("map")
def draw_map(
    name: Name,
    out: Annotated[Path, typer.Option(help="the picture's file: .png or .svg")] = Path("map.png"),
    as_json: Json = False,
) -> None:
    """Draw a library: passages near each other mean alike, groups by their most telling words."""
    from homespun.cli.render import shown_progress
    from homespun.models.home import Home
    from homespun.retrieval.library import Library
    from homespun.retrieval.library_map import draw_library_map

    with shown_progress() as progress:
        found = draw_library_map(Library.open(Home.open(), name), out, progress)
    if as_json:
        print_json({"picture": out, "map": found})
        return
    for group, words in enumerate(found.names):
        print(f"{int((found.groups == group).sum()):>5} passages: {words}")
    print(f"{sum(found.explained):.0%} of the variance is shown. written: {out}")
