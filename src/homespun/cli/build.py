"""`homespun build`: from documents and questions to the way that wins."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.flags import Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress
from homespun.evaluation.build_options import BuildOptions

if TYPE_CHECKING:
    from homespun.evaluation.build import Stage

app = typer.Typer()


@app.command()
@flags
def build(
    options: BuildOptions,
    documents: Annotated[Path, typer.Argument(help="a folder of documents")],
    questions: Annotated[
        Path | None,
        typer.Argument(help="a question set; without one, questions are proposed for you to read"),
    ] = None,
    model: ModelName = None,
    as_json: Json = False,
) -> None:
    """Read documents, compare the ways of answering, tune, compare again, and let the winner answer."""
    from homespun.evaluation.build import build as go
    from homespun.models.home import Home

    with shown_progress() as progress:
        report = go(
            Home.open(),
            documents,
            questions,
            options,
            model=model,
            progress=progress,
            on_stage=(lambda stage: None) if as_json else _show,
        )
    if as_json:
        print_json(report)
        return
    for line in report.verdict:
        print(line)
    print(report.waits_for or f"Use it: {report.serve}")


def _show(stage: "Stage") -> None:
    print(f"{stage.name} ({stage.seconds:.0f} s): {stage.what}", flush=True)
