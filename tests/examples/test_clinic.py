"""The clinic example keeps its promises: sizes, verbatim sources, and questions that words alone miss."""

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from homespun.documents.document import Document
from homespun.documents.read import read_document
from homespun.documents.split import Passage, SplitOptions, TokenLimit, split_document

CLINIC_PATH = Path(__file__).parents[2] / "examples" / "clinic"
DOCUMENTS_PATH = CLINIC_PATH / "documents"
MIN_ROWS = {"train": 200, "test": 150}
PASSAGE_TOKENS = 150


@cache
def rows(name: str) -> list[dict[str, Any]]:
    lines = (CLINIC_PATH / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def answerable(name: str) -> list[dict[str, Any]]:
    return [row for row in rows(name) if not row.get("unanswerable")]


@cache
def documents() -> dict[str, Document]:
    paths = sorted(path for path in DOCUMENTS_PATH.rglob("*") if path.is_file())
    names = [path.relative_to(DOCUMENTS_PATH).as_posix() for path in paths]
    return {name: read_document(path, name) for name, path in zip(names, paths, strict=True)}


def quote_spans(document: Document, quote: str) -> list[tuple[int, int]]:
    """Where a quote stands in a document's text; any whitespace equals any other."""
    pattern = r"\s+".join(re.escape(word) for word in quote.split())
    return [match.span() for match in re.finditer(pattern, document.text)]


def test_documents_are_many_and_of_five_formats() -> None:
    assert len(documents()) >= 25
    assert len({Path(name).suffix for name in documents()}) >= 5
    assert all(document.status != "not read" for document in documents().values())


def test_only_the_scanned_page_is_missing() -> None:
    partly = {name: document.reason for name, document in documents().items() if document.reason}
    assert list(partly) == ["clinical/minor-surgery.pdf"]
    assert "3" in partly["clinical/minor-surgery.pdf"]


@pytest.mark.parametrize("name", ["train", "test"])
def test_rows_have_the_right_fields(name: str) -> None:
    assert len(rows(name)) >= MIN_ROWS[name]
    for row in rows(name):
        assert row["question"].strip() == row["question"] != ""
        if row.get("unanswerable"):
            assert set(row) == {"question", "answers", "unanswerable", "near_miss"}, row
            assert row["answers"] == [], row
            assert isinstance(row["near_miss"], bool), row
        else:
            assert set(row) == {"question", "answers", "source"}, row
            assert row["answers"], row
            assert all(isinstance(answer, str) and answer.strip() for answer in row["answers"]), row
            assert row["source"], row
            assert all(set(source) == {"document", "text"} for source in row["source"]), row


def test_a_fifth_of_the_test_questions_have_no_answer_and_half_of_those_are_near_misses() -> None:
    unanswerable = [row for row in rows("test") if row.get("unanswerable")]
    near = sum(row["near_miss"] for row in unanswerable)
    assert len(unanswerable) >= 30
    assert 0.4 <= near / len(unanswerable) <= 0.6


def test_no_question_stands_twice() -> None:
    seen = Counter(
        " ".join(re.findall(r"\w+", row["question"].lower())) for row in rows("train") + rows("test")
    )
    assert [question for question, count in seen.items() if count > 1] == []


@pytest.mark.parametrize("name", ["train", "test"])
def test_every_quote_stands_in_its_document(name: str) -> None:
    missing = [
        (source["document"], source["text"])
        for row in answerable(name)
        for source in row["source"]
        if source["document"] not in documents()
        or not quote_spans(documents()[source["document"]], source["text"])
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_third_needs_two_quotes_or_a_table_row(name: str) -> None:
    needing = [row for row in answerable(name) if len(row["source"]) > 1 or in_table(row["source"][0])]
    assert len(needing) / len(answerable(name)) >= 1 / 3


def in_table(source: dict[str, str]) -> bool:
    """Whether a quote lies in a table row: one that the reader marked or, in a PDF, a whole bare line."""
    document = documents()[source["document"]]
    if source["document"].endswith(".pdf"):
        lines = {" ".join(line.split()) for line in document.text.splitlines()}
        return source["text"] in lines and source["text"][-1] not in ".:;"
    return any(
        start < row_end and end > row_start
        for start, end in quote_spans(document, source["text"])
        for row_start, row_end in document.rows
    )


def word_offsets(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def keyword_ranker(texts: list[str]) -> Callable[[str], int]:
    """Gives the index of the best text for a question by Okapi BM25 (k1 1.2, b 0.75)."""
    counts = [Counter(words(text)) for text in texts]
    frequency = Counter(word for count in counts for word in count)
    lengths = [count.total() for count in counts]
    mean = sum(lengths) / len(lengths)

    def best(question: str) -> int:
        scores = [0.0] * len(counts)
        for word in set(words(question)) & set(frequency):
            rarity = math.log(1 + (len(counts) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            for index, count in enumerate(counts):
                saturation = count[word] + 1.2 * (0.25 + 0.75 * lengths[index] / mean)
                scores[index] += rarity * count[word] * 2.2 / saturation
        return max(range(len(scores)), key=scores.__getitem__)

    return best


def keyword_hits(questions: list[dict[str, Any]], passages: list[Passage]) -> list[bool]:
    """Whether the best passage by keywords overlaps one of the quotes, for each question."""
    best = keyword_ranker([passage.text for passage in passages])
    hits = []
    for row in questions:
        found = passages[best(row["question"])]
        hits.append(
            any(
                start < found.end and end > found.start
                for source in row["source"]
                if source["document"] == found.document
                for start, end in quote_spans(documents()[found.document], source["text"])
            )
        )
    return hits


def test_keywords_alone_find_at_most_four_fifths() -> None:
    limit = TokenLimit(word_offsets, PASSAGE_TOKENS)
    options = SplitOptions(target_tokens=PASSAGE_TOKENS)
    passages = [
        passage for document in documents().values() for passage in split_document(document, options, [limit])
    ]
    assert len(passages) >= 200
    hits = keyword_hits(answerable("test"), passages)
    share = sum(hits) / len(hits)
    assert 0.4 <= share <= 0.8, f"BM25 finds {share:.0%} at rank 1"
