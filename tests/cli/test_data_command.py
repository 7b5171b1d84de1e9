"""`homespun data` as it is typed: exit codes, what is shown, what is written."""

import io
import json
from pathlib import Path

import pytest

from homespun.cli.data import _reviewed
from homespun.tuning.data.proposals.propose import Proposal

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"


def test_check_shows_what_is_learnt(homespun, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("Prompt,Answer\nWhere is the kiln?,In the yard.\nwhere is  the kiln?,In the yard.\n")
    ran = homespun("data", "check", str(path))
    assert ran.code == 0, ran.err
    assert "prompt = 'Prompt', response = 'Answer'" in ran.out
    assert "⟦In the yard.<|im_end|>⟧" in ran.out
    assert "WARNING" in ran.out and "d.csv:2 = " in ran.out and "d.csv:3" in ran.out


def test_an_error_is_exit_code_3_and_bad_input_2(homespun, tmp_path):
    path = tmp_path / "d.jsonl"
    rows = [
        {"prompt": "card?", "response": "4111 1111 1111 1111"},
        {"prompt": "Who fires the kiln?", "response": "Ada"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ran = homespun("data", "check", str(path), "--test", str(path), "--json")
    assert ran.code == 3, ran.err
    kinds = {(finding["kind"], finding["severity"]) for finding in ran.json["checkup"]["findings"]}
    assert {("secret", "error"), ("leak", "error")} <= kinds
    assert "4111 1111" not in json.dumps(ran.json["checkup"]["findings"])
    ran = homespun("data", "check", str(path), "--prompt", "Frage")
    assert ran.code == 2 and "no column 'Frage'" in ran.err and "prompt, response" in ran.err


def test_import_writes_rows_that_check_takes(homespun, tmp_path):
    path, out = tmp_path / "dk.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"user_input": "Where is the kiln?", "reference": "In the yard."}\n')
    ran = homespun("data", "import", str(path), "--out", str(out))
    assert ran.code == 0 and "1 rows of dk-bench" in ran.out
    assert json.loads(out.read_text()) == {"question": "Where is the kiln?", "answers": ["In the yard."]}


def test_pairs_are_looked_through(monkeypatch, capsys):
    pairs = [Proposal(f"q{n}?", f"a{n}", "d.md", f"s {n}", "p", 0.0) for n in range(5)]
    monkeypatch.setattr("sys.stdin", io.StringIO("a\ns\ne\nbetter?\n\na\nq\n"))
    taken = _reviewed(pairs)
    assert [(pair.question, pair.answer) for pair in taken] == [("q0?", "a0"), ("better?", "a2")]
    assert capsys.readouterr().out == ""


@pytest.mark.long
def test_pairs_of_the_clinic(homespun, clinic, tmp_path):
    out = tmp_path / "pairs.jsonl"
    ran = homespun("data", "from-library", "clinic", "-n", "3", "--out", str(out), "--json")
    assert ran.code == 0, ran.err
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert 1 <= len(rows) <= 3
    for row in rows:
        assert row["answers"][0] in row["source"][0]["text"]
