"""`homespun compare`: which way of answering wins on one's own questions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.flags import AdapterName, EngineName, Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress
from homespun.evaluation.comparison import CompareOptions
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.way_options import KINDS, ORACLES

if TYPE_CHECKING:
    from homespun.evaluation.comparison import Comparison
    from homespun.evaluation.questions import Question, QuestionSet
    from homespun.models.home import Home

app = typer.Typer()

#: When something broke since the comparison before.
BROKEN = 3
_WAYS = ", ".join(kind for kind in KINDS if kind not in ORACLES)


@app.command()
@flags
def compare(
    options: CompareOptions,
    questions: Annotated[Path, typer.Argument(help="a question set: .jsonl, .csv or another table")],
    ways: Annotated[
        str,
        typer.Option(help=f"ways with commas: {_WAYS}; each with options as retrieve@passages=5@model=NAME"),
    ] = "prompt,quote,retrieve",
    library: Annotated[str, typer.Option("--library", "-l", help="the library that ways answer from")] = "",
    model: ModelName = None,
    adapter: AdapterName = None,
    engine: EngineName = "auto",
    mode: Annotated[str, typer.Option(help="fast, or exact (float32, slower)")] = "fast",
    split: Annotated[
        str, typer.Option(help="ask this split of the set; by default test, where it has one")
    ] = "",
    train: Annotated[
        Path | None, typer.Option(help="answered questions that few-shot shows; by default the split train")
    ] = None,
    name: Annotated[str, typer.Option(help="keep the comparison under this name")] = "",
    against: Annotated[
        str, typer.Option(help="say what broke since a kept comparison: its name, or last; exit code 3")
    ] = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="write a report: FILE.html, FILE.md or FILE.json")
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="let `ask` answer this library's questions in the winning way")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare ways of answering on your own questions: scores, a verdict with intervals, causes of wrong answers."""
    from homespun.evaluation.compare import compare as compare_ways
    from homespun.evaluation.comparison_store import (
        changes_since,
        comparison_path,
        keep_comparison,
    )
    from homespun.evaluation.questions import read_questions
    from homespun.evaluation.report_text import markdown
    from homespun.evaluation.report_write import check_report, write_any
    from homespun.evaluation.way_options import parse_ways, way_base
    from homespun.models.home import Home

    if out is not None:
        check_report(out)
    home = Home.open()
    if name:
        comparison_path(home, name)
    base = way_base(model=model or "", adapter=adapter or "", library=library, engine=engine, mode=mode)
    chosen = parse_ways(ways, base)
    read = read_questions(questions)
    asked = _split(read, split)
    shots = _shots(read, asked, train)
    before = _before(home, against, asked, {way for way, _ in chosen}) if against else None
    with shown_progress() as progress:
        found = compare_ways(home, asked, chosen, options, shots=shots, name=name, progress=progress)
    keep_comparison(home, found)
    changes = changes_since(before, found, seed=options.seed) if before is not None else ()
    if out is not None:
        write_any(found, out, changes)
    promoted = _promote(home, found, library) if promote else ""
    if as_json:
        print_json({**found.to_json(), "changes": changes, "promoted": promoted or None})
    else:
        print(markdown(found, changes))
        print(f"\nKept as {found.name}." + (f" Report: {out}" if out is not None else ""))
        if promoted:
            print(promoted)
    if any(change.is_broken for change in changes):
        raise typer.Exit(BROKEN)


def _before(home: "Home", against: str, asked: "QuestionSet", ways: set[str]) -> "Comparison":
    """The kept comparison that this one is held against, refused before anything is asked."""
    from homespun.evaluation.comparison_store import find_comparison

    before = find_comparison(home, against, asked.digest, ways)
    ids = {one.id for one in asked.questions}
    if not ids & {one.id for one in before.questions} or not ways & {way.name for way in before.ways}:
        raise EvaluationError(
            f"The comparison {before.name} asked none of these questions in these ways.",
            remedy="Name another one, or compare once without --against.",
        )
    return before


def _split(read: "QuestionSet", split: str) -> "QuestionSet":
    names = {question.split for question in read.questions}
    if not split and "test" in names and len(names) > 1:
        return read.of_split("test")
    return read.of_split(split) if split else read


def _shots(read: "QuestionSet", asked: "QuestionSet", train: Path | None) -> "list[Question]":
    """Answered questions that are not asked, nor of a document that is asked about."""
    from homespun.evaluation.questions import read_questions

    if train is not None:
        pool = list(read_questions(train).questions)
    else:
        pool = [question for question in read.questions if question.split == "train"]
    taken = {question.question for question in asked.questions}
    return [one for one in pool if one.question not in taken and (one.answers or one.unanswerable)]


def _promote(home: "Home", found: "Comparison", library: str) -> str:
    from homespun.evaluation.promote import promote_winner

    return promote_winner(home, found, library)
