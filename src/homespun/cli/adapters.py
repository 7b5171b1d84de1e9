"""`homespun adapters`: the adapters of this home."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import Json, ModelName, OptionError
from homespun.cli.render import print_json, shown_progress, size, table

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
        "receipt": adapter.receipt or None,
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
        "receipt": adapter.receipt,
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


@app.command()
def receipt(
    name: Name,
    again: Annotated[bool, typer.Option("--again", help="make it anew, on the adapter's data")] = False,
    model: ModelName = None,
    as_json: Json = False,
) -> None:
    """Show whether an adapter is served as it was trained; exit code 1 where it is not."""
    from homespun.models.home import Home
    from homespun.tuning.adapters import find_adapter
    from homespun.tuning.errors import ReceiptError
    from homespun.tuning.receipt import read_receipt
    from homespun.tuning.receipt_again import make_receipt_again

    home = Home.open()
    adapter = find_adapter(home, name)
    if again:
        with shown_progress() as progress:
            make_receipt_again(home, adapter, model, progress)
    found = read_receipt(adapter.path)
    if found is None:
        raise ReceiptError(
            f"the adapter {adapter.name!r} has no receipt yet",
            remedy=f"Make one: homespun adapters receipt {name} --again",
        )
    if as_json:
        print_json(found)
    else:
        print(render_receipt(adapter.name, found))
    if found["verdict"] != "holds":
        raise typer.Exit(1)


_WAYS = (
    ("exact mode", "kl_exact", "exact"),
    ("fast mode", "kl_fast", "fast"),
    ("llama.cpp", "kl_llama_cpp", "llama_cpp"),
)


def render_receipt(name: str, found: dict[str, Any]) -> str:
    """A receipt for people."""
    holds = found["verdict"] == "holds"
    lines = [f"{name}: {'what is served is what was trained' if holds else 'refused'}"]
    lines += [f"  {reason['name']}: {reason['text']}" for reason in found["reasons"]]
    lines.append("")
    for title, key, bound in _WAYS:
        value = found[key]
        text = "not compared" if value is None else f"{value:.2g} nats (at most {found['bounds'][bound]:g})"
        lines.append(f"{title:<20} {text}")
    ids = "equal" if found["ids_equal"] else "different"
    lines.append(f"{'token ids':<20} {ids} on both sides, {found['n_ids_checked']} examples")
    lines.append(f"{'weights':<20} {found['weights_checked']} tensors compared with gguf's own reader")
    lines.append(f"{'adapter':<20} {found['tensors_matched']} tensors, each with its place")
    lines.append(f"{'effect':<20} {found['effect_nats']:.3g} nats between adapter and base")
    stop = found["stop_learnt"]
    if stop is not None:
        share = f"best token at {stop['share_best']:.0%} of {stop['n_answers']} ends"
        lines.append(f"{'end of the answer':<20} probability {stop['probability']:.2f}, {share}")
    lines += [f"note: {warning}" for warning in found["warnings"]]
    compared = f"{found['n_positions']} positions of {found['n_examples']} examples"
    lines.append(f"\nKL from torch in float32, {compared}; {found['made']}, {found['seconds']:.0f} s")
    return "\n".join(lines)


@app.command()
def export(
    name: Name,
    to: Annotated[
        str, typer.Option("--to", help="peft, gguf (adapter), merged (GGUF), safetensors (merged) or ollama")
    ],
    out: Annotated[Path, typer.Option("--out", help="the file or folder to make")],
    target: Annotated[
        str,
        typer.Option(
            "--format", help="of merged weights: F16, Q8_0, Q4_K_M ...; safetensors: F32, F16, BF16"
        ),
    ] = "",
    model: ModelName = None,
    as_json: Json = False,
) -> None:
    """Write an adapter for other programs, read it back and compare; one that is off is removed."""
    from homespun.models.home import Home
    from homespun.tuning.export.export import export_adapter

    with shown_progress() as progress:
        made = export_adapter(Home.open(), name, to, out, target=target, model=model, progress=progress)
    if as_json:
        print_json(made)
        return
    print(f"written: {made.path} ({size(made.size_bytes)}{', ' + made.format if made.format else ''})")
    if made.loss_nats is not None:
        print(f"merging and quantizing lost {made.loss_nats:.2g} nats a token ({made.n_positions} positions)")
    if made.kl_llama_cpp is not None:
        print(f"llama.cpp reads it: {made.kl_llama_cpp:.2g} nats from torch")
    if made.fallbacks:
        print(f"{len(made.fallbacks)} matrices have another format, e.g. {made.fallbacks[0]}")
    for note in made.notes:
        print(note)
