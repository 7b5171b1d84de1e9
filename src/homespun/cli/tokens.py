"""`homespun tokens`: a text as models' tokenizers cut it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from homespun.cli.flags import Json, OptionError
from homespun.cli.render import print_json, table

app = typer.Typer()


@app.command()
def tokens(
    text: Annotated[str, typer.Argument(help="a text, a file's path, or - to read it from input")],
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="a model's name or file; several are compared")
    ] = None,
    ids: Annotated[bool, typer.Option("--ids", help="list every token with its id and bytes")] = False,
    per_line: Annotated[
        bool,
        typer.Option(
            "--per-line",
            help="what each line costs, or each `group` of a .jsonl or .csv file, such as a language",
        ),
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="draw these costs: FILE.png or FILE.svg")] = None,
    as_json: Json = False,
) -> None:
    """Show a text as a model's tokenizer cuts it; several models side by side."""
    from homespun.decoding.tokens import tokenize
    from homespun.engines.load import load_tokenizers
    from homespun.models.home import Home

    if per_line:
        _print_costs(text, model or [None], picture, as_json)
        return
    if picture is not None:
        raise OptionError("--picture draws what --per-line counts; give both")
    shown = _read(text)
    tokenizers = load_tokenizers(Home.open(), model or [None])
    found = {name: tokenize(tokenizer, shown) for name, tokenizer in tokenizers.items()}
    if as_json:
        each = {
            name: {
                "tokens": one.tokens,
                "n_tokens": one.n_tokens,
                "n_characters": one.n_characters,
                "n_bytes": one.n_bytes,
                "exact": one.is_exact,
            }
            for name, one in found.items()
        }
        first = next(iter(each))
        print_json({"model": first, **each[first]} if len(each) == 1 else {"models": each})
        return
    for name, one in found.items():
        print(
            f"{name}: {one.n_tokens} tokens, {one.n_characters} characters ({one.characters_per_token:.2f} a token)"
        )
        if ids:
            rows = [
                {"id": t.id, "text": repr(t.text)[1:-1], "bytes": t.bytes, "at": t.start} for t in one.tokens
            ]
            print(table(rows))
        else:
            _print_coloured([t.text for t in one.tokens])
        if not one.is_exact:
            print("This tokenizer changes the text: its tokens do not give all of the text's bytes back.")
    if len(found) > 1:
        rows = [
            {
                "model": name,
                "tokens": one.n_tokens,
                "tokens_per_character": f"{one.n_tokens / max(one.n_characters, 1):.3f}",
            }
            for name, one in found.items()
        ]
        print("\n" + table(rows))


def _print_costs(text: str, models: Sequence[str | None], picture: Path | None, as_json: bool) -> None:
    from homespun.decoding.token_costs import draw_token_costs, token_costs
    from homespun.documents.text_list import gather_texts, listed_lines, shortened
    from homespun.engines.load import load_tokenizers
    from homespun.models.home import Home
    from homespun.pictures.canvas import check_suffix

    if picture is not None:
        check_suffix(picture)
    listed = listed_lines(sys.stdin.read()) if text == "-" else gather_texts([text])
    labelled = [(one.group or f"{n} {shortened(one.text)}", one.text) for n, one in enumerate(listed, 1)]
    found = token_costs(load_tokenizers(Home.open(), models), labelled)
    if picture is not None:
        draw_token_costs(found, picture)
    if as_json:
        print_json({"costs": found})
        return
    rows: list[dict[str, Any]] = []
    for one in found:
        row: dict[str, Any] = {"": one.label, "characters": one.n_characters, "bytes": one.n_bytes}
        for name, n_tokens in one.n_tokens.items():
            row[name] = f"{n_tokens:>6,} {one.times_first[name]:6.2f}x"
        rows.append(row)
    print(table(rows))
    print("Tokens of each model, and how many times those of the first row.")
    for name in sorted({name for one in found for name in one.inexact}):
        print(f"{name} changes some of these texts: its tokens do not give all of their bytes back.")


def _read(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    path = Path(text)
    try:
        is_file = path.is_file()
    except OSError:  # a text too long for a name
        is_file = False
    if not is_file:
        return text
    from homespun.documents.decode import decode_text

    return decode_text(path.read_bytes()).text


def _print_coloured(pieces: list[str]) -> None:
    """Neighbours in other colours on a terminal, in brackets elsewhere."""
    if not sys.stdout.isatty():
        print("".join(f"[{piece}]" for piece in pieces))
        return
    from rich.console import Console
    from rich.text import Text

    shades = (
        "black on bright_cyan",
        "black on bright_yellow",
        "black on bright_green",
        "black on bright_magenta",
    )
    line = Text()
    for number, piece in enumerate(pieces):
        line.append(piece.replace("\n", "⏎\n") or "·", style=shades[number % len(shades)])
    Console().print(line)
