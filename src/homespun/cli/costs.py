"""`homespun costs`: tokens and money, hosted, rented and at home."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.flags import Json, flags
from homespun.cli.render import print_json, table
from homespun.planning.costs import CostOptions

if TYPE_CHECKING:
    from homespun.models.home import Home
    from homespun.planning.text_costs import TextCosts

app = typer.Typer()


@app.command()
@flags
def costs(
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="texts or files (.txt, .jsonl, .csv) to count and price as well"),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="a local model whose tokenizer counts these texts")
    ] = None,
    hosted: Annotated[
        list[str] | None, typer.Option(help="a hosted model with a price; by default all of them")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="a table of prices instead of the home's prices.json")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="draw where the ways cross: FILE.png or FILE.svg")
    ] = None,
    options: CostOptions = CostOptions(),
    as_json: Json = False,
) -> None:
    """Work out what answering costs: hosted by the token, rented by the month, or on the own machine."""
    from homespun.models.home import Home
    from homespun.pictures.canvas import check_suffix
    from homespun.planning.costs import work_out_costs

    if picture is not None:
        check_suffix(picture)
    home = Home.open()
    found = work_out_costs(options, home=home, models=hosted or (), prices_path=prices)
    counted = _counted(home, texts, model, prices) if texts else None
    if picture is not None:
        from homespun.planning.costs_picture import draw_costs

        draw_costs(found, picture)
    if as_json:
        print_json({"costs": found, "texts": counted, "picture": picture})
        return
    if counted:
        print(
            f"{counted.n_texts:,} texts, {counted.n_tokens:,} tokens ({counted.counted}). Reading them once:"
        )
        usd = [{"model": name, "read": _usd(value)} for name, value in counted.read_usd.items()]
        print(table(usd))
        trained = [{"model": name, "trained once": _usd(value)} for name, value in counted.train_usd.items()]
        print("\nTraining on them once, hosted:\n" + table(trained) + "\n")
    print(
        f"{found.questions:,.0f} questions a month, {found.read:,} tokens read and {found.written:,} written "
        f"for each: {found.tokens_a_month:,.0f} tokens."
    )
    rows = [
        {
            "way": line.name,
            "kind": line.kind,
            "a month": _usd(line.month_usd),
            "1,000 questions": _usd(1000 * line.question_usd) if line.question_usd else "-",
            "one correct": _usd(line.correct_usd),
            "tuning": _usd(line.tuning_usd),
            "as of": line.as_of or "-",
            "note": line.note,
        }
        for line in found.lines
    ]
    print(table(rows))
    today = [one for one in found.break_evens if not one.other.startswith("2023")]
    for one in today:
        print(f"From {one.questions:,.0f} questions a month on, {one.other} is cheaper than {one.hosted}.")
    if len(found.break_evens) > len(today):
        print(f"{len(found.break_evens) - len(today)} more at the prices of 2023: --json lists them.")
    for note in found.notes:
        print(note)
    sources = sorted({f"{line.source} ({line.as_of})" for line in found.lines if line.as_of})
    print("Prices: " + "; ".join(sources) + ".")


def _counted(home: "Home", texts: list[str], model: str | None, prices: Path | None) -> "TextCosts":
    from homespun.documents.text_list import gather_texts
    from homespun.engines.load import load_tokenizers
    from homespun.planning.text_costs import cost_texts
    from homespun.sizing.prices import read_old_prices, read_prices

    tokenizer = next(iter(load_tokenizers(home, [model]).values())) if model else None
    listed = [one.text for one in gather_texts(texts)]
    return cost_texts(listed, {**read_prices(home.root, prices), **read_old_prices()}, tokenizer, model or "")


def _usd(value: float | None) -> str:
    if value is None:
        return "-"
    return f"${value:,.2f}" if value >= 0.1 or not value else f"${value:.2g}"
