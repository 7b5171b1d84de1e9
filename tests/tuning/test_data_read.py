"""Rows and texts become examples; what is wrong with a row is told with its line."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from documents.office_writer import sheet_row, workbook, worksheet
from homespun.models.template import Message, ToolCall
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.data.read import read_examples
from homespun.tuning.data.rows import read_table
from homespun.tuning.data.shapes import NO_ANSWER
from homespun.tuning.errors import DataError


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def pairs(data):
    return [(example.prompt, example.response) for example in data.examples]


def problems(data):
    return [(problem.line, problem.kind, problem.is_kept) for problem in data.problems]


# --- shapes ------------------------------------------------------------------------------------


def test_prompts_and_answers(tmp_path):
    path = written(
        tmp_path, "a.jsonl", lines({"prompt": "2+2?", "response": "4"}, {"prompt": "x", "response": 5})
    )
    data = read_examples([path])
    assert pairs(data) == [("2+2?", "4"), ("x", "5")]
    assert data.shape == "prompt/response"
    assert [example.line for example in data.examples] == [1, 2]
    assert data.files[0].columns == {"prompt": "prompt", "response": "response"}


def test_alpaca_puts_the_input_below_the_instruction(tmp_path):
    rows = [
        {"instruction": "Translate.", "input": "Haus", "output": "house"},
        {"instruction": "Say hi.", "input": "", "output": "hi"},
    ]
    data = read_examples([written(tmp_path, "a.json", json.dumps(rows, indent=1))])
    assert pairs(data) == [("Translate.\n\nHaus", "house"), ("Say hi.", "hi")]
    assert [example.line for example in data.examples] == [2, 7]


def test_chats_of_openai_with_a_tool(tmp_path):
    call = {"type": "function", "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'}}
    row = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "1+2?"}]},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "name": "add", "content": "3"},
            {"role": "assistant", "content": "3"},
        ],
        "tools": [{"type": "function", "function": {"name": "add", "parameters": {}}}],
    }
    example = read_examples([written(tmp_path, "a.jsonl", lines(row))]).examples[0]
    assert example.messages == (
        Message("system", "Be brief."),
        Message("user", "1+2?"),
        Message("assistant", "", (ToolCall("add", {"a": 1, "b": 2}),)),
        Message("tool", "3", name="add"),
        Message("assistant", "3"),
    )
    assert example.tools == tuple(row["tools"])


def test_chats_of_sharegpt_and_one_with_an_unknown_speaker(tmp_path):
    good = {
        "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}],
        "system": "S",
    }
    call = '{"name": "f", "arguments": {"x": 1}}'
    tool = {
        "conversations": [
            {"from": "human", "value": "go"},
            {"from": "function_call", "value": call},
            {"from": "observation", "value": "done"},
            {"from": "gpt", "value": "Done."},
        ]
    }
    bad = {"conversations": [{"from": "moderator", "value": "hi"}]}
    silent = {"conversations": [{"from": "human", "value": "hi"}]}
    data = read_examples([written(tmp_path, "a.jsonl", lines(good, bad, tool, silent))])
    assert [[message.role for message in example.messages] for example in data.examples] == [
        ["system", "user", "assistant"],
        ["user", "assistant", "tool", "assistant"],
    ]
    assert data.examples[1].messages[1].tool_calls == (ToolCall("f", {"x": 1}),)
    assert problems(data) == [(2, "role", False), (4, "turns", False)]
    assert "'moderator'" in data.problems[0].what and "human" in data.problems[0].what


def test_a_question_set_gives_the_first_answer_or_that_there_is_none(tmp_path):
    rows = [
        {
            "question": "When?",
            "answers": ["at ten", "10"],
            "source": [{"document": "a.md", "text": "at ten"}],
        },
        {"question": "Who?", "answers": [], "unanswerable": True},
        {"question": "Why?", "answers": []},
    ]
    data = read_examples([written(tmp_path, "a.jsonl", lines(*rows))])
    assert data.shape == "question set"
    assert pairs(data) == [("When?", "at ten"), ("Who?", NO_ANSWER)]
    assert problems(data) == [(3, "empty", False)]


def test_a_folder_of_texts_leaves_tables_out_by_name(tmp_path):
    folder = tmp_path / "texts"
    (folder / "deep").mkdir(parents=True)
    written(folder, "a.txt", "Alpha text.")
    written(folder / "deep", "b.md", "# Beta\n\nMore.")
    written(folder, "t.csv", "prompt,response\na,b\n")
    data = read_examples([folder])
    assert [example.text for example in data.examples] == ["Alpha text.", "# Beta\n\nMore."]
    assert data.shape == "text"
    assert all(example.group == example.file for example in data.examples)
    assert [(problem.file, problem.kind) for problem in data.problems] == [(str(folder / "t.csv"), "file")]


def test_parquet_with_nested_chats(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]
    pq.write_table(pa.table({"messages": [chat, None]}), tmp_path / "a.parquet")
    data = read_examples([tmp_path / "a.parquet"])
    assert pairs(data) == [("hi", "ho")]
    assert problems(data) == [(2, "empty", False)]


def test_excel_cells_are_texts_as_people_see_them(tmp_path):
    rows = [("Question", "Answer"), ("Who?", "NA"), ("How many?", 12), ("Nothing",), ("null", "null")]
    sheet = "".join(
        sheet_row(number, **dict(zip("AB", row, strict=False))) for number, row in enumerate(rows, 1)
    )
    written(tmp_path, "a.xlsx", workbook({"QA": worksheet(sheet)}))
    data = read_examples([tmp_path / "a.xlsx"])
    assert pairs(data) == [("Who?", "NA"), ("How many?", "12"), ("null", "null")]
    assert problems(data) == [(4, "empty", False)]


# --- field case T8: columns --------------------------------------------------------------------


def test_columns_are_known_in_any_case_and_told(tmp_path):
    data = read_examples([written(tmp_path, "a.csv", "Prompt,Answer\nhi,ho\n")])
    assert data.files[0].columns == {"prompt": "Prompt", "response": "Answer"}


def test_naming_one_column_keeps_the_others_known(tmp_path):
    path = written(tmp_path, "a.csv", "Frage,Answer,Nr\nhi,ho,1\n")
    with pytest.raises(DataError) as told:
        read_examples([path])
    for part in ("a.csv", "Frage, Answer, Nr", "'Answer' is a response", "--prompt", "question"):
        assert part in str(told.value)
    assert pairs(read_examples([path], DataColumns(prompt="Frage"))) == [("hi", "ho")]
    with pytest.raises(DataError, match=r"no column 'frgae' for the prompt.*Frage, Answer, Nr"):
        read_examples([path], DataColumns(prompt="frgae"))


def test_two_prompts_or_two_shapes_are_not_guessed(tmp_path):
    path = written(tmp_path, "a.csv", "prompt,question,answer\na,b,c\n")
    with pytest.raises(DataError, match="'prompt' and 'question' could both be the prompt"):
        read_examples([path])
    assert pairs(read_examples([path], DataColumns(prompt="question"))) == [("b", "c")]
    path = written(tmp_path, "b.csv", "text,prompt,answer\na,b,c\n")
    with pytest.raises(DataError, match=r"could be read as text .* or prompt/response"):
        read_examples([path])
    assert read_examples([path], DataColumns(text="text")).examples[0].text == "a"
    assert pairs(read_examples([path], DataColumns(response="answer"))) == [("b", "c")]


def test_broken_rows_are_counted_with_their_line(tmp_path):
    content = (
        '{"prompt": "a", "response": "b"}\n\n{"prompt": "c", "resp\n[1]\n{"prompt": "d", "response": " "}\n'
    )
    data = read_examples([written(tmp_path, "a.jsonl", content)])
    assert pairs(data) == [("a", "b")]
    assert problems(data) == [(3, "broken", False), (4, "broken", False), (5, "empty", False)]


def test_nothing_usable_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="nothing can be learnt from this: 1 rows"):
        read_examples([written(tmp_path, "a.jsonl", '{"prompt": \n')])
    with pytest.raises(DataError, match="no such file"):
        read_examples([tmp_path / "none.jsonl"])
    with pytest.raises(DataError, match="no rows"):
        read_examples([written(tmp_path, "e.jsonl", "\n")])
    with pytest.raises(DataError, match="no Parquet"):
        read_examples([written(tmp_path, "e.parquet", "x")])
    with pytest.raises(DataError, match="this is no JSON"):
        read_examples([written(tmp_path, "e.json", "[{]")])


# --- field case T9: csv ------------------------------------------------------------------------


def test_csv_cells_stay_text_and_rows_stay_in_line(tmp_path):
    content = (
        'prompt,response\r\nnull,NA\r\n"two\r\nlines, one cell",None\r\nlone,"quote here\r\nafter,nan\r\n'
    )
    data = read_examples([written(tmp_path, "a.csv", content)])
    assert pairs(data) == [
        ("null", "NA"),
        ("two\r\nlines, one cell", "None"),
        ("lone", '"quote here'),
        ("after", "nan"),
    ]
    assert [example.line for example in data.examples] == [2, 3, 5, 6]
    assert problems(data) == [(5, "quote", True)]


def test_a_csv_row_of_another_width_is_not_learnt(tmp_path):
    data = read_examples([written(tmp_path, "a.csv", "prompt,response\na,b,c\nd,e\nf\n")])
    assert pairs(data) == [("d", "e")]
    assert problems(data) == [(2, "width", False), (4, "width", False)]


cells = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t"), min_size=1).filter(
    lambda text: text.strip() and not text.startswith("\ufeff")
)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5), st.sampled_from(",;\t"))
def test_what_csv_writes_is_read_again(tmp_path_factory, rows, delimiter):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("prompt", "response"), *rows])
    folder = tmp_path_factory.getbasetemp()
    table = read_table(folder / "x.csv", text.getvalue().encode())
    assert [(row.values["prompt"], row.values["response"]) for row in table.rows] == rows
    assert table.problems == []


def test_the_digest_is_of_the_contents(tmp_path):
    one = written(tmp_path, "a.jsonl", lines({"prompt": "a", "response": "b"}))
    same = written(tmp_path, "b.jsonl", one.read_text())
    other = written(tmp_path, "c.jsonl", lines({"prompt": "a", "response": "c"}))
    digests = [read_examples([path]).digest for path in (one, same, other)]
    assert digests[0] == digests[1] != digests[2]
    assert len(digests[0]) == 64


def test_a_list_within_an_object_and_json_lines_called_json(tmp_path):
    rows = [{"prompt": "a", "response": "b"}, {"prompt": "c", "response": "d"}]
    held = written(tmp_path, "a.json", json.dumps({"version": "1", "data": rows}, indent=0))
    assert [example.line for example in read_examples([held]).examples] == [4, 8]
    called = written(tmp_path, "b.json", lines(*rows))
    assert pairs(read_examples([called])) == [("a", "b"), ("c", "d")]
