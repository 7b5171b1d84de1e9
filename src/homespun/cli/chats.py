"""`homespun chats`: the chats that `homespun run --chat` keeps."""

from typing import Annotated

import typer

from homespun.cli.flags import Json
from homespun.cli.render import print_json, table

app = typer.Typer(no_args_is_help=True, help="List, show and remove kept chats.")
Name = Annotated[str, typer.Argument(help="the chat's name")]


@app.command("list")
def list_kept(as_json: Json = False) -> None:
    """List the kept chats, the last used first."""
    from homespun.engines.chats import list_chats
    from homespun.models.home import Home

    chats = list_chats(Home.open().root)
    rows = [
        {"chat": c.name, "answers": c.n_answers, "model": c.model or "cannot be read", "last": c.time}
        for c in chats
    ]
    if as_json:
        print_json({"chats": rows})
    elif rows:
        print(table(rows))
    else:
        print("No chat is kept yet. Begin one with: homespun run --chat NAME")


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Print a chat."""
    from homespun.engines.chats import read_chat
    from homespun.models.home import Home

    record = read_chat(Home.open().root, name)
    if as_json:
        print_json(record)
        return
    if record.system is not None:
        print(f"system: {record.system}\n")
    for message in record.messages:
        calls = "".join(f"\n[call of {call.name}]" for call in message.tool_calls)
        print(f"{message.role}: {message.content}{calls}\n")


@app.command()
def remove(name: Name, as_json: Json = False) -> None:
    """Remove a chat."""
    from homespun.engines.chats import remove_chat
    from homespun.models.home import Home

    remove_chat(Home.open().root, name)
    print_json({"removed": name}) if as_json else print(f"{name} is removed.")
