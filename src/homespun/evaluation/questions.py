"""Question sets: questions with their accepted answers and where these stand in the documents."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from homespun.evaluation.errors import EvaluationError
from homespun.tuning.data.rows import TABLE_SUFFIXES, Row, read_table

#: Between the answers in one cell of a csv or Excel file.
ANSWER_SIGN = "|"
_YES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}


@dataclass(frozen=True)
class SourcePlace:
    """Where an answer stands.

    Attributes:
        document: its name in the library, or the end of it.
        text: a quotation of the document, spaces aside; empty where only a place is given.
        start, end: code points of the document's text; None where not given. Without text and place it is
            the whole document.
    """

    document: str
    text: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: of this question and no other of the set.
        answers: accepted ones, any of which is right; none where it cannot be answered.
        sources: where the answer stands; several where several places are needed.
        tags: a person's own.
        unanswerable: the documents hold no answer, and to say so is right.
        near_miss: of an unanswerable one, whether the documents treat its subject; None: not told.
        split: "train", "test" or the like; empty where the file does not tell.
        document: what it must not be parted from when the set is split; empty: nothing.
        line: of the file, counted from 1.
        choices: of a multiple-choice question, in order.
    """

    id: str
    question: str
    answers: tuple[str, ...] = ()
    sources: tuple[SourcePlace, ...] = ()
    tags: tuple[str, ...] = ()
    unanswerable: bool = False
    near_miss: bool | None = None
    split: str = ""
    document: str = ""
    line: int = 0
    choices: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """As a line of a question set, without what says nothing."""
        values = asdict(self)
        values["source"] = [
            {key: value for key, value in source.items() if value not in ("", None)}
            for source in values.pop("sources")
        ]
        del values["line"]
        kept = {key: value for key, value in values.items() if value not in ((), [], "", None, False)}
        return {**kept, "answers": list(self.answers)}


@dataclass(frozen=True)
class QuestionProblem:
    """A row that is left out, and why, in one sentence."""

    line: int
    what: str


@dataclass(frozen=True)
class QuestionSet:
    """What was read.

    Attributes:
        digest: SHA-256 (hex) of what the questions say, whatever their order, lines and the file's form.
        problems: rows that were left out.
    """

    questions: tuple[Question, ...]
    digest: str
    problems: tuple[QuestionProblem, ...] = ()
    path: Path | None = None

    def of_split(self, split: str) -> "QuestionSet":
        """The questions of one split, with a digest of their own.

        Raises:
            EvaluationError: it has none.
        """
        chosen = tuple(question for question in self.questions if question.split == split)
        if not chosen:
            names = sorted({question.split for question in self.questions if question.split})
            told = f"its splits are {', '.join(names)}" if names else "the set names no splits"
            raise EvaluationError(f"No question is of the split {split!r}; {told}.")
        return QuestionSet(chosen, questions_digest(chosen), (), self.path)


