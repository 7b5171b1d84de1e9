"""`homespun libraries`: what is in the libraries of this home."""

from typing import Annotated

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, table

app = typer.Typer(
    no_args_is_help=True, help="List, show and remove libraries, and print their documents' text."
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
    print_json({"removed": removed}) if as_json else print(f"{removed} is removed.")
