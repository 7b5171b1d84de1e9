"""`homespun strategies`: the ways of choosing the next token, measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import AdapterName, EngineName, Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress, table
from homespun.engines.engine import EngineOptions
from homespun.evaluation.strategies import MIN_PROMPTS, ComparisonOptions, StrategyComparison
from homespun.evaluation.strategy_measures import MEASURES

if TYPE_CHECKING:
    from homespun.evaluation.intervals import Interval

app = typer.Typer()


@app.command()
@flags
def strategies(
    engine_options: EngineOptions,
    options: ComparisonOptions,
    prompts: Annotated[Path, typer.Argument(help="a file with one prompt a line, or .jsonl with references")],
    model: ModelName = None,
    adapter: AdapterName = None,
    engine: EngineName = "auto",
    embedder: Annotated[
        str | None, typer.Option(help="measures the coherence; by default the home's, if it is local")
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="draw the measures: FILE.png or FILE.svg")] = None,
    as_json: Json = False,
) -> None:
    """Measure the strategies of writing on your prompts: diversity, speed, likelihood, coherence, repetition."""
    from homespun.engines.load import load_engine
    from homespun.engines.use_adapter import use_adapter
    from homespun.evaluation.conclusions import conclusions
    from homespun.evaluation.prompts import read_prompts
    from homespun.evaluation.strategies import compare_strategies
    from homespun.evaluation.strategy_picture import draw_comparison
    from homespun.models.adapter_path import adapter_path
    from homespun.models.home import Home
    from homespun.pictures.canvas import check_suffix
    from homespun.retrieval.embedders.opening import open_local

    if picture is not None:
        check_suffix(picture)
    read = read_prompts(prompts)
    home = Home.open()
    if adapter is not None:
        adapter_path(home, adapter)  # refused before the model is loaded
    with shown_progress() as progress:
        measured_by = open_local(home, embedder)
        with load_engine(home, model, engine_options, engine=engine, progress=progress) as loaded:
            name = None if adapter is None else use_adapter(loaded, home, adapter)
            found = compare_strategies(
                loaded, read, options, adapter=name, embedder=measured_by, progress=progress
            )
    if picture is not None:
        draw_comparison(found, picture)
    said = conclusions(found)
    if as_json:
        print_json({**_fields(found), "conclusions": said})
        return
    print(_table(found))
    print("\n" + "\n".join(_notes(found)))
    print("\n" + "\n".join(said))


def _fields(found: StrategyComparison) -> dict[str, Any]:
    import dataclasses

    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}


def _table(found: StrategyComparison) -> str:
    """Strategies side by side; below each value its interval, and * where it differs from greedy's."""
    told = [m for m in MEASURES if any(m.name in row.measures for row in found.strategies)]
    rows: list[dict[str, Any]] = []
    for row in found.strategies:
        values = {m.name: _value(row.measures.get(m.name), m.decimals) for m in told}
        for m in told:
            values[m.name] += " *" if found.is_clear(row, m.name) else ""
        rows.append({"strategy": row.strategy, "how": row.settings, **values})
        ranges = {m.name: _range(row.measures.get(m.name), m.decimals) for m in told}
        rows.append({"strategy": "", "how": "", **ranges})
    return table(rows)


def _value(value: "Interval | None", decimals: int) -> str:
    return "-" if value is None else f"{value.value:.{decimals}f}"


def _range(value: "Interval | None", decimals: int) -> str:
    return "" if value is None else f"{value.low:.{decimals}f} to {value.high:.{decimals}f}"


def _notes(found: StrategyComparison) -> list[str]:
    lines = [
        f"{found.n_prompts} prompts, one text of at most {found.options.max_new_tokens} tokens each, seed "
        f"{found.options.seed}; 95% intervals: bootstrap over prompts.",
        "* the interval of the paired difference to greedy excludes 0"
        f" (nothing is marked below {MIN_PROMPTS} prompts).",
    ]
    lines += [f"{m.name} ({m.unit}): {m.about}." for m in MEASURES if m.name in found.strategies[0].measures]
    if found.n_references:
        lines.append(f"{found.n_references} prompts have references.")
    if found.adapter:
        lines.append(f"With the adapter {found.adapter}.")
    lines += [f"Note: {note}." for note in found.notes]
    lines += [f"Left out: {name} ({reason})." for name, reason in found.left_out.items()]
    return lines
