"""`homespun embedders`: what turns texts into vectors."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json, LibraryName, flags
from homespun.cli.render import print_json, shown_progress, size, table
from homespun.retrieval.embedders.manage import AddEmbedderOptions
from homespun.tuning.encoder_options import EncoderTuneOptions

app = typer.Typer(no_args_is_help=True, help="List, show, add and remove embedders.")


@app.command("list")
def list_all(as_json: Json = False) -> None:
    """List the embedders of this home."""
    from homespun.models.home import Home
    from homespun.retrieval.embedders.manage import list_embedders

    found = list_embedders(Home.open())
    if as_json:
        print_json({"embedders": found})
        return
    if not found:
        print("No embedder yet. Fetch the starter's with: homespun models add starter")
        return
    rows: list[dict[str, object]] = [
        {
            "name": one.name,
            "kind": one.kind,
            "size": size(one.size_bytes),
            "sends texts to": one.sends_to or "nobody",
            "libraries": ", ".join(one.libraries) or None,
            "default": one.is_default,
        }
        for one in found
    ]
    print(table(rows))


@app.command()
def show(
    name: Annotated[str | None, typer.Argument(help="of the embedder; by default the default one")] = None,
    as_json: Json = False,
) -> None:
    """Show one embedder: its size, window, precision, languages and identity."""
    from homespun.models.home import Home
    from homespun.retrieval.embedders.manage import describe_embedder

    facts = describe_embedder(Home.open(), name)
    if as_json:
        print_json(facts)
        return
    print(f"{facts.name} ({facts.kind}), {facts.dimensions} dimensions, reads {facts.max_tokens} tokens")
    print(f"  identity     {facts.identity}")
    if facts.precision:
        print(f"  precision    {facts.precision}")
    print(f"  languages    {', '.join(facts.languages) or 'not known, or many'}")
    print(f"  sends texts  {'to ' + facts.sends_to if facts.sends_to else 'nowhere'}")
    print(f"  libraries    {', '.join(facts.libraries) or 'none'}")


@app.command()
@flags
def add(
    options: AddEmbedderOptions,
    source: Annotated[
        str, typer.Argument(help="a folder, a GGUF file, PROVIDER:MODEL or http://ADDRESS/v1#MODEL")
    ],
    name: Annotated[str | None, typer.Option(help="what to call it")] = None,
    as_json: Json = False,
) -> None:
    """Add an embedder: a folder, a GGUF file, or a server (which is sent one sentence now)."""
    from homespun.models.home import Home
    from homespun.retrieval.embedders.manage import add_embedder

    with shown_progress() as progress:
        facts = add_embedder(Home.open(), source, name, options, progress=progress)
    if as_json:
        print_json(facts)
        return
    print(f"{facts.name} is added ({facts.kind}, {facts.dimensions} dimensions).")
    if facts.sends_to:
        print(f"Libraries made with it send every passage and question to {facts.sends_to}.")


@app.command()
def remove(name: str, as_json: Json = False) -> None:
    """Remove an embedder that no library needs."""
    from homespun.models.home import Home
    from homespun.retrieval.embedders.manage import remove_embedder

    facts = remove_embedder(Home.open(), name)
    print_json({"removed": facts.name}) if as_json else print(f"{facts.name} is removed.")


@app.command()
@flags
def tune(
    options: EncoderTuneOptions,
    name: Annotated[str, typer.Argument(help="what to call the tuned embedder")],
    questions: Annotated[
        Path, typer.Option(help="JSON lines: question, and source (document, text) or document, start, end")
    ],
    library: LibraryName = "default",
    as_json: Json = False,
) -> None:
    """Tune a library's embedder on questions with their passages, and measure what search gains."""
    from homespun.models.home import Home
    from homespun.retrieval.open import open_library
    from homespun.tuning.encoder_tuning import tune_encoder

    home = Home.open()
    with shown_progress() as progress:
        tuned = tune_encoder(home, open_library(home, library), questions, name, options, progress)
    if as_json:
        print_json(tuned)
        return
    print(
        f"{tuned.name}: {tuned.base} tuned on {tuned.n_learnt} questions in {tuned.seconds:.0f} s, "
        f"measured on {tuned.n_heldout} others."
    )
    for what, n in (("without an answer", tuned.n_unanswerable), ("not found in it", tuned.n_not_found)):
        if n:
            print(f"  {n} questions {what} were left out")
    rows: list[dict[str, object]] = [
        {
            "way": gain.way,
            "hit": f"@{gain.cut}",
            "before": f"{gain.before:.3f}",
            "after": f"{gain.after:.3f}",
            "change (95%)": f"{gain.difference.value:+.3f} "
            f"({gain.difference.low:+.3f} to {gain.difference.high:+.3f})",
        }
        for gain in tuned.gains
    ]
    print(table(rows))
    print(tuned.verdict)
    print(f"A new library with it: homespun ingest PATHS --library NAME --embedder {tuned.name}")
