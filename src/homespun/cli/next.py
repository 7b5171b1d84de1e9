"""`homespun next`: the odds of the next token."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import EngineName, Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress, table
from homespun.decoding.next import NextTokens
from homespun.engines.engine import EngineOptions, GenerateOptions

app = typer.Typer()


@app.command()
@flags
def next(
    engine_options: EngineOptions,
    options: GenerateOptions,
    prompt: Annotated[str, typer.Argument(help="the text that goes on")],
    k: Annotated[int, typer.Option("-k", help="how many of the most probable tokens")] = 10,
    model: ModelName = None,
    engine: EngineName = "auto",
    passage: Annotated[str | None, typer.Option(help="a text before the prompt; both ways are shown")] = None,
    chat: Annotated[
        bool, typer.Option("--as-chat", help="as a chat's question, not as a text that goes on")
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="draw the odds: FILE.png or FILE.svg")] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="draw the wheel of fortune, spun once: FILE.png or .svg")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the most probable next tokens, and what each option makes of them."""
    from homespun.decoding.next import next_tokens, prompt_ids
    from homespun.decoding.views import draw_next, spin
    from homespun.engines.load import load_engine
    from homespun.models.home import Home

    with shown_progress() as progress:
        opened = load_engine(Home.open(), model, engine_options, engine=engine, progress=progress)
    with opened as loaded:
        plain = next_tokens(loaded, prompt_ids(loaded, prompt, chat=chat), options, k=k)
        with_passage = None
        if passage is not None:
            with_passage = next_tokens(
                loaded, prompt_ids(loaded, prompt, passage=passage, chat=chat), options, k=k
            )
    spun = spin(plain, options.seed)
    if picture is not None:
        draw_next(plain, picture, title=prompt)
    if wheel is not None:
        spun.draw(wheel)
    if as_json:
        print_json({**_fields(plain), "with_passage": with_passage, "spun": spun})
        return
    print(_shown(plain))
    if with_passage is not None:
        print(f"\nbehind the passage\n{_shown(with_passage)}")
    print(f"\nspun: {spun.random:.3f} of the wheel is {spun.token!r}")


def _fields(found: NextTokens) -> dict[str, object]:
    import dataclasses

    return {f.name: getattr(found, f.name) for f in dataclasses.fields(found)}


def _shown(found: NextTokens) -> str:
    rows = [
        {
            "token": repr(c.token)[1:-1],
            "id": c.id,
            "logit": f"{c.logit:.3f}",
            **{name: f"{value:.4f}" for name, value in zip(found.stage_names, c.by_stage, strict=True)},
            "cumulative": f"{c.cumulative:.4f}",
        }
        for c in found.candidates
    ]
    lines = [table(rows)]
    if found.entropy_nats is not None:
        lines.append(
            f"entropy {found.entropy_nats:.2f} nats, as many choices as {found.n_effective:.1f} equally likely tokens"
        )
    for name, left, entropy in zip(
        found.stage_names[1:], found.stage_left[1:], found.stage_entropy_nats[1:], strict=True
    ):
        lines.append(f"after {name}: {left} tokens can be drawn, entropy {entropy:.2f} nats")
    return "\n".join(lines)
