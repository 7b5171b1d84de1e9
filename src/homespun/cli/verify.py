"""`homespun verify`: a text held against a library."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.flags import Json, LibraryName, ModelName, flags
from homespun.cli.render import print_json, shown_progress
from homespun.evaluation.verify import VerifyOptions

if TYPE_CHECKING:
    from homespun.evaluation.verify import Verification, VerifiedSentence

app = typer.Typer()

_MARKS = {"supported": "ok", "contradicted": "WRONG", "not found": "?", "nothing to check": "-"}
_COLOURS = {"supported": "green", "contradicted": "red", "not found": "yellow", "nothing to check": "dim"}


@app.command()
@flags
def verify(
    options: VerifyOptions,
    answer: Annotated[str, typer.Argument(help="a text, or a file with one")],
    library: LibraryName,
    question: Annotated[str, typer.Option(help="that it answers; with --model answers are drawn again")] = "",
    model: ModelName = None,
    as_json: Json = False,
) -> None:
    """Hold each sentence of a text against a library: what it says, says otherwise, or does not say.

    The exit code is 0, or 3 where a sentence is contradicted or not found. A model is asked only with --model.
    """
    from contextlib import nullcontext

    from homespun.engines.engine import EngineOptions
    from homespun.engines.load import load_engine
    from homespun.evaluation.verify import text_to_verify
    from homespun.evaluation.verify import verify as verify_text
    from homespun.models.home import Home
    from homespun.retrieval.open import open_library

    home = Home.open()
    text = text_to_verify(answer)
    opened = open_library(home, library)
    with shown_progress() as progress:
        loaded = (
            nullcontext() if model is None else load_engine(home, model, EngineOptions(), progress=progress)
        )
        with loaded as engine:
            found = verify_text(text, opened, options, question=question, engine=engine, progress=progress)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found)
    if not found.is_grounded:
        raise typer.Exit(3)


def _print(found: "Verification") -> None:
    for sentence in found.sentences:
        _print_sentence(sentence)
    counts = ", ".join(f"{count} {name}" for name, count in found.counts.items())
    print(f"\n{len(found.sentences)} sentences against {found.library}: {counts}.")
    if any(sentence.is_doubtful for sentence in found.sentences):
        print("Not found is no proof of being wrong: the library may lack it, or say it in other words.")


def _print_sentence(sentence: "VerifiedSentence") -> None:
    mark = f"{_MARKS[sentence.verdict]:<6}"
    said = " ".join(sentence.text.split())
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.text import Text

        styled = Text.assemble(
            (mark, f"bold {_COLOURS[sentence.verdict]}"), f"{sentence.groundedness:.2f}  {said}"
        )
        Console(soft_wrap=True, highlight=False).print(styled)
    else:
        print(f"{mark}{sentence.groundedness:.2f}  {said}")
    if sentence.reason:
        print(f"            {sentence.reason}")
    if sentence.nearest is not None:
        quoted = " ".join(sentence.nearest.text.split())
        quoted = quoted if len(quoted) <= 160 else f"{quoted[:159]}…"
        print(f"            {sentence.nearest.where}: {quoted}")
    for name, value in (
        ("the model's own yes", sentence.judged),
        ("drawn answers that say it", sentence.consistency),
    ):
        if value is not None:
            print(f"            {name}: {value:.0%}")
