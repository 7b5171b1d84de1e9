"""`homespun steps`: from a text to the next token."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import EngineName, Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress, table
from homespun.engines.engine import EngineOptions, GenerateOptions

app = typer.Typer()


@app.command()
@flags
def steps(
    engine_options: EngineOptions,
    options: GenerateOptions,
    prompt: Annotated[str, typer.Argument(help="the text that goes on")],
    model: ModelName = None,
    engine: EngineName = "auto",
    k: Annotated[int, typer.Option("-k", help="how many of the most probable next tokens")] = 10,
    chat: Annotated[
        bool, typer.Option("--as-chat", help="as a chat's question, not as a text that goes on")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="write it as a page: FILE.html")] = None,
    as_json: Json = False,
) -> None:
    """Follow a text through a model in three steps: tokenize, represent, decode."""
    from homespun.decoding.next import prompt_ids
    from homespun.decoding.steps_page import what_it_has, write_steps
    from homespun.decoding.three_steps import three_steps
    from homespun.decoding.trace_page import check_page
    from homespun.engines.load import load_engine
    from homespun.models.home import Home

    if out is not None:
        check_page(out)
    with shown_progress() as progress:
        opened = load_engine(Home.open(), model, engine_options, engine=engine, progress=progress)
    with opened as loaded:
        found = three_steps(loaded, prompt, prompt_ids(loaded, prompt, chat=chat), options, k=k)
    if out is not None:
        write_steps(found, out)
    if as_json:
        has = {"encoder": found.structure.has_encoder, "decoder": found.structure.has_decoder}
        print_json({**found.__dict__, "has": has, "kind": found.structure.kind})
        return
    print(what_it_has(found))
    print("\n1. tokenize")
    print(table([{"token": repr(t.token)[1:-1], "id": str(t.id), "bytes": t.bytes} for t in found.tokens]))
    print("\n2. represent, 3. decode: the shapes")
    shapes = [{"step": f.step, "numbers": f.what, "shape": " x ".join(map(str, f.shape))} for f in found.flow]
    print(table(shapes))
    if found.hidden:
        print(f"\nthe last hidden state begins {' '.join(f'{value:+.3f}' for value in found.hidden)}")
    rows = [
        {"token": repr(c.token)[1:-1], "id": str(c.id), "logit": f"{c.logit:.3f}"}
        | {name: f"{value:.4f}" for name, value in zip(found.next.stage_names, c.by_stage, strict=True)}
        for c in found.next.candidates
    ]
    print("\nthe odds of the next token\n" + table(rows))
    for note in found.notes:
        print(note)
    if out is not None:
        print(f"\nwritten: {out}")
