"""`homespun data`: examples to learn from, looked over, brought in, and proposed from documents."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.findings import MOST_ROWS, print_findings
from homespun.cli.flags import Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.data.foreign import Kind
from homespun.tuning.data.proposals.options import ProposeOptions

if TYPE_CHECKING:
    from homespun.tuning.data.check import DataCheck, ShownExample
    from homespun.tuning.data.proposals.propose import Proposal

app = typer.Typer(
    no_args_is_help=True, help="Check examples to learn from, import them, propose them from documents."
)


@app.command()
@flags
def check(
    columns: DataColumns,
    files: Annotated[
        list[Path],
        typer.Argument(help="jsonl, json, csv, tsv, parquet or xlsx; or texts and folders of texts"),
    ],
    test: Annotated[
        list[Path] | None, typer.Option(help="what will be measured on: leaks into it are looked for")
    ] = None,
    model: ModelName = None,
    max_tokens: Annotated[int, typer.Option(help="tokens that an example may have")] = 2048,
    preview: Annotated[
        int, typer.Option(help="show so many examples as the model sees them, what is learnt in colour")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Look examples over before a model learns from them.

    The exit code is 0, or 3 where a finding is an error (it would spoil the tuning or its measurement).
    """
    from homespun.models.home import Home
    from homespun.tuning.data.check import check_data

    with shown_progress() as progress:
        found = check_data(
            Home.open(),
            files,
            columns,
            test=test or [],
            model=model,
            max_tokens=max_tokens,
            n_shown=preview,
            progress=progress,
        )
    if as_json:
        print_json(found)
    else:
        _print_check(found)
    if found.checkup.has_errors:
        raise typer.Exit(3)


def _print_check(found: "DataCheck") -> None:
    checkup = found.checkup
    print(
        f"{checkup.n_examples:,} examples ({checkup.shape}), for {found.model} and at most {found.window:,} tokens "
        f"each; {checkup.n_unusable:,} rows left out"
    )
    for facts in checkup.files:
        columns = ", ".join(f"{part} = {name!r}" for part, name in facts.columns.items())
        print(
            f"  {facts.file}: {facts.n_examples:,} of {facts.n_rows:,}" + (f"; {columns}" if columns else "")
        )
    lengths, answers = checkup.lengths, checkup.answer_lengths
    if lengths and answers:
        print(
            f"tokens an example: median {lengths.median:,}, 95% at most {lengths.p95:,}, longest "
            f"{lengths.largest:,}; learnt of these: median {answers.median:,}, longest {answers.largest:,}; in "
            f"all {lengths.total:,}, {answers.total:,} learnt"
        )
    print("languages: " + ", ".join(f"{name} {count:,}" for name, count in checkup.languages.items()))
    for shown in found.shown:
        _print_example(shown)
    print()
    print_findings(checkup.findings)


def _print_example(shown: "ShownExample") -> None:
    """Learnt tokens in colour on a terminal, between ⟦ and ⟧ elsewhere."""
    n_learnt = sum(token.labelled for token in shown.tokens)
    print(f"\n{shown.place} as the model sees it, {len(shown.tokens):,} tokens, {n_learnt:,} learnt:")
    if not sys.stdout.isatty():
        runs, is_open = [], False
        for token in shown.tokens:
            if token.labelled != is_open:
                runs.append("⟦" if token.labelled else "⟧")
                is_open = token.labelled
            runs.append(token.text)
        print("".join(runs) + ("⟧" if is_open else ""))
        return
    from rich.console import Console
    from rich.text import Text

    styles = ("bold black on green", "bold black on bright_green")
    pieces: Sequence[tuple[str, str]] = [
        (token.text, styles[number % 2] if token.labelled else "dim")
        for number, token in enumerate(shown.tokens)
    ]
    Console(soft_wrap=True, highlight=False).print(Text.assemble(*pieces))


@app.command("import")
@flags
def import_(
    columns: DataColumns,
    file: Annotated[Path, typer.Argument(help="a file of another program")],
    out: Annotated[Path, typer.Option(help="write the rows to this new file: FILE.jsonl")],
    kind: Annotated[
        Kind, typer.Option("--from", help="whose file it is; auto: told by its columns")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Bring in a file of another program, to tune on or to measure with."""
    from homespun.tuning.data.import_file import import_file

    found = import_file(file, kind, out, columns)
    if as_json:
        print_json(found)
        return
    print(f"{found.n_rows:,} rows of {found.kind} written to {found.path} ({', '.join(found.columns)})")
    for problem in found.problems[:MOST_ROWS]:
        print(f"  {problem.file}:{problem.line} {problem.kind}: {problem.what}")
    left = len(found.problems) - MOST_ROWS
    if left > 0:
        print(f"  and {left:,} more rows with a problem")


@app.command("from-library")
@flags
def from_library(
    options: ProposeOptions,
    library: Annotated[str, typer.Argument(help="the library's name")],
    out: Annotated[Path, typer.Option(help="write the pairs to this new question set: FILE.jsonl")],
    n: Annotated[int, typer.Option("--pairs", "-n", help="pairs to propose at most")] = 30,
    model: ModelName = None,
    review: Annotated[
        bool, typer.Option("--review", help="accept, edit or skip each pair before it is written")
    ] = False,
    as_json: Json = False,
) -> None:
    """Propose questions and answers from your documents, each with its source.

    Answers are quotes. Questions are written by the model and kept where it finds that answer to them, and
    searching them finds the passage. Small models write odd ones: look them through with --review.
    """
    from dataclasses import replace

    from homespun.models.home import Home
    from homespun.tuning.data.import_file import check_new
    from homespun.tuning.data.proposals.propose import propose_pairs, save_proposals

    check_new(out)
    with shown_progress() as progress:
        found = propose_pairs(Home.open(), library, replace(options, n=n), model=model, progress=progress)
    pairs = _reviewed(found.pairs) if review else list(found.pairs)
    if pairs:
        save_proposals(out, pairs)
    if as_json:
        print_json(
            {"pairs": pairs, "n_tried": found.n_tried, "model": found.model, "path": out if pairs else None}
        )
        return
    if not review:
        for pair in pairs:
            print(f"{pair.question}\n  {pair.answer}\n  {pair.document}: {' '.join(pair.sentence.split())}")
    written = f"written to {out}" if pairs else "nothing written"
    print(f"\n{len(pairs):,} pairs from {found.n_tried:,} sentences, questions by {found.model}; {written}")
    if pairs and not review:
        print(
            "Read them before you tune on them: homespun data from-library ... --review, or with an editor."
        )


def _reviewed(pairs: "Sequence[Proposal]") -> "list[Proposal]":
    """The pairs that a person takes, as they leave them; what is asked goes to standard error."""
    from dataclasses import replace

    taken: list[Proposal] = []
    for number, pair in enumerate(pairs, 1):
        _tell(f"\n{number} of {len(pairs)}, {pair.document}\n{' '.join(pair.passage.split())}")
        while True:
            _tell(f"  question: {pair.question}\n  answer:   {pair.answer}")
            choice = _line("[a]ccept, [e]dit, [s]kip, [q]uit: ").lower()[:1]
            if choice == "e":
                question = _line("  question (empty: as it is): ") or pair.question
                pair = replace(
                    pair, question=question, answer=_line("  answer (empty: as it is): ") or pair.answer
                )
            elif choice in ("a", "s", "q"):
                break
        if choice == "q":
            break
        if choice == "a":
            taken.append(pair)
    return taken


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _line(prompt: str) -> str:
    """A line that a person types; the end of input is "q"."""
    print(prompt, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    return line.strip() if line else "q"
