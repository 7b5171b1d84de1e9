"""`homespun keys`: keys of remote servers in the system's key store."""

import getpass
import sys

import typer

from homespun.cli.flags import Json, OptionError
from homespun.cli.render import print_json

app = typer.Typer(no_args_is_help=True, help="Keep, list and remove keys of remote servers.")


@app.command("set", context_settings={"allow_extra_args": True})
def set_key(context: typer.Context, provider: str, as_json: Json = False) -> None:
    """Keep a key in the system's key store; it is asked for, or read from standard input."""
    from homespun.engines.keys import store_key

    if context.args:  # not repeated: it is probably the key
        raise OptionError(
            "a key is not taken as an argument, where other users could see it; it is asked for, or read "
            "from standard input"
        )
    key = getpass.getpass(f"Key of {provider}: ") if sys.stdin.isatty() else sys.stdin.readline()
    store_key(provider, key)
    print_json({"kept": provider}) if as_json else print(f"The key of {provider} is kept.")


@app.command("list")
def list_keys(as_json: Json = False) -> None:
    """List for which servers there is a key, and where it comes from; never the key."""
    from homespun.engines.keys import known_keys
    from homespun.engines.providers import PROVIDERS

    found = known_keys()
    if as_json:
        print_json({"keys": found})
        return
    for provider in PROVIDERS.values():
        print(f"{provider.name:<16} {found.get(provider.name) or f'none (variable {provider.key_variable})'}")


@app.command()
def remove(provider: str, as_json: Json = False) -> None:
    """Remove a key from the system's key store."""
    from homespun.engines.keys import remove_key

    remove_key(provider)
    print_json({"removed": provider}) if as_json else print(f"The key of {provider} is removed.")
