"""`homespun adapters`: the adapters of this home."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import Json, OptionError
from homespun.cli.render import print_json, size, table

if TYPE_CHECKING:
    from homespun.tuning.adapters import StoredAdapter

app = typer.Typer(no_args_is_help=True, help="List, show, compare, combine, check and export adapters.")
Name = Annotated[str, typer.Argument(help="the adapter's name, or its folder")]


@app.command("list")
def list_adapters(as_json: Json = False) -> None:
    """List the adapters of this home."""
    from homespun.models.home import Home
    from homespun.tuning.adapters import adapters

    found = adapters(Home.open())
    if as_json:
        print_json({"adapters": found})
    elif found:
        print(table([_row(adapter) for adapter in found]))
    else:
        print("No adapter yet. Make one with: homespun tune DATA --name NAME")


def _row(adapter: "StoredAdapter") -> dict[str, object]:
    lineage = adapter.lineage
    return {
        "name": adapter.name,
        "status": adapter.status,
        "base": lineage.base.name if lineage else None,
        "rank": adapter.rank,
        "size": size(adapter.size_bytes),
        "examples": lineage.data.n_examples if lineage else None,
        "held-out loss": _rounded(lineage.losses.heldout_best) if lineage else None,
        "finished": lineage.finished[:16].replace("T", " ") if lineage else None,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


@app.command()
def show(name: Name, as_json: Json = False) -> None:
    """Show where an adapter comes from: its base, data, options, versions, machine and losses."""
    from homespun.models.home import Home
    from homespun.tuning.adapters import find_adapter

    adapter = find_adapter(Home.open(), name)
    if as_json:
        print_json(adapter)
        return
    rows: dict[str, Any] = {
        "path": adapter.path,
        "status": adapter.status,
        "rank": adapter.rank,
        "numbers": f"{adapter.n_parameters:,}",
        "size": size(adapter.size_bytes),
    }
    lineage = adapter.lineage
    if lineage is not None:
        data, losses = lineage.data, lineage.losses
        rows |= {
            "base": f"{lineage.base.name} (SHA-256 {lineage.base.digest[:12]}…)",
            "data": ", ".join(data.files),
            "data's digest": f"{data.digest[:12]}…" if data.digest else "",
            "examples": f"{data.n_examples:,} learnt, {data.n_heldout:,} held out ({data.shape})"
            if data.n_examples
            else "",
            "loss": _from_to(losses.first, losses.last),
            "held-out loss": _from_to(losses.heldout_first, losses.heldout_best),
            "options": ", ".join(f"{key} {value}" for key, value in lineage.options.items()),
            "versions": ", ".join(f"{key} {value}" for key, value in lineage.versions.items()),
            "machine": lineage.machine,
            "took": f"{lineage.seconds:,.0f} s" if lineage.seconds else "",
            "started": lineage.started,
            "finished": lineage.finished,
        }
    for key, value in rows.items():
        if value not in ("", None):
            print(f"{key:<14} {value}")


def _from_to(first: float | None, last: float | None) -> str:
    return "" if first is None or last is None else f"{first:.3f} → {last:.3f} nats a token"


@app.command()
def rename(
    name: Name, new_name: Annotated[str, typer.Argument(help="its new name")], as_json: Json = False
) -> None:
    """Give an adapter another name."""
    from homespun.models.home import Home
    from homespun.tuning.adapters import rename_adapter

    adapter = rename_adapter(Home.open(), name, new_name)
    print_json({"adapter": adapter}) if as_json else print(f"{name} is now {new_name}.")


@app.command()
def remove(name: Name, as_json: Json = False) -> None:
    """Remove an adapter."""
    from homespun.models.home import Home
    from homespun.tuning.adapters import remove_adapter

    remove_adapter(Home.open(), name)
    print_json({"removed": name}) if as_json else print(f"{name} is removed.")


@app.command()
def combine(
    parts: Annotated[list[str], typer.Argument(help="adapters with their weights: polite:0.7 clinic:0.3")],
    name: Annotated[str, typer.Option("--name", help="what to call the sum")],
    as_json: Json = False,
) -> None:
    """Make a new adapter: the weighted sum of others of one base."""
    from homespun.models.home import Home
    from homespun.tuning.combine import combine_adapters

    adapter = combine_adapters(Home.open(), [_weighted(part) for part in parts], name)
    if as_json:
        print_json({"adapter": adapter})
    else:
        print(f"{name} is made: rank {adapter.rank}, {size(adapter.size_bytes)}.")


def _weighted(part: str) -> tuple[str, float]:
    name, mark, weight = part.rpartition(":")
    if not mark:
        return part, 1.0
    try:
        return name, float(weight)
    except ValueError:
        raise OptionError(f"{part!r} is no adapter with a weight, such as clinic:0.5") from None


@app.command()
def compare(
    one: Annotated[str, typer.Argument(help="an adapter's name, or its folder")],
    other: Annotated[str, typer.Argument(help="the other one")],
    as_json: Json = False,
) -> None:
    """Compare two adapters of one base: where they come from, and how alike their changes are."""
    from homespun.models.home import Home
    from homespun.tuning.adapters import find_adapter
    from homespun.tuning.combine import compare_adapters

    home = Home.open()
    found = [find_adapter(home, name) for name in (one, other)]
    likenesses = compare_adapters(*found)
    if as_json:
        print_json({"adapters": found, "changes": likenesses})
        return
    print(table([_row(adapter) for adapter in found]))
    rows = [
        {
            "layers": likeness.kind,
            f"size of {found[0].name}": _rounded(likeness.norms[0]),
            f"size of {found[1].name}": _rounded(likeness.norms[1]),
            "cosine": _rounded(likeness.cosine),
        }
        for likeness in likenesses
    ]
    print()
    print(table(rows))
    print("\nSize: root of the summed squares of the change. Cosine: 1 the same change, 0 nothing in common.")
