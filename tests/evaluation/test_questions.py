"""Question sets: read alike from every file, checked, and divided so that nothing leaks."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from homespun.cli.questions import app
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.gold import GoldFinder
from homespun.evaluation.question_check import check_questions
from homespun.evaluation.question_split import documents_of, split_questions
from homespun.evaluation.questions import Question, SourcePlace, questions_digest, read_questions
from homespun.retrieval.embedder import FolderEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"


def written(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_clinic_is_read_whole() -> None:
    found = read_questions(CLINIC / "test.jsonl")
    assert len(found.questions) == 205 and not found.problems
    assert sum(one.unanswerable for one in found.questions) == 37
    assert sum(one.near_miss is True for one in found.questions) == 19
    first = found.questions[0]
    assert first.answers[1] == "Tuesday" and first.document == "clinical/vaccination-room.md"
    assert first.sources[0].text.startswith("Tuesday | 08:30")
    assert len({one.id for one in found.questions}) == 205


def test_every_form_says_the_same(tmp_path: Path) -> None:
    rows = [
        {
            "id": "1",
            "question": "When?",
            "answers": ["noon", "12:00"],
            "document": "a.txt",
            "start": 3,
            "end": 7,
        },
        {"id": "2", "question": "Why?", "answers": [], "unanswerable": True, "near_miss": False},
    ]
    lines = read_questions(written(tmp_path / "a.jsonl", rows))
    (tmp_path / "a.json").write_text(json.dumps(rows), encoding="utf-8")
    (tmp_path / "a.csv").write_text(
        "id,question,answers,document,start,end,unanswerable,near_miss\n"
        "2,Why?,,,,,true,false\n1,When?,noon|12:00,a.txt,3,7,,\n",
        encoding="utf-8",
    )
    assert lines.questions[0].sources == (SourcePlace("a.txt", "", 3, 7),)
    for name in ("a.json", "a.csv"):
        other = read_questions(tmp_path / name)
        assert not other.problems and other.digest == lines.digest  # order and form do not count
    rows[0]["answers"] = ["noon"]
    assert read_questions(written(tmp_path / "b.jsonl", rows)).digest != lines.digest


def test_ids_stay_when_lines_move(tmp_path: Path) -> None:
    rows = [{"question": f"What is {n}?", "answers": [str(n)]} for n in range(3)]
    first = {one.question: one.id for one in read_questions(written(tmp_path / "a.jsonl", rows)).questions}
    moved = read_questions(
        written(tmp_path / "b.jsonl", [{"question": "New?", "answers": ["x"]}, *rows[::-1]])
    )
    assert {one.question: one.id for one in moved.questions if one.question in first} == first
    twice = read_questions(written(tmp_path / "c.jsonl", [rows[0], rows[0]]))
    assert len({one.id for one in twice.questions}) == 2


def test_rows_that_cannot_be_used_are_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = {"id": "a", "question": "Good?", "answers": ["yes"]}
    rows: list = [
        good,
        {"id": "a", "question": "The same id?", "answers": ["no"]},
        {"question": "No answer?", "answers": []},
        {"question": "", "answers": ["x"]},
        {"question": "Both?", "answers": ["x"], "unanswerable": True},
        {"question": "What kind?", "answers": [{"a": 1}]},
        {"question": "Where?", "answers": ["x"], "source": [{"text": "no document"}]},
        {"question": "Where?", "answers": ["x"], "document": "d", "start": 9, "end": 3},
        {"question": "Sure?", "answers": ["x"], "unanswerable": "perhaps"},
        ["no object"],
        {"question": "Last?", "answer": "a | b"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n", encoding="utf-8")
    found = read_questions(path)
    assert [one.line for one in found.questions] == [1, 11]
    assert found.questions[1].answers == ("a | b",)
    assert [problem.line for problem in found.problems] == [2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
    assert "'a' stands in line 1 already" in found.problems[0].what
    assert 'mark it with "unanswerable": true' in found.problems[1].what


def test_no_question_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_questions(tmp_path / "none.jsonl")
    with pytest.raises(EvaluationError, match=r"ends in \.txt"):
        read_questions(tmp_path / "none.txt")
    with pytest.raises(EvaluationError, match="no question that can be asked"):
        read_questions(written(tmp_path / "a.jsonl", [{"question": "?", "answers": []}]))
    with pytest.raises(EvaluationError, match="its splits are test"):
        read_questions(
            written(tmp_path / "b.jsonl", [{"question": "a", "answers": ["b"], "split": "test"}])
        ).of_split("train")


ROWS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 40)), min_size=6, max_size=40)


@given(ROWS, st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_no_document_and_no_question_is_on_both_sides(rows: list[tuple[int, int, int]], seed: int) -> None:
    questions = [
        Question(
            str(n),
            f"Question number {word}?",
            ("x",),
            tuple(SourcePlace(f"d{d}") for d in {a, b}),
            document=f"d{a}",
        )
        for n, (a, b, word) in enumerate(rows)
    ]
    try:
        found = split_questions(questions, 0.4, seed)
    except EvaluationError as error:
        assert "hang together" in str(error)
        return
    train, test = ({name for one in side for name in documents_of(one)} for side in (found.train, found.test))
    assert not train & test
    assert not {one.question for one in found.train} & {one.question for one in found.test}
    assert sorted(one.id for one in (*found.train, *found.test)) == sorted(one.id for one in questions)
    assert found.test and all(one.split == "test" for one in found.test)
    assert split_questions(questions, 0.4, seed) == found


def test_what_cannot_be_divided_is_refused() -> None:
    together = [Question(str(n), f"Question {n} of {n * n}?", ("x",), document="d") for n in range(9)]
    with pytest.raises(EvaluationError, match="hang together"):
        split_questions(together, 0.3)
    with pytest.raises(EvaluationError, match="above 0 and below 1"):
        split_questions(together, 1.0)


def kinds(
    path: Path, rows: list[dict], train: list[dict] | None = None, finder: GoldFinder | None = None
) -> dict:
    learnt = None if train is None else read_questions(written(path.with_name("train.jsonl"), train))
    found = check_questions(read_questions(written(path, rows)), learnt, finder)
    return {finding.kind: finding for finding in found.findings}


def test_copies_and_contradictions_are_found(tmp_path: Path) -> None:
    rows = [
        {"question": "When does the pharmacy open on Mondays in winter?", "answers": ["08:30"]},
        {
            "question": "when does the pharmacy open on mondays in winter",
            "answers": ["08:30", "half past eight"],
        },
        {"question": "Who keeps the keys?", "answers": ["Mara"]},
        {"question": "Who keeps the keys ?", "answers": ["the caretaker"]},
        {"question": "How long is a slot?", "answers": ["10 minutes"]},
    ]
    found = kinds(tmp_path / "a.jsonl", rows)
    assert found["duplicates"].rows == (f"{tmp_path / 'a.jsonl'}:1 = {tmp_path / 'a.jsonl'}:2",)
    assert found["ambiguous"].severity == "error" and ":3 = " in found["ambiguous"].rows[0]
    assert "0 of 5 questions" in found["unanswerable"].what
    none = kinds(
        tmp_path / "b.jsonl", [rows[0], rows[4], {"question": "X?", "answers": [], "unanswerable": True}]
    )
    assert "unanswerable" not in none and "ambiguous" not in none and "duplicates" not in none


def test_leaks_from_the_training_side_are_found(tmp_path: Path) -> None:
    test = [{"question": "How long is a slot in the morning?", "answers": ["10 minutes"], "document": "a.md"}]
    train = [
        {"question": "how long is a slot in the morning?", "answers": ["10 minutes"], "document": "a.md"}
    ]
    found = kinds(tmp_path / "a.jsonl", test, train)
    assert found["leak"].severity == "error" and found["shared documents"].rows == ("a.md",)
    assert "leak" not in kinds(
        tmp_path / "a.jsonl", test, [{"question": "Where is it?", "answers": ["here"]}]
    )


def test_what_the_library_does_not_hold_is_found(tmp_path: Path, home, embedder: FolderEmbedder) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "fees.md").write_text("A copy of a letter costs 4 euros. It is paid at the desk.\n")
    library = Library.open(home, "fees", embedder, create=True)
    ingest(library, [tmp_path / "docs"])
    rows = [
        {"question": "What does a copy cost?", "answers": ["4 euros"], "source": [
            {"document": "fees.md", "text": "A copy of a letter costs 4 euros."}]},
        {"question": "What does a scan cost?", "answers": ["9 euros"], "source": [
            {"document": "fees.md", "text": "A scan costs 9 euros."}]},
        {"question": "Who is the head?", "answers": ["Doctor Mara Quist"]},
        {"question": "Where is it paid?", "answers": ["at the desk"]},
        {"question": "How much does a copy cost?", "answers": ["4 euros"], "document": "fees.md"},
    ]  # fmt: skip
    found = kinds(tmp_path / "q.jsonl", rows, finder=GoldFinder(library))
    lost = found["not in the library"]
    assert [row.rsplit(":", 1)[1] for row in lost.rows] == ["2", "3"]
    assert [row.rsplit(":", 1)[1] for row in found["no source"].rows] == ["3", "4"]
    assert "~" in found["near-duplicates"].rows[0]  # 1 and 5, by meaning


def test_the_commands(tmp_path: Path) -> None:
    run = CliRunner()
    shown = run.invoke(app, ["show", str(CLINIC / "test.jsonl"), "-n", "2", "--json"])
    assert json.loads(shown.stdout)["n_questions"] == 205 and shown.exit_code == 0
    checked = run.invoke(app, ["check", str(CLINIC / "test.jsonl")])
    assert (
        checked.exit_code == 0
        and "37 unanswerable (18%)" in checked.stdout
        and "enough for F1" in checked.stdout
    )
    twice = written(
        tmp_path / "t.jsonl", [{"question": "A?", "answers": ["b"]}, {"question": "a?", "answers": ["c"]}]
    )
    assert run.invoke(app, ["check", str(twice)]).exit_code == 3
    out = [str(tmp_path / name) for name in ("train.jsonl", "test.jsonl")]
    done = run.invoke(app, ["split", str(CLINIC / "train.jsonl"), "--train", out[0], "--test", out[1]])
    assert done.exit_code == 0
    sides = [read_questions(Path(path)).questions for path in out]
    assert sum(map(len, sides)) == 279 and 30 <= len(sides[1]) <= 84
    assert questions_digest([one for side in sides for one in side])  # both can be read back
