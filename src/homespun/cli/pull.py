"""`homespun pull`: fetch a model from a hub or a registry."""

from typing import Annotated

import typer

from homespun.cli.flags import Json, flags
from homespun.cli.render import print_json, shown_progress, size
from homespun.models.pull import PullOptions, pull_model

app = typer.Typer()


@app.command()
@flags
def pull(
    source: Annotated[str, typer.Argument(help="hf:owner/repo[:file] or ollama:name[:tag]")],
    options: PullOptions,
    as_json: Json = False,
) -> None:
    """Fetch a model, check it and register it; a cut download goes on where it stopped."""
    from homespun.models.home import Home

    home = Home.open()
    with shown_progress() as progress:
        pulled = pull_model(home, source, options, progress)
    if as_json:
        print_json({"pulled": pulled})
        return
    licence = f" Its licence: {pulled.licence}." if pulled.licence else ""
    if pulled.model is None:
        print(f"The folder {pulled.path} is here.{licence}")
    else:
        print(f"{pulled.model.name} is registered ({size(pulled.model.size_bytes)}).{licence}")
    print(f'Try: homespun run "Good morning!" --model {pulled.model.name if pulled.model else pulled.path}')
