"""`homespun next`: the odds of the next token."""

from pathlib import Path
from typing import Annotated

import typer

from homespun.cli.flags import AdapterName, EngineName, Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress, table
from homespun.cli.typed_text import typed_text
from homespun.decoding.compare_next import NextComparison
from homespun.decoding.next import NextTokens, OddsOptions
from homespun.engines.engine import EngineOptions

app = typer.Typer()


@app.command()
@flags
def next(
    engine_options: EngineOptions,
    options: OddsOptions,
    prompt: Annotated[str, typer.Argument(help="the text that goes on")],
    k: Annotated[int, typer.Option("-k", help="how many of the most probable tokens")] = 10,
    model: ModelName = None,
    engine: EngineName = "auto",
    adapter: AdapterName = None,
    passage: Annotated[
        str | None, typer.Option(help="a text (or @FILE) before the prompt; with and without it are shown")
    ] = None,
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
    from homespun.decoding.compare_next import compare_next
    from homespun.decoding.views import draw_compared, draw_next, spin
    from homespun.engines.load import load_engine
    from homespun.engines.use_adapter import use_adapter
    from homespun.models.adapter_path import adapter_path
    from homespun.models.home import Home
    from homespun.pictures.canvas import check_suffix

    for path in (picture, wheel):
        if path is not None:
            check_suffix(path)
    generate = options.generate
    before = None if passage is None else typed_text(passage, "--passage")
    home = Home.open()
    if adapter is not None:
        adapter_path(home, adapter)  # refused before the model is loaded
    with shown_progress() as progress:
        opened = load_engine(home, model, engine_options, engine=engine, progress=progress)
    with opened as loaded:
        name = None if adapter is None else use_adapter(loaded, home, adapter)
        found = compare_next(loaded, prompt, generate, k=k, passage=before, adapter=name, chat=chat)
    plain = found.variants[0].found
    spun = spin(plain, options.seed)
    if picture is not None and len(found.variants) == 1:
        draw_next(plain, picture, title=prompt)
    elif picture is not None:
        draw_compared(found, picture, title=prompt)
    if wheel is not None:
        spun.draw(wheel)
    if as_json:
        print_json({**_fields(plain), "variants": found.variants, "compared": found.tokens, "spun": spun})
        return
    if len(found.variants) > 1:
        print(_side_by_side(found))
    for variant in found.variants:
        head = f"\n{variant.name}\n" if len(found.variants) > 1 else ""
        print(f"{head}{_shown(variant.found)}")
    for note in dict.fromkeys(note for variant in found.variants for note in variant.found.notes):
        print(f"note: {note}")
    print(f"\nspun: {spun.random:.3f} of the wheel is {spun.token!r}")


def _side_by_side(found: NextComparison) -> str:
    """Probabilities under the model; a dash where a server does not tell one."""
    names = [variant.name for variant in found.variants]
    rows = [
        {
            "token": repr(one.token)[1:-1],
            **{
                name: "-" if value is None else f"{value:.4f}"
                for name, value in zip(names, one.probabilities, strict=True)
            },
        }
        for one in found.tokens
    ]
    lines = [table(rows)]
    lines += [
        f"{variant.name}: the odds moved by {variant.kl_nats:.3f} nats (KL from the base)"
        for variant in found.variants
        if variant.kl_nats is not None
    ]
    return "\n".join(lines)


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
