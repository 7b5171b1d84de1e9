"""`homespun plan`: what a model takes before it is downloaded."""

from typing import Annotated, Literal

import typer

from homespun.cli.flags import Json, flags
from homespun.cli.render import print_json, size, table
from homespun.planning.options import PlanOptions

app = typer.Typer()


@app.command()
@flags
def plan(
    model: Annotated[
        str | None, typer.Argument(help="a file, a folder, a model's name, or hf:owner/repo[:file]")
    ] = None,
    what_for: Annotated[
        Literal["run", "serve", "tune"], typer.Option("--for", help="run, serve or tune")
    ] = "run",
    params: Annotated[str, typer.Option(help="instead of a model: how many parameters, such as 176B")] = "",
    precision: Annotated[str, typer.Option(help="of these parameters: bf16, f32, int8, Q4_0, ...")] = "bf16",
    revision: Annotated[str, typer.Option(help="branch, tag or commit of a hub repository")] = "main",
    options: PlanOptions = PlanOptions(),
    as_json: Json = False,
) -> None:
    """Say before a download what a model takes, what fits on this machine, and what is not known."""
    from dataclasses import replace

    from homespun.planning.plan import plan_model

    found = plan_model(
        model, replace(options, use=what_for), params=params, precision=precision, revision=revision
    )
    if as_json:
        print_json(found)
        return
    kind = f"{found.architecture}, " if found.architecture else ""
    active = f", {found.n_active / 1e9:,.2f} billion active" if found.n_active < found.n_parameters else ""
    print(f"{found.name}: {kind}{found.n_parameters / 1e9:,.3f} billion parameters{active}, for {found.use}")
    if found.n_read_bytes:
        print(f"Read from the hub: {size(found.n_read_bytes)} of headers.")
    rows = [{"part": part.name, "memory": size(part.size_bytes), "how": part.rule} for part in found.parts]
    rows.append({"part": "together", "memory": size(found.total_bytes), "how": f"with {found.engine}"})
    print(table(rows))
    for unknown in found.unknown:
        print(f"Not known, not counted: {unknown}.")
    verdict = "fits" if found.fits else "does not fit"
    least = "What is counted" if found.unknown else "It"
    print(f"{least} {verdict}: {size(found.available_bytes)} of memory are free.")
    if found.first_start_bytes > found.total_bytes:
        print(f"The first start imports the file and takes about {size(found.first_start_bytes)} once.")
    if found.cache_bytes_per_token:
        print(f"Each further token of a window takes {size(found.cache_bytes_per_token)}.")
    best = found.best
    if best.window:
        print(
            f"At most: a window of {best.window:,} tokens, or {best.clients:,} clients with {found.window:,} each."
        )
    if best.tokens_at_once:
        print(f"At most {best.tokens_at_once:,} tokens computed together (--tokens-at-once).")
    if found.formats:
        formats: list[dict[str, object]] = [
            {
                "format": one.name,
                "weights": size(one.weight_bytes),
                "all": size(one.total_bytes),
                "fits": one.fits,
            }
            for one in found.formats
        ]
        print(table(formats))
        print(f"The most bits that fit: {best.format or 'none of these formats'}.")
        if best.format not in (None, found.formats[0].name):
            print(f"Make it with: homespun quantize MODEL --to {best.format}")
    if found.speed:
        speed = found.speed
        print(
            f"Reads {speed.read_tokens_per_s:,.0f} and writes {speed.write_tokens_per_s:,.0f} tokens a second "
            f"({speed.clients_tokens_per_s:,.0f} for four at once); measured: {speed.measured}."
        )
    elif found.use != "tune":
        print("Speed here: unknown (`homespun doctor --bench` measures a model that is here).")
    if found.error:
        print(f"How good this is: {found.error}.")
