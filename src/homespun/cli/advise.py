"""`homespun advise`: hosted or one's own, by the table of needs."""

import sys
from dataclasses import fields, replace
from typing import Annotated

import typer

from homespun.cli.flags import Json, OptionError, flags
from homespun.cli.render import print_json, table
from homespun.planning.advice import NEEDS, Needs

app = typer.Typer()


@app.command()
@flags
def advise(
    needs: Needs = Needs(),
    questions: Annotated[float, typer.Option(help="questions a month")] = 1000.0,
    machine_usd: Annotated[float, typer.Option(help="price of the own machine; 0: it is there anyway")] = 0.0,
    read_speed: Annotated[float, typer.Option(help="tokens a second that it reads; 0: unknown")] = 0.0,
    write_speed: Annotated[float, typer.Option(help="tokens a second that it writes; 0: unknown")] = 0.0,
    as_json: Json = False,
) -> None:
    """Advise by what matters to you and your own numbers: hosted or own, and the rule behind each line."""
    from homespun.planning.advice import advise as work_out
    from homespun.planning.costs import CostOptions

    if not needs.asked:
        needs = _asked(needs, as_json=as_json)
    costs = CostOptions(
        questions=questions, machine_usd=machine_usd, read_speed=read_speed, write_speed=write_speed
    )
    found = work_out(needs, costs)
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "need": line.need.replace("_", " "),
            "matters": line.matters,
            "speaks for": line.choice,
            "rules out": ", ".join(line.excludes) or "-",
            "with your numbers": line.numbers,
        }
        for line in found.lines
    ]
    print(table(rows))
    print("\nThe rules:")
    for line in found.lines:
        print(f"  {line.need.replace('_', ' ')}: {line.rule}")
    print(f"\nVerdict: {found.verdict} ({found.why}).")
    print(f"Your data: {found.way} ({found.way_rule}).")
    if found.model:
        print(f"The largest suggested model that fits this machine: {found.model}.")
    print(f"Next: {found.next_command}")


def _asked(needs: Needs, *, as_json: bool) -> Needs:
    """On a terminal one question for each need; elsewhere flags are needed."""
    names = ", ".join("--" + name.replace("_", "-") for name in NEEDS)
    if as_json or not sys.stdin.isatty():
        raise OptionError("nothing was said to matter", remedy=f"Give one or more of {names}.")
    helps = {field.name: field.metadata["help"] for field in fields(Needs)}
    answers = {name: typer.confirm(f"Does this matter: {helps[name]}?", default=False) for name in NEEDS}
    if not any(answers.values()):
        raise OptionError("nothing was said to matter", remedy=f"Say yes to one, or give {names}.")
    return replace(needs, **answers)  # type: ignore[arg-type]
