"""Examples out of files and folders, with every row that is not as it should be counted and named."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from homespun.documents.read import read_document
from homespun.documents.readers import SUPPORTED_SUFFIXES
from homespun.documents.walk import expand_patterns, find_files
from homespun.progress import Progress, no_progress
from homespun.tuning.data.columns import DataColumns, find_columns
from homespun.tuning.data.rows import TABLE_SUFFIXES, Row, RowProblem, read_table
from homespun.tuning.data.shapes import row_example
from homespun.tuning.data.turns import RowError
from homespun.tuning.errors import DataError
from homespun.tuning.examples import Example


@dataclass(frozen=True)
class FileFacts:
    """How a file was read: its shape, which column is what, rows in it, and examples made of them."""

    file: str
    shape: str
    columns: Mapping[str, str]
    n_rows: int
    n_examples: int


@dataclass(frozen=True)
class ReadData:
    """What was read.

    Attributes:
        problems: rows (and files) that are not as they should be, with file and line.
        shape: of the rows: "text", "prompt/response", "chat", "question set"; several with " + ".
        digest: SHA-256 over the files' bytes in their order, in hex.
        files: what was read how, in the order read.
    """

    examples: tuple[Example, ...]
    problems: tuple[RowProblem, ...]
    shape: str
    digest: str
    files: tuple[FileFacts, ...] = field(default=())


def read_examples(
    paths: Sequence[Path], columns: DataColumns = DataColumns(), *, progress: Progress = no_progress
) -> ReadData:
    """Read examples to learn from.

    Tables (jsonl, json, csv, tsv, parquet, xlsx) hold an example a row. Any other file that `documents` can
    read, and each in a folder, is one plain text. A question set gives each question its first answer.

    Args:
        paths: files, folders or patterns.
        columns: columns by name; those not named are recognised, and `ReadData.files` tells as what.

    Raises:
        DataError: nothing there, a file that cannot be read, columns that are not known or could be two
            things, or not one row that can be learnt.
    """
    examples: list[Example] = []
    problems: list[RowProblem] = []
    files: list[FileFacts] = []
    digest = hashlib.sha256()
    for path in expand_patterns(paths):
        if not path.exists():
            raise DataError("there is no such file or folder", where=str(path))
        if path.suffix.lower() in TABLE_SUFFIXES and path.is_file():
            data = _bytes(path)
            digest.update(hashlib.sha256(data).digest())
            found = _table_examples(path, data, columns, problems)
        else:
            found = _texts(path, digest, problems, progress)
        files += found[0]
        examples += found[1]
    if not examples:
        first = f"; the first: {problems[0].what}" if problems else ""
        where = f"{problems[0].file}:{problems[0].line}" if problems else None
        raise DataError(
            f"nothing can be learnt from this: {len(problems)} rows are unusable{first}", where=where
        )
    shape = " + ".join(dict.fromkeys(facts.shape for facts in files if facts.n_examples))
    return ReadData(tuple(examples), tuple(problems), shape, digest.hexdigest(), tuple(files))


def _table_examples(
    path: Path, data: bytes, columns: DataColumns, problems: list[RowProblem]
) -> tuple[list[FileFacts], list[Example]]:
    file = str(path)
    table = read_table(path, data)
    problems += table.problems
    if not table.rows:
        return [FileFacts(file, "unknown", {}, 0, 0)], []
    usual, rare = _columns(table.rows)
    found = find_columns(usual, columns, file, rare)
    examples: list[Example] = []
    for row in table.rows:
        try:
            examples.append(row_example(row.values, found, file, row.line))
        except RowError as error:
            problems.append(RowProblem(file, row.line, error.kind, error.what))
    n_rows = len(table.rows) + sum(not problem.is_kept for problem in table.problems)
    return [FileFacts(file, found.shape, dict(found.names), n_rows, len(examples))], examples


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Columns that at least half of the rows have, and others: one odd row makes no file's shape unclear."""
    counts = Counter(name for row in rows for name in row.values)
    usual = [name for name, count in counts.items() if 2 * count >= len(rows)]
    return usual, [name for name in counts if name not in usual]


def _texts(
    path: Path, digest: "hashlib._Hash", problems: list[RowProblem], progress: Progress
) -> tuple[list[FileFacts], list[Example]]:
    walked = find_files([path])
    if path.is_file() and not walked.files:
        raise DataError(
            f"files of the kind {path.suffix or 'without an ending'} are not read",
            where=str(path),
            remedy=f"Tables end in {', '.join(TABLE_SUFFIXES)}; texts in {', '.join(sorted(SUPPORTED_SUFFIXES))}.",
        )
    problems += [RowProblem(str(one.path), 0, "file", f"Left out: {one.reason}.") for one in walked.skipped]
    examples: list[Example] = []
    for number, file in enumerate(walked.files, 1):
        if file.suffix.lower() in TABLE_SUFFIXES:
            what = "It is a table, and in a folder only texts are read; name the file itself."
            problems.append(RowProblem(str(file), 0, "file", what))
            continue
        document = read_document(file)
        digest.update(bytes.fromhex(document.digest))
        if document.text.strip():
            examples.append(Example(text=document.text, file=str(file), line=1, group=str(file)))
        if document.reason:
            is_kept = bool(document.text.strip())
            problems.append(RowProblem(str(file), 0, "file", document.reason, is_kept=is_kept))
        progress("reading texts", number, len(walked.files))
    if not walked.files:
        raise DataError("the folder holds no file that can be read", where=str(path))
    return [FileFacts(str(path), "text", {}, len(walked.files), len(examples))], examples


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"the file cannot be read ({error.strerror})", where=str(path)) from error
