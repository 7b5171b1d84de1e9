"""`homespun questions`: question sets shown, checked, divided, and proposed from documents."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.findings import print_findings
from homespun.cli.flags import Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress, table
from homespun.tuning.data.proposals.options import ProposeOptions

if TYPE_CHECKING:
    from homespun.evaluation.question_check import QuestionCheck
    from homespun.evaluation.questions import Question

app = typer.Typer(no_args_is_help=True, help="Show, check, divide and propose question sets to measure with.")

_File = Annotated[Path, typer.Argument(help="a question set: jsonl, json, csv, tsv, xlsx or parquet")]


@app.command()
@flags
def show(
    file: _File,
    split: Annotated[str | None, typer.Option(help="only this split")] = None,
    n: Annotated[int, typer.Option("-n", help="so many questions; 0: all")] = 20,
    as_json: Json = False,
) -> None:
    """Show a question set: its questions, answers and documents."""
    from homespun.evaluation.questions import read_questions

    found = read_questions(file)
    found = found.of_split(split) if split is not None else found
    shown = found.questions[:n] if n else found.questions
    if as_json:
        rows = [one.row() | {"line": one.line} for one in shown]
        print_json(
            {
                "digest": found.digest,
                "n_questions": len(found.questions),
                "questions": rows,
                "problems": found.problems,
            }
        )
        return
    print(table([_row(one) for one in shown]))
    n_none = sum(one.unanswerable for one in found.questions)
    print(
        f"\n{len(shown):,} of {len(found.questions):,} questions, {n_none:,} unanswerable; digest {found.digest[:12]}"
    )
    for problem in found.problems[:5]:
        print(f"left out, line {problem.line}: {problem.what}")
    if len(found.problems) > 5:
        print(f"and {len(found.problems) - 5:,} more rows left out")


def _row(question: "Question") -> dict[str, str]:
    answers = "(unanswerable)" if question.unanswerable else " | ".join(question.answers)
    return {
        "id": question.id,
        "question": _short(question.question, 60),
        "answers": _short(answers, 40),
        "document": question.document,
    }


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


@app.command()
@flags
def check(
    file: _File,
    train: Annotated[
        Path | None, typer.Option(help="the set that is learnt from: what both ask is found")
    ] = None,
    library: Annotated[
        str | None, typer.Option("--library", "-l", help="whose documents answer it: what they lack is found")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look a question set over before anything is measured with it.

    Finds rows that cannot be used, duplicates and ambiguous questions, answers that the library does not hold,
    and says how many questions it takes to see a difference. The exit code is 3 where a finding is an error.
    """
    from homespun.evaluation.question_check import check_question_file
    from homespun.models.home import Home

    with shown_progress() as progress:
        found = check_question_file(Home.open(), file, train=train, library=library, progress=progress)
    if as_json:
        print_json(found)
    else:
        _print_check(found)
    if found.has_errors:
        raise typer.Exit(3)


def _print_check(found: "QuestionCheck") -> None:
    share = found.n_unanswerable / found.n_questions
    print(
        f"{found.n_questions:,} questions about {found.n_documents:,} documents; {found.n_unanswerable:,} "
        f"unanswerable ({share:.0%}), {found.n_near_miss:,} of them near misses; digest {found.digest[:12]}"
    )
    if any(found.splits):
        print("splits: " + ", ".join(f"{name or 'none'} {count:,}" for name, count in found.splits.items()))
    print("\nQuestions to show a difference between two ways (80% power):")
    rows = [
        {
            "points": one.points,
            "right or wrong, 30% change": one.right_or_wrong,
            "token F1": one.token_f1,
            "here": _enough(found.n_questions, one.right_or_wrong, one.token_f1),
        }
        for one in found.needed
    ]
    print(table(rows) + "\n")
    print_findings(found.findings)


def _enough(n: int, right_or_wrong: int, token_f1: int) -> str:
    if n >= right_or_wrong:
        return "enough"
    if n >= token_f1:
        return f"enough for F1; {right_or_wrong - n:,} more for right or wrong"
    return f"{token_f1 - n:,} more for F1, {right_or_wrong - n:,} for right or wrong"


@app.command()
@flags
def split(
    file: _File,
    train: Annotated[Path, typer.Option(help="write the questions to learn from to this new file")],
    test: Annotated[Path, typer.Option(help="write the questions to measure with to this new file")],
    share: Annotated[float, typer.Option(help="of the questions, to measure with")] = 0.3,
    seed: Annotated[int, typer.Option(help="another seed divides otherwise")] = 0,
    as_json: Json = False,
) -> None:
    """Divide a question set by documents, so that nothing measured was learnt.

    Questions of one document, and those that ask nearly the same, stay on one side.
    """
    from homespun.evaluation.question_split import split_questions
    from homespun.evaluation.questions import read_questions
    from homespun.tuning.data.import_file import check_new, write_rows

    for path in (train, test):
        check_new(path)
    found = split_questions(read_questions(file).questions, share, seed)
    for path, side in ((train, found.train), (test, found.test)):
        write_rows(path, [one.row() for one in side])
    if as_json:
        print_json({"n_train": len(found.train), "n_test": len(found.test), "n_groups": found.n_groups})
        return
    print(
        f"{len(found.train):,} questions to {train}, {len(found.test):,} to {test}; "
        f"{found.n_groups:,} groups stayed whole"
    )


@app.command()
@flags
def suggest(
    options: ProposeOptions,
    library: Annotated[str, typer.Argument(help="the library's name")],
    out: Annotated[Path, typer.Option(help="write the questions to this new file: FILE.jsonl")],
    n: Annotated[int, typer.Option("-n", help="questions to propose at most")] = 30,
    model: ModelName = None,
    as_json: Json = False,
) -> None:
    """Propose questions from your documents, each with its answer and source.

    Answers are quotes; questions are written by the model and kept where they lead back to their sentence.
    Read them before you measure with them: `homespun data from-library --review` shows them one by one.
    """
    from homespun.models.home import Home
    from homespun.tuning.data.import_file import check_new
    from homespun.tuning.data.proposals.propose import propose_pairs, save_proposals

    check_new(out)
    with shown_progress() as progress:
        found = propose_pairs(Home.open(), library, replace(options, n=n), model=model, progress=progress)
    if found.pairs:
        save_proposals(out, found.pairs)
    if as_json:
        print_json({"pairs": found.pairs, "n_tried": found.n_tried, "model": found.model})
        return
    for pair in found.pairs:
        print(f"{pair.question}\n  {pair.answer}\n  {pair.document}: {' '.join(pair.sentence.split())}")
    written = f"written to {out}; look at them with an editor" if found.pairs else "nothing written"
    print(f"\n{len(found.pairs):,} questions from {found.n_tried:,} sentences, by {found.model}; {written}")
