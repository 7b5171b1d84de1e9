"""Files of other programs, written here as these programs write them, become rows that can be learnt from."""

import json

import pytest

from homespun.tuning.data.columns import DataColumns
from homespun.tuning.data.import_file import import_file
from homespun.tuning.data.read import read_examples
from homespun.tuning.errors import DataError


def imported(tmp_path, name, content, kind="auto", columns=DataColumns()):
    """(kind told, rows written, problems by line and kind)."""
    path, out = tmp_path / name, tmp_path / "out.jsonl"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    out.unlink(missing_ok=True)
    found = import_file(path, kind, out, columns)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert found.n_rows == len(rows)
    if "chosen" not in rows[0]:
        assert len(read_examples([out]).examples) == len(rows)
    return found.kind, rows, [(problem.line, problem.kind) for problem in found.problems]


def test_dk_bench(tmp_path):
    content = (
        '{"user_input": "Where is the kiln?", "reference": "In the yard.", "response": "No idea.", "scores": 1}\n'
        '{"user_input": "How hot?", "reference": ""}\n'
    )
    assert imported(tmp_path, "dk.jsonl", content) == (
        "dk-bench",
        [{"question": "Where is the kiln?", "answers": ["In the yard."]}],
        [(2, "empty")],
    )


def test_share_gpt_with_a_call(tmp_path):
    call = '{"name": "glaze", "arguments": {"colour": "blue"}}'
    turns = [("human", "Glaze it."), ("function_call", call), ("observation", "ok"), ("gpt", "Done.")]
    row = {"conversations": [{"from": who, "value": what} for who, what in turns], "system": "You pot."}
    kind, rows, _ = imported(tmp_path, "s.json", [row])
    assert kind == "sharegpt"
    assert [turn["role"] for turn in rows[0]["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert rows[0]["messages"][2]["tool_calls"] == [
        {"type": "function", "function": {"name": "glaze", "arguments": {"colour": "blue"}}}
    ]


def test_alpaca_with_and_without_history(tmp_path):
    rows = [
        {"instruction": "Count.", "input": "one two", "output": "2"},
        {
            "instruction": "And now?",
            "input": "",
            "output": "3",
            "history": [["Count.", "2"]],
            "system": "Brief.",
        },
    ]
    kind, found, _ = imported(tmp_path, "a.json", rows)
    assert kind == "alpaca"
    assert [turn["content"] for turn in found[0]["messages"]] == ["Count.\n\none two", "2"]
    assert [turn["content"] for turn in found[1]["messages"]] == ["Brief.", "Count.", "2", "And now?", "3"]


CONFIG = """
prompts: ['Answer briefly: {{question}} ({{place}})']
providers: [openai:x]
defaultTest:
  vars: {place: yard}
tests:
  - vars: {question: "Where is the kiln?"}
    assert:
      - {type: icontains, value: yard}
      - {type: llm-rubric, value: is polite}
  - vars: {question: "Who fires it?"}
    assert: [{type: llm-rubric, value: is polite}]
  - file://more.csv
"""


def test_promptfoo_config_with_a_csv_beside_it(tmp_path):
    (tmp_path / "more.csv").write_text(
        "question,__expected\nHow hot?,equals: 1240 °C\nHow long?,12 h\n", "utf-8"
    )
    kind, rows, problems = imported(tmp_path, "promptfooconfig.yaml", CONFIG)
    assert kind == "promptfoo"
    assert rows == [
        {"question": "Answer briefly: Where is the kiln? (yard)", "answers": ["yard"]},
        {"question": "Answer briefly: How hot? (yard)", "answers": ["1240 °C"]},
        {"question": "Answer briefly: How long? (yard)", "answers": ["12 h"]},
    ]
    assert problems == [(2, "empty")]


def test_promptfoo_csv_and_saved_results(tmp_path):
    content = 'question,__expected1,__expected2\nHow hot?,"contains-any: hot, very hot",javascript: output\n'
    assert imported(tmp_path, "t.csv", content)[1] == [
        {"question": "How hot?", "answers": ["hot", "very hot"]}
    ]
    case = {"vars": {"topic": "kilns"}, "assert": [{"type": "equals", "value": "clay"}]}
    result = {"prompt": {"raw": "Of what are kilns?"}, "testCase": case, "response": {"output": "iron"}}
    kind, rows, _ = imported(tmp_path, "r.json", {"results": {"results": [result]}})
    assert (kind, rows) == ("promptfoo", [{"question": "Of what are kilns?", "answers": ["clay"]}])


@pytest.mark.parametrize(
    "address", ["file://../secret.csv", "https://example.org/t.csv", "huggingface://x/y"]
)
def test_promptfoo_reads_nothing_outside_its_folder(tmp_path, address):
    (tmp_path / "secret.csv").write_text("question,__expected\na,b\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(DataError, match="only files in its own folder"):
        imported(inner, "c.yaml", f"prompts: [x]\ntests: {address}\n")


def task(data, *results, **more):
    return {"id": 1, "data": data, "annotations": [{"result": list(results), **more}]}


def test_label_studio_texts_labels_and_pairs(tmp_path):
    text = {"type": "textarea", "from_name": "reply", "to_name": "q", "value": {"text": ["In the", "yard."]}}
    choice = {"type": "choices", "from_name": "kind", "to_name": "q", "value": {"choices": ["place"]}}
    tasks = [
        task({"question": "Where?", "url": "x"}, text),
        task({"question": "Where?"}, choice),
        task({"question": "Where?"}, text, was_cancelled=True),
        task({"left": "Where?", "right": "Who?"}, text),
    ]
    kind, rows, problems = imported(tmp_path, "l.json", tasks)
    assert kind == "label-studio"
    assert rows == [
        {"prompt": "Where?", "response": "In the\nyard."},
        {"prompt": "Where?", "response": "place"},
    ]
    assert problems == [(1, "empty"), (1, "type")]
    rows = imported(tmp_path, "l.json", tasks[3:], columns=DataColumns(prompt="right"))[1]
    assert rows == [{"prompt": "Who?", "response": "In the\nyard."}]
    pair = {"type": "pairwise", "from_name": "pw", "to_name": "a,b", "value": {"selected": "right"}}
    rows = imported(tmp_path, "p.json", [task({"prompt": "Say hi.", "a": "No.", "b": "Hi!"}, pair)])[1]
    assert rows == [{"prompt": "Say hi.", "chosen": "Hi!", "rejected": "No."}]


def test_label_studio_min(tmp_path):
    row = {
        "id": 7,
        "text": "Where?",
        "answer": "Yard.",
        "annotation_id": 3,
        "lead_time": 1.5,
        "created_at": "x",
    }
    assert imported(tmp_path, "m.json", [row])[:2] == (
        "label-studio",
        [{"prompt": "Where?", "response": "Yard."}],
    )


def test_what_cannot_be_told_is_refused(tmp_path):
    with pytest.raises(DataError, match="tell no kind of file"):
        imported(tmp_path, "x.csv", "prompt,response\na,b\n")
    with pytest.raises(DataError, match="could be sharegpt or alpaca"):
        imported(tmp_path, "x.json", [{"conversations": [], "instruction": "a", "output": "b"}])
    with pytest.raises(DataError, match="not one row can be read as alpaca"):
        imported(tmp_path, "x.json", [{"instruction": "a", "output": ""}])
    with pytest.raises(DataError, match="no YAML"):
        imported(tmp_path, "x.yaml", "a: [")
    (tmp_path / "there.jsonl").write_text("")
    with pytest.raises(DataError, match="there already"):
        import_file(tmp_path / "x.json", "auto", tmp_path / "there.jsonl")
    with pytest.raises(DataError, match="JSON lines"):
        import_file(tmp_path / "x.json", "auto", tmp_path / "there.csv")
