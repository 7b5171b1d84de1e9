"""Every field of an options dataclass is a flag of the same name, and what is typed reaches the dataclass."""

import dataclasses
import typing

import pytest
import typer
from typer.testing import CliRunner

from homespun.cli.flags import flags
from homespun.cli.main import COMMANDS
from homespun.decoding.next import OddsOptions
from homespun.engines.engine import EngineOptions, GenerateOptions
from homespun.evaluation.comparison import CompareOptions
from homespun.evaluation.strategies import ComparisonOptions
from homespun.planning.advice import Needs
from homespun.planning.costs import CostOptions
from homespun.planning.options import PlanOptions
from homespun.planning.quantize_options import QuantizeOptions
from homespun.rag.answer import AnswerOptions
from homespun.retrieval.search import SearchOptions
from homespun.retrieval.sync import IngestOptions
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.encoder_tuning import EncoderTuneOptions
from homespun.tuning.forgetting import ForgettingOptions
from homespun.tuning.grounded import GroundOptions
from homespun.tuning.options import TuneOptions

OPTIONS = (
    EngineOptions,
    GenerateOptions,
    OddsOptions,
    ComparisonOptions,
    CompareOptions,
    AnswerOptions,
    SearchOptions,
    IngestOptions,
    TuneOptions,
    GroundOptions,
    DataColumns,
    ForgettingOptions,
    EncoderTuneOptions,
    QuantizeOptions,
    PlanOptions,
    CostOptions,
    Needs,
)

#: A value other than the default for each type, or for fields that take only some values.
OTHER = {
    int: 7,
    float: 0.25,
    "style": "write",
    "correct": ("0.5", "own machine=0.4"),
    "stop": ("END", "STOP"),
    "strategy": ("beam", "top-p"),
    "targets": ("q_proj", "v_proj"),
}


def flagged(kind: type) -> list[dataclasses.Field]:
    """The fields that are flags."""
    return [field for field in dataclasses.fields(kind) if field.metadata.get("flag", True)]


def other_value(field: dataclasses.Field, hint: object) -> object:
    """What a person could type instead of the default."""
    if field.name in OTHER:
        return OTHER[field.name]
    if hint is bool:
        return not field.default
    if typing.get_origin(hint) is typing.Literal:
        return next(choice for choice in typing.get_args(hint) if choice != field.default)
    if hint is str:
        return "something"
    kinds = [kind for kind in (hint, *typing.get_args(hint)) if kind in OTHER]
    value = OTHER[kinds[0]]
    return value if value != field.default else value * 2


@pytest.mark.parametrize("kind", OPTIONS)
def test_each_field_is_a_flag_that_arrives(kind: type) -> None:
    received = []

    def command(options) -> None:
        received.append(options)

    command.__annotations__ = {"options": kind, "return": None}
    app = typer.Typer()
    app.command()(flags(command))
    hints = typing.get_type_hints(kind)
    wanted = {field.name: other_value(field, hints[field.name]) for field in flagged(kind)}
    typed: list[str] = []
    for name, value in wanted.items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            typed.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            values = value if isinstance(value, tuple) else (value,)
            typed += [part for one in values for part in (flag, str(one))]
    result = CliRunner().invoke(app, typed)
    assert result.exit_code == 0, result.output
    assert received == [kind(**wanted)]
    assert all(wanted[field.name] != field.default for field in flagged(kind))


@pytest.mark.parametrize("kind", OPTIONS)
def test_each_field_has_its_help(kind: type) -> None:
    assert all(field.metadata.get("help") for field in flagged(kind))


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_list_of_commands_says_what_they_say_themselves(name: str) -> None:
    from importlib import import_module

    module, told = COMMANDS[name]
    command = typer.main.get_command(import_module(module).app)
    assert (command.help or "").splitlines()[0] == told
