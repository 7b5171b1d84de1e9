"""Files of prompts as people write them."""

import json
from pathlib import Path

import pytest

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.prompts import read_prompts


def test_a_text_file_has_a_prompt_a_line(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_bytes("One two\r\n\r\n  Grüße\u2028aus \n".encode("utf-16"))
    found = read_prompts(path)
    assert [(prompt.text, prompt.line) for prompt in found] == [("One two", 1), ("Grüße\u2028aus", 3)]


def test_json_lines_may_have_references(tmp_path):
    path = tmp_path / "prompts.jsonl"
    entries = [
        {"prompt": "A?", "references": "yes"},
        {"prompt": "B?", "references": ["x", "y"]},
        {"prompt": "C"},
    ]
    path.write_text("\n".join(json.dumps(entry) for entry in entries))
    assert [prompt.references for prompt in read_prompts(path)] == [("yes",), ("x", "y"), ()]


def test_a_question_set_is_a_file_of_prompts_too():
    found = read_prompts(Path(__file__).parents[2] / "examples" / "clinic" / "test.jsonl")
    assert len(found) >= 30 and found[0].text.endswith("?") and "Tuesday" in found[0].references


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.txt", "\n \n", "no prompt"),
        ("p.txt", "Same\nOther\nSame\n", "line 3: This prompt stands in line 1"),
        ("p.jsonl", "{broken", "line 1: This is no JSON"),
        ("p.jsonl", '["text"]', 'a text "prompt"'),
        ("p.jsonl", '{"prompt": " "}', 'a text "prompt"'),
        ("p.jsonl", '{"prompt": "x", "references": [1]}', "list of texts"),
        ("p.jsonl", "[" * 100_000, "line 1: This is no JSON"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(EvaluationError, match=said):
        read_prompts(path)


def test_no_file_is_said(tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_prompts(tmp_path / "none.txt")
