"""Lists of short texts: typed, and out of files."""

import pytest

from homespun.documents.errors import DocumentError
from homespun.documents.text_list import ListedText, gather_texts


def test_typed_texts_and_files_stand_together(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\n  two \r\nthree\u2028still three", encoding="utf-8")
    given = gather_texts(["zero", str(tmp_path / "a.txt"), " "])
    assert [one.text for one in given] == ["zero", "one", "two", "three\u2028still three"]


def test_groups_come_from_json_lines_and_tables(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "apple", "group": "fruit"}\n\n{"text": "saw", "group": 2}\n')
    (tmp_path / "a.csv").write_text(
        'Group;Text;Note\nfruit;"pear; ripe";x\n;;\ntool;saw\n', encoding="cp1252"
    )
    assert gather_texts([str(tmp_path / "a.jsonl")]) == [ListedText("apple", "fruit"), ListedText("saw", "2")]
    assert gather_texts([str(tmp_path / "a.csv")]) == [
        ListedText("pear; ripe", "fruit"),
        ListedText("saw", "tool"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": ""}', "line 2"),
        ("a.jsonl", '{"text": "a"', "line 1: This is no JSON"),
        ("a.jsonl", "[1]", "object"),
        ("a.jsonl", '{"text": "a", "group": ["b"]}', "group"),
        ("a.jsonl", '{"text": "a", "group": "b"}\n{"text": "c"}', "'c' has none"),
        ("a.csv", "name,group\na,b\n", 'no column "text"'),
        ("a.csv", "text,group\na,b\n,c\n", "row 3"),
        ("a.csv", "", "nothing"),
        ("a.txt", "\n\n", "no text"),
    ],
)
def test_what_is_no_list_is_refused_with_its_place(tmp_path, name, content, told):
    (tmp_path / name).write_text(content)
    with pytest.raises(DocumentError, match=told):
        gather_texts([str(tmp_path / name)])


def test_a_mistyped_file_is_no_text(tmp_path):
    with pytest.raises(DocumentError, match="no such file"):
        gather_texts([str(tmp_path / "nothere.csv").replace(" ", "_")])
    assert gather_texts(["write it to a.txt"]) == [ListedText("write it to a.txt")]
    assert gather_texts(["x" * 5000]) and gather_texts(["a\0b"])
    with pytest.raises(DocumentError, match="no text"):
        gather_texts([])
