"""`homespun judge`: a kept comparison judged by a model, and by you."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.flags import Json, ModelName, flags
from homespun.cli.render import print_json, shown_progress, table

if TYPE_CHECKING:
    from pathlib import Path

    from homespun.evaluation.comparison import Comparison
    from homespun.evaluation.judge_comparison import JudgedComparison

app = typer.Typer()


@app.command()
@flags
def judge(
    name: Annotated[str, typer.Argument(help="a kept comparison, or last")] = "last",
    model: ModelName = None,
    mark: Annotated[int, typer.Option(help="show you so many answers to mark right or wrong first")] = 0,
    between: Annotated[
        str, typer.Option(help="FIRST,SECOND: also which of two ways' answers it prefers, in both orders")
    ] = "",
    seed: Annotated[int, typer.Option(help="another seed shows other answers to mark")] = 0,
    as_json: Json = False,
) -> None:
    """Let a model judge a kept comparison, and see how far it agrees with your own marks.

    It reads yes or no from the model's own probabilities. Small models judge no better than chance: mark a few
    dozen answers yourself with --mark before you believe any judge.
    """
    from homespun.engines.engine import EngineOptions
    from homespun.engines.load import load_engine
    from homespun.evaluation.comparison_store import comparison_path
    from homespun.evaluation.errors import EvaluationError
    from homespun.evaluation.judge import Judge
    from homespun.evaluation.judge_comparison import (
        judge_comparison,
        latest_comparison,
        marks_path,
        prefer_between,
        read_marks,
    )
    from homespun.models.home import Home

    pair = tuple(part.strip() for part in between.split(",")) if between else ()
    if pair and len(pair) != 2:
        raise EvaluationError(f"--between is {between!r}; it takes two ways with a comma between them.")
    home = Home.open()
    comparison = latest_comparison(home, name)
    path = marks_path(comparison_path(home, comparison.name))
    if mark:
        _mark(comparison, path, mark, seed)
    marks = read_marks(path)
    with shown_progress() as progress, load_engine(home, model, EngineOptions(), progress=progress) as engine:
        asked = Judge(engine)
        found = judge_comparison(
            comparison, asked, marks, default_model=home.default_model or "", progress=progress
        )
        preferred = prefer_between(comparison, asked, pair[0], pair[1], progress) if pair else None
    if as_json:
        print_json(
            {"comparison": comparison.name, "n_marks": len(marks), "judged": found, "between": preferred}
        )
        return
    _print(comparison, found, len(marks))
    if preferred is not None:
        print(
            f"\n{pair[0]} preferred {preferred.n_first} times, {pair[1]} {preferred.n_second}, tied "
            f"{preferred.n_tied} of {preferred.n}; {preferred.flip_rate:.0%} because it chose a place, not an answer"
        )
        if preferred.longer_chosen is not None:
            print(
                f"the longer answer was chosen in {preferred.longer_chosen:.0%} of the decided ones "
                f"({preferred.length_gap:+.1f} words on the mean)"
            )


def _print(comparison: "Comparison", found: "JudgedComparison", n_marks: int) -> None:
    rows = [
        {
            "way": way.name,
            "asked": way.n_asked,
            "scored": way.n_scored,
            "right, judged": "-" if way.mean is None else f"{way.mean:.1%}",
            "right, by rule": f"{comparison.way(way.name).correct.value:.1%}",
        }
        for way in found.standing.ways
    ]
    print(table(rows))
    best = found.standing.best
    print(f"\nBy the judge {best} is the best." if best else f"\nNo best way: {found.standing.reason}.")
    for way, answers in found.answers.items():
        if answers.failures:
            first = next(iter(answers.failures.values()))
            print(f"{way}: the judge failed on {len(answers.failures)} answers. The first: {first}")
    if found.rule_agreement is not None:
        rule = found.rule_agreement
        kappa = f"kappa {rule.kappa.value:.2f}"
        print(f"With the comparison's own scores it agrees on {rule.n_agreed} of {rule.n} ({kappa}).")
    if found.agreement is not None:
        print(found.agreement.sentence)
    else:
        print(
            f"You marked {n_marks} of these answers; --mark 30 lets you mark some, so that the judge can be judged."
        )
    if found.warning:
        print(found.warning)


def _mark(comparison: "Comparison", path: "Path", n: int, seed: int) -> None:
    """Answers shown one by one; what is asked goes to standard error."""
    from itertools import islice

    from homespun.evaluation.judge_comparison import Mark, add_mark, answers_to_mark, read_marks

    answers = islice(answers_to_mark(comparison, read_marks(path), seed=seed), n)
    for number, (question, way, row) in enumerate(answers, 1):
        print(f"\n{number} of {n}: {question.question}", file=sys.stderr)
        print(f"  right:  {' | '.join(question.answers)}", file=sys.stderr)
        print(f"  given:  {row.answered.text}", file=sys.stderr)
        choice = ""
        while choice not in ("y", "n", "s", "q"):
            print("is it right? [y]es, [n]o, [s]kip, [q]uit: ", end="", file=sys.stderr, flush=True)
            line = sys.stdin.readline()
            choice = line.strip().lower()[:1] if line else "q"
        if choice == "q":
            return
        if choice in ("y", "n"):
            add_mark(path, Mark(way.name, question.id, choice == "y"))
