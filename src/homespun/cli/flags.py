"""Command-line flags out of the frozen dataclasses that declare the options.

A command takes a dataclass as a parameter; `flags` shows the dataclass's fields to typer as flags of the
same names, types, defaults and help, and puts them together again before the command runs. So an option
is declared once, where it is used.
"""

import dataclasses
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any

import typer

from homespun.errors import HomespunError


class OptionError(HomespunError):
    """A flag whose value is not allowed."""


def flags(command: Callable[..., None]) -> Callable[..., None]:
    """The command with every dataclass parameter spread into flags."""
    hints = typing.get_type_hints(command, include_extras=True)
    groups: dict[str, type] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            groups[parameter.name] = kind
            parameters.extend(_flag(field, hint) for field, hint in _fields(kind))
        else:
            parameters.append(parameter.replace(annotation=kind, kind=inspect.Parameter.KEYWORD_ONLY))

    def run(**values: Any) -> None:
        for name, kind in groups.items():
            given = {field.name: values.pop(field.name) for field in _flagged(kind)}
            values[name] = kind(**{key: _as_declared(value) for key, value in given.items()})
        command(**values)

    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _flagged(kind: type) -> list[dataclasses.Field[Any]]:
    """Fields that a person may set; one with metadata `flag: False` is for programs (it has no flag type)."""
    return [field for field in dataclasses.fields(kind) if field.metadata.get("flag", True)]


def _fields(kind: type) -> list[tuple[dataclasses.Field[Any], Any]]:
    hints = typing.get_type_hints(kind)
    return [(field, hints[field.name]) for field in _flagged(kind)]


def _flag(field: dataclasses.Field[Any], hint: Any) -> inspect.Parameter:
    default = field.default
    if typing.get_origin(hint) is tuple:  # tuple[str, ...]: the flag may be given several times
        hint, default = list[typing.get_args(hint)[0]], list(typing.cast(tuple[Any, ...], default))  # type: ignore[misc]
    flag = "--" + field.name.replace("_", "-")
    if hint is bool:
        flag = f"{flag}/--no-{field.name.replace('_', '-')}"
    option = typer.Option(flag, help=field.metadata.get("help", ""))
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, option]
    )


def _as_declared(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Json = Annotated[bool, typer.Option("--json", help="print one JSON object instead of text")]
ModelName = Annotated[str | None, typer.Option("--model", "-m", help="a model's name or a GGUF file")]
AdapterName = Annotated[
    str | None, typer.Option("--adapter", help="an adapter's name, or its folder: the model as tuned by it")
]
EngineName = Annotated[str, typer.Option("--engine", help="auto, openvino, llama.cpp, torch or vllm")]
LibraryName = Annotated[str, typer.Option("--library", "-l", help="the library's name")]
