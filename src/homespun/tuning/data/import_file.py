"""A file of another program becomes a file to tune on or to measure with."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from homespun.models.storage import disk_error, write_atomically
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.data.foreign import Kind, promptfoo
from homespun.tuning.data.foreign.label_studio import task_rows
from homespun.tuning.data.foreign.simple import alpaca_row, dk_bench_row, share_gpt_row
from homespun.tuning.data.rows import TABLE_SUFFIXES, RowProblem, read_table
from homespun.tuning.data.turns import RowError
from homespun.tuning.errors import DataError

KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True)
class Imported:
    """What was written, and which rows were not.

    Attributes:
        kind: of the file that was read.
        columns: of the rows that were written.
    """

    kind: str
    path: Path
    n_rows: int
    columns: tuple[str, ...]
    problems: tuple[RowProblem, ...]


def import_file(path: Path, kind: Kind, out: Path, columns: DataColumns = DataColumns()) -> Imported:
    """Read a file of another program and write its rows as JSON lines.

    Args:
        kind: whose file it is; "auto": told by its columns.
        out: a .jsonl file that is not there yet.
        columns: which text is the prompt or response, where the file itself does not say (Label Studio).

    Raises:
        DataError: no such file or kind, nothing in it, or `out` is there already.
    """
    if out.suffix.lower() != ".jsonl":
        raise DataError(
            "the rows are written as JSON lines", where=str(out), remedy="Let the name end in .jsonl."
        )
    check_new(out)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=str(path)) from error
    if kind == "auto":
        kind = _told_kind(path, data)
    rows: list[dict[str, Any]] = []
    problems: list[RowProblem] = []
    for line, make in _makers(path, data, kind, columns, problems):
        try:
            rows += make()
        except RowError as error:
            problems.append(RowProblem(str(path), line, error.kind, error.what))
    if not rows:
        first = f": {problems[0].what}" if problems else ""
        raise DataError(f"not one row can be read as {kind}{first}", where=str(path))
    rows = _of_one_shape(rows)
    write_rows(out, rows)
    return Imported(
        kind, out, len(rows), tuple(dict.fromkeys(name for row in rows for name in row)), tuple(problems)
    )


def _of_one_shape(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pairs beside chats become chats, for a file has one shape."""
    if not any("messages" in row for row in rows):
        return rows
    chats = []
    for row in rows:
        if "messages" not in row:
            said = (("system", row.get("system")), ("user", row["prompt"]), ("assistant", row["response"]))
            row = {"messages": [{"role": role, "content": text} for role, text in said if text]}
        chats.append(row)
    return chats


def check_new(out: Path) -> None:
    """Nothing is overwritten.

    Raises:
        DataError: the file is there already.
    """
    if out.exists():
        raise DataError("this file is there already", where=str(out), remedy="Choose another name.")


def write_rows(out: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as JSON lines, whole or not at all.

    Raises:
        HomeError: the disk refuses.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, out) from error
    write_atomically(out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


_ROWS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "dk-bench": dk_bench_row,
    "sharegpt": share_gpt_row,
    "alpaca": alpaca_row,
}


def _makers(
    path: Path, data: bytes, kind: Kind, columns: DataColumns, problems: list[RowProblem]
) -> Iterator[tuple[int, Callable[[], list[dict[str, Any]]]]]:
    """For each row of the file its line and what makes rows of it, which may raise `RowError`."""
    if kind == "promptfoo":
        for number, case in promptfoo.cases(path, data):
            yield number, lambda case=case: [promptfoo.case_row(case)]  # type: ignore[misc]
        return
    _check_suffix(path)
    table = read_table(path, data)
    problems += table.problems
    for row in table.rows:
        if kind == "label-studio":
            yield row.line, lambda row=row: list(task_rows(row.values, columns))  # type: ignore[misc]
        else:
            yield row.line, lambda row=row: [_ROWS[kind](row.values)]  # type: ignore[misc]


def _told_kind(path: Path, data: bytes) -> Kind:
    if path.suffix.lower() in (".yaml", ".yml"):
        return "promptfoo"
    _check_suffix(path)
    if path.suffix.lower() == ".json" and _is_promptfoo(data):
        return "promptfoo"
    rows = read_table(path, data).rows[:100]
    signs: dict[Kind, Callable[[set[str]], bool]] = {
        "dk-bench": lambda names: {"user_input", "reference"} <= names,
        "sharegpt": lambda names: bool({"conversations", "conversation"} & names),
        "alpaca": lambda names: {"instruction", "output"} <= names,
        "label-studio": lambda names: {"data", "annotations"} <= names or "annotation_id" in names,
        "promptfoo": lambda names: any(name.startswith("__expected") for name in names) or "vars" in names,
    }
    found = [kind for kind, fits in signs.items() if any(fits(set(row.values)) for row in rows)]
    if len(found) == 1:
        return found[0]
    columns = ", ".join(dict.fromkeys(name for row in rows for name in row.values)) or "none"
    raise DataError(
        f"its columns ({columns}) tell no kind of file" if not found else f"it could be {' or '.join(found)}",
        where=str(path),
        remedy=f"Say which with --from: {', '.join(KINDS[1:])}. Files with columns that are known need no import.",
    )


def _is_promptfoo(data: bytes) -> bool:
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(whole, dict) and ("tests" in whole or isinstance(whole.get("results"), dict))


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise DataError(
            f"files of the kind {path.suffix or 'without an ending'} are not read",
            where=str(path),
            remedy=f"These are: {', '.join(TABLE_SUFFIXES)}, and .yaml of promptfoo.",
        )
