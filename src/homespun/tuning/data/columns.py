"""Which columns of a table are learnt: as the user names them, or by names in wide use; told, never guessed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

from homespun.tuning.errors import DataError

Shape = Literal["text", "prompt/response", "chat", "question set"]


@dataclass(frozen=True)
class DataColumns:
    """Columns by name; an empty one is recognised by the names of `KNOWN_NAMES`."""

    prompt: str = field(default="", metadata={"help": "the column of prompts"})
    response: str = field(default="", metadata={"help": "the column of answers to learn"})
    text: str = field(default="", metadata={"help": "the column of plain texts to learn whole"})
    messages: str = field(default="", metadata={"help": "the column of chats (lists of turns)"})
    system: str = field(default="", metadata={"help": "the column of system prompts"})
    input: str = field(default="", metadata={"help": "the column of what a prompt is about, put below it"})
    tools: str = field(default="", metadata={"help": "the column of functions that a chat offers"})
    group: str = field(
        default="", metadata={"help": "the column of what must stay together when a share is held out"}
    )


#: Names by which a column is known, in any case, spaces and hyphens as underscores.
KNOWN_NAMES: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt", "question", "instruction", "query", "user", "human"),
    "response": ("response", "answer", "answers", "output", "completion", "assistant", "reply", "target"),
    "text": ("text", "content"),
    "messages": ("messages", "conversations", "conversation", "dialogue", "chat"),
    "system": ("system", "system_prompt"),
    "input": ("input",),
    "tools": ("tools", "functions"),
    "group": ("group",),
}
#: Parts that a row may lack.
_OPTIONAL = ("system", "input", "tools", "group")
_SHAPES: dict[Shape, tuple[str, ...]] = {
    "text": ("text",),
    "prompt/response": ("prompt", "response"),
    "chat": ("messages",),
}


@dataclass(frozen=True)
class FoundColumns:
    """What a table's columns are: the shape of its rows, and the column for each part."""

    shape: Shape
    names: Mapping[str, str]


def find_columns(
    present: Sequence[str], asked: DataColumns, file: str, rare: Sequence[str] = ()
) -> FoundColumns:
    """Tell the shape of a table's rows from its columns.

    Args:
        present: the columns that most rows have.
        asked: what the user named; the others are recognised.
        rare: columns that fewer rows have; they may hold what a row need not have, or what the user named.

    Raises:
        DataError: a named column is missing, two columns could be one part, or the columns are of no shape,
            or of two.
    """
    named = {
        item.name: _named(item.name, getattr(asked, item.name), [*present, *rare], file)
        for item in fields(asked)
        if getattr(asked, item.name)
    }
    candidates = {
        part: [named[part]]
        if part in named
        else [
            name
            for name in ([*present, *rare] if part in _OPTIONAL else present)
            if _plain(name) in known and name not in named.values()
        ]
        for part, known in KNOWN_NAMES.items()
    }
    # {"input", "output"} alone is a pair too; beside an instruction the input is what it is about.
    if not candidates["prompt"] and candidates["response"] and candidates["input"] and "input" not in named:
        candidates["prompt"], candidates["input"] = candidates["input"], []
    shapes = [shape for shape, parts in _SHAPES.items() if all(candidates[part] for part in parts)]
    asked_for = [shape for shape in shapes if any(part in named for part in _SHAPES[shape])]
    shapes = asked_for or shapes
    if not shapes:
        raise DataError(_no_shape(candidates, present), where=file, remedy=_EXPECTED)
    if len(shapes) > 1:
        ways = " or ".join(_shown(shape, candidates) for shape in shapes)
        raise DataError(
            f"its columns could be read as {ways}",
            where=file,
            remedy=f"Say which: {' or '.join(f'--{_SHAPES[shape][0]} COLUMN' for shape in shapes)}.",
        )
    shape = shapes[0]
    parts = {"text": ("text", "group"), "prompt/response": ("prompt", "input", "response", "system", "group")}
    wanted = parts.get(shape, ("messages", "system", "tools", "group"))
    for part in wanted:
        if len(candidates[part]) > 1:
            raise DataError(
                f"{' and '.join(repr(name) for name in candidates[part])} could both be the {part}",
                where=file,
                remedy=f"Say which: --{part} COLUMN.",
            )
    names = {part: candidates[part][0] for part in wanted if candidates[part]}
    if shape == "prompt/response" and _plain(names["response"]) == "answers":
        shape = "question set"
    return FoundColumns(shape, names)


def _named(part: str, name: str, present: Sequence[str], file: str) -> str:
    if name in present:
        return name
    same = [other for other in present if _plain(other) == _plain(name)]
    if len(same) == 1:
        return same[0]
    raise DataError(
        f"there is no column {name!r} for the {part}; the columns are: {_list(present)}",
        where=file,
        remedy="Name one of these.",
    )


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _shown(shape: Shape, candidates: Mapping[str, list[str]]) -> str:
    return f"{shape} ({', '.join(candidates[part][0] for part in _SHAPES[shape])})"


def _no_shape(candidates: Mapping[str, list[str]], present: Sequence[str]) -> str:
    missing = ""
    if candidates["prompt"] and not candidates["response"]:
        missing = f"; {candidates['prompt'][0]!r} is a prompt, but no column is known as its response"
    elif candidates["response"] and not candidates["prompt"]:
        missing = f"; {candidates['response'][0]!r} is a response, but no column is known as its prompt"
    return f"its columns are not known: {_list(present)}{missing}"


_EXPECTED = (
    "Name them with --prompt and --response (or --text, or --messages), or rename them: "
    f"a prompt is known as {'/'.join(KNOWN_NAMES['prompt'])}, a response as {'/'.join(KNOWN_NAMES['response'])}, "
    f"a chat as {'/'.join(KNOWN_NAMES['messages'])}, a plain text as {'/'.join(KNOWN_NAMES['text'])}."
)