def read_questions(path: Path) -> QuestionSet:
    """Read a question set: jsonl, json, csv, tsv, xlsx or parquet.

    A row has `question` and `answers` (a list; in a cell of a table divided by "|") or `answer`; perhaps `id`,
    `source` (a list of `document` and `text`) or `document` with `start` and `end`, `tags`, `choices`, `split`,
    `unanswerable` and `near_miss`. A question without an id gets one from its words, so it stays the same when
    lines move. A row that cannot be used, or has an id that stood before, is left out and named.

    Raises:
        EvaluationError: no such file, a file of another kind, or not one question.
        DataError: the file as a whole cannot be read.
    """
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise EvaluationError(
            f"A question set ends in {', '.join(TABLE_SUFFIXES)}; this ends in {path.suffix or 'nothing'}.",
            where=str(path),
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EvaluationError(
            f"The questions cannot be read ({error.strerror}).",
            where=str(path),
            remedy="Name a file of questions.",
        ) from error
    table = read_table(path, data)
    problems = [QuestionProblem(one.line, one.what) for one in table.problems if not one.is_kept]
    found: dict[str, Question] = {}
    for row in table.rows:
        try:
            question = _question(row)
        except _RowProblem as problem:
            problems.append(QuestionProblem(row.line, str(problem)))
            continue
        if not question.id:
            question = replace(question, id=_new_id(question.question, found))
        if question.id in found:
            before = found[question.id].line
            what = f"The id {question.id!r} stands in line {before} already; an id names one question."
            problems.append(QuestionProblem(row.line, what))
            continue
        found[question.id] = question
    if not found:
        first = f" (line {problems[0].line}: {problems[0].what})" if problems else ""
        raise EvaluationError(f"The file has no question that can be asked{first}.", where=str(path))
    questions = tuple(found.values())
    problems.sort(key=lambda problem: problem.line)
    return QuestionSet(questions, questions_digest(questions), tuple(problems), path)


def questions_digest(questions: Sequence[Question]) -> str:
    """SHA-256 (hex) of what questions say; their order and lines do not count."""
    lines = sorted(json.dumps(replace(one, line=0).row(), sort_keys=True) for one in questions)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class _RowProblem(Exception):
    """Why a row is no question."""


def _question(row: Row) -> Question:
    values = {str(name).strip().lower(): value for name, value in row.values.items()}
    text = values.get("question")
    if not isinstance(text, str) or not text.strip():
        raise _RowProblem('It has no text in "question".')
    answers = _texts(values, "answers", "answer")
    unanswerable = _flag(values, "unanswerable") or False
    if unanswerable and answers:
        raise _RowProblem("It is marked unanswerable, and yet it has answers.")
    if not unanswerable and not answers:
        raise _RowProblem('It has no answer; if the documents hold none, mark it with "unanswerable": true.')
    sources = _sources(values)
    choices = _texts(values, "choices")
    if choices and Counter(map(str.casefold, choices)).most_common(1)[0][1] > 1:
        raise _RowProblem("One of its choices stands twice.")
    document = values.get("document")
    return Question(
        id=_id(values),
        question=text.strip(),
        answers=answers,
        sources=sources,
        tags=_texts(values, "tags"),
        unanswerable=unanswerable,
        near_miss=_flag(values, "near_miss"),
        split=_text(values, "split"),
        document=document if isinstance(document, str) and document else _first_document(sources),
        line=row.line,
        choices=choices,
    )


def _id(values: Mapping[str, Any]) -> str:
    value = values.get("id")
    if value is None or value == "":
        return ""
    if isinstance(value, (dict, list, bool)):
        raise _RowProblem('Its "id" must be a text or a number.')
    return str(value)


def _new_id(question: str, taken: Mapping[str, Question]) -> str:
    plain = " ".join(question.casefold().split())
    name = "q" + hashlib.sha256(plain.encode("utf-8", "replace")).hexdigest()[:10]
    number = 2
    wanted = name
    while wanted in taken:
        wanted, number = f"{name}-{number}", number + 1
    return wanted


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _RowProblem(f'Its "{name}" must be a text.')
    return value


def _texts(values: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    name = next((name for name in names if values.get(name) not in (None, "", [])), None)
    if name is None:
        return ()
    value = values[name]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    parts = value.split(ANSWER_SIGN) if isinstance(value, str) else value
    if isinstance(value, str) and name == "answer":
        parts = [value]
    if not isinstance(parts, (list, tuple)):
        raise _RowProblem(f'Its "{name}" must be a text or a list of texts.')
    found = []
    for part in parts:
        if isinstance(part, bool) or not isinstance(part, (str, int, float)):
            raise _RowProblem(f'Its "{name}" must be a text or a list of texts.')
        if str(part).strip():
            found.append(str(part).strip())
    return tuple(dict.fromkeys(found))


def _flag(values: Mapping[str, Any], name: str) -> bool | None:
    value = values.get(name)
    if value is None or isinstance(value, bool):
        return value
    if str(value).strip() == "":
        return None
    told = _YES.get(str(value).strip().lower())
    if told is None:
        raise _RowProblem(f'Its "{name}" must be true or false, and is {value!r}.')
    return told


def _sources(values: Mapping[str, Any]) -> tuple[SourcePlace, ...]:
    given = values.get("source") or values.get("sources")
    if isinstance(given, str):  # a cell of a table
        return (SourcePlace(_text(values, "document"), given.strip()),)
    if isinstance(given, dict):
        given = [given]
    if given:
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise _RowProblem('Its "source" must be a list of objects with "document" and "text".')
        return tuple(_place(one) for one in given)
    return (_place({**values, "text": None}),) if _text(values, "document") else ()


def _place(values: Mapping[str, Any]) -> SourcePlace:
    start, end = _offset(values, "start"), _offset(values, "end")
    if (start is None) != (end is None) or (start is not None and end is not None and end < start):
        raise _RowProblem('"start" and "end" of its source must go together, the end not before the start.')
    document = _text(values, "document")
    if not document:
        raise _RowProblem("Its source names no document.")
    return SourcePlace(document, _text(values, "text"), start, end)


def _offset(values: Mapping[str, Any], name: str) -> int | None:
    value = values.get(name)
    if value is None or value == "":
        return None
    try:
        number = int(str(value))
    except ValueError:
        raise _RowProblem(f'The "{name}" of its source must be a whole number, and is {value!r}.') from None
    if number < 0:
        raise _RowProblem(f'The "{name}" of its source must be at least 0.')
    return number


def _first_document(sources: Sequence[SourcePlace]) -> str:
    return sources[0].document if sources else ""
