"""`homespun compare` from the questions to the report, and back when something broke."""

import json
from pathlib import Path

import pytest

from homespun.cli.main import exit_code
from homespun.models.home import Home
from homespun.rag.default_way import read_default_way
from homespun.retrieval.library import Library

SUBJECTS = ("kayak", "violin", "ladder", "drone", "tent")


@pytest.fixture
def club(bare_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Documents in the library `club`, and questions about them."""
    monkeypatch.setenv("HOMESPUN_HOME", str(bare_home.root))
    documents = tmp_path / "documents"
    documents.mkdir()
    rows = []
    for place, subject in enumerate(SUBJECTS):
        for what, days in (("adults", place + 3), ("children", place + 20)):
            sentence = f"For {what} the {subject} may be kept for {days} days."
            (documents / f"{subject}-{what}.md").write_text(f"# The {subject}, {what}\n\n{sentence}\n")
            rows.append(
                {
                    "question": f"For how many days may {what} keep the {subject}?",
                    "answers": [f"{days} days"],
                    "source": [{"document": f"{subject}-{what}.md", "text": sentence}],
                }
            )
    questions = tmp_path / "questions.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert exit_code(["ingest", str(documents), "--library", "club"]) == 0
    return documents, questions


def test_compare_says_what_broke_and_leaves_with_3(
    bare_home: Home, club: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents, questions = club
    report = tmp_path / "report.html"
    arguments = [
        "compare",
        str(questions),
        "--library",
        "club",
        "--ways",
        "quote@abstain=no,quote@passages=1",
    ]
    capsys.readouterr()
    assert exit_code([*arguments, "--out", str(report)]) == 0
    said = capsys.readouterr().out
    assert "questions.jsonl: 10 questions, 2 ways" in said and "attempted" in said
    assert "<details>" in report.read_text("utf-8")

    others = ["compare", str(questions), "--library", "club", "--ways", "quote@passages=2"]
    assert exit_code([*others, "--against", "last"]) == 2
    assert "No comparison of these questions in these ways" in capsys.readouterr().err
    assert exit_code([*arguments, "--against", "last", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(way["n_cached"] == 10 for way in told["ways"])  # nothing was asked again
    assert [change["is_broken"] for change in told["changes"]] == [False, False]
    assert all(change["is_same"] for change in told["changes"])

    assert exit_code([*arguments, "--promote"]) == 2
    assert "No winner is promoted" in capsys.readouterr().err
    assert read_default_way(Library.open(bare_home, "club")) is None

    for path in sorted(documents.iterdir())[:8]:
        path.unlink()
    assert exit_code(["ingest", str(documents), "--library", "club"]) == 0
    capsys.readouterr()
    assert exit_code([*arguments, "--against", "last"]) == 3
    said = capsys.readouterr().out
    assert "**it broke**" in said and "not in the library" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ways", "guess"], "no way 'guess'"),
        (["--ways", "quote"], "answers from a library"),
        (["--ways", "quote", "--library", "nowhere"], "no library 'nowhere'"),
        (["--ways", "quote", "--library", "nowhere", "--out", "report.pdf"], "no name for a report"),
        (["--ways", "prompt", "--sample", "-1"], "must be 0 or more"),
        (["--ways", "prompt", "--against", "last"], "No comparison of these questions"),
        (["--ways", "prompt", "--split", "dev"], "the split 'dev'"),
    ],
)
def test_bad_input_is_one_sentence(
    bare_home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.setenv("HOMESPUN_HOME", str(bare_home.root))
    questions = tmp_path / "one.jsonl"
    questions.write_text('{"question": "Is this alone?", "answers": ["yes"]}\n')
    assert exit_code(["compare", str(questions), *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and not said.out
