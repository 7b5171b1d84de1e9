"""Questions about the whole collection: recognised, counted exactly, every hit cited, or declined."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.models.home import Home
from homespun.rag.asked_of_all import AskedOfAll, asked_of_all
from homespun.rag.collection import _spans, _term, answer_of_all, find_everywhere
from homespun.rag.words import find_words
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest

DATA = Path(__file__).parents[2].parent / "shared" / "data"

ASKED = {
    "How many documents mention zebras?": AskedOfAll("count", "zebras"),
    "how many of the reports contain the word “overtime”?": AskedOfAll("count", "overtime"),
    "How often is Dr. Smith mentioned in the library?": AskedOfAll("count", "Dr. Smith"),
    "In how many reports does cholera occur?": AskedOfAll("count", "cholera"),
    "How many mentions of São Paulo are there?": AskedOfAll("count", "São Paulo"),
    'Which documents mention the word "fee"?': AskedOfAll("list", "fee"),
    "Which of the letters mention Anna?": AskedOfAll("list", "Anna"),
    "Please list all mentions of overtime pay in my files.": AskedOfAll("list", "overtime pay"),
    "List all fees": AskedOfAll("list", "fees"),
    "Where is the budget mentioned?": AskedOfAll("list", "budget"),
    "List all documents": AskedOfAll("documents"),
    "How many files are there?": AskedOfAll("documents"),
    "Summarise the documents": AskedOfAll("cannot"),
    "What are these documents about?": AskedOfAll("cannot"),
    "How many cats are in these documents?": AskedOfAll("cannot"),
    "What is the average price in all the invoices?": AskedOfAll("cannot"),
}
#: What some passage may state.
NOT_ASKED = [
    "How many children were infected by HIV-1 in 2008-2009, worldwide?",
    "How many times was the experiment repeated?",
    "Which species are more prevalent but less severe?",
    "How many pages does the report have?",
    "How many letters are there in the alphabet?",
    "Summarise the report on fees",
    "What does the contract say about overtime?",
    "How often does influenza occur in children?",
    "Which documents mention it?",  # only what was said before tells what
    "Which documents do I need for a passport?",
    "",
    "?",
]


@pytest.mark.parametrize("question", ASKED)
def test_questions_about_all_are_recognised_with_their_term(question):
    assert asked_of_all(question) == ASKED[question]


@pytest.mark.parametrize("question", NOT_ASKED)
def test_questions_that_a_passage_may_answer_are_left_alone(question):
    assert asked_of_all(question) is None


@pytest.mark.parametrize("name", ["covidqa", "medquad"])
def test_real_questions_of_passages_raise_no_false_alarm(name):
    path = DATA / name / "questions.jsonl"
    if not path.is_file():
        pytest.skip("the data set is not here")
    questions = [json.loads(line)["question"] for line in path.read_text("utf-8").splitlines()]
    alarms = [question for question in questions if asked_of_all(question)]
    print(f"{name}: {len(alarms)} of {len(questions)} questions are taken for questions about all")
    assert len(alarms) <= 0.002 * len(questions), alarms


@given(st.text(max_size=200))
def test_any_text_can_be_asked(question):
    asked_of_all(question)


@given(
    st.lists(st.sampled_from(["zebra", "Zebras", "ZÈBRA", "fee", ", ", "\n", ".", "zebrafish"]), max_size=40)
)
def test_occurrences_are_all_words_of_the_term(parts):
    text = " ".join(parts)
    found = [text[start:end] for start, end in _spans(text, [_term(word) for word in find_words("zebra")])]
    assert found == re.findall(r"\b(?:zebra|Zebras|ZÈBRA)\b", text)


@pytest.fixture(scope="module")
def planted(tmp_path_factory, library):
    """Seven zebras in three of five documents, one of which cannot be read, and one is there twice."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "a.md").write_text(
        "# Zebras\n\nA zebra met two zebras.\n\n## Costs\n\nThe zebra's fee is 40.\n"
    )
    (folder / "b.txt").write_text("zebrafish are no horses.\nA ZÉBRA crossing\nzebra\ncrossings end here.")
    (folder / "c.txt").write_text("Nothing striped.")
    (folder / "copy.txt").write_text("Nothing striped.")
    (folder / "d.pdf").write_bytes(b"no pdf")
    home = Home.open(tmp_path_factory.mktemp("planted-home"))
    made = Library.open(home, "planted", library.embedder, create=True)
    ingest(made, [folder])
    return made


def test_a_count_is_exact_and_every_hit_is_cited(planted):
    made = answer_of_all("How many documents mention zebras?", planted, 4096)
    assert made is not None and not made.abstained
    first = made.answer.splitlines()[0]
    assert first.startswith("“zebras” occurs 6 times in 2 of 4 documents (")
    assert "“zebra” 2" in first and "“Zebras” 1" in first and "“ZÉBRA” 1" in first
    assert "1 document could not be read" in first
    assert made.answer.splitlines()[1:] == ["- a.md: 4 times", "- b.txt: 2 times"]
    places = [(citation.document, citation.text) for citation in made.citations]
    assert places == [("a.md", word) for word in ("Zebras", "zebra", "zebras", "zebra's")] + [
        ("b.txt", "ZÉBRA"),
        ("b.txt", "zebra"),
    ]
    assert made.citations[3].heading == "Zebras > Costs"
    for citation in made.citations:
        assert planted.text(citation.document)[citation.start : citation.end] == citation.text
    for sentence in made.sentences:
        assert made.answer[sentence.start : sentence.end] == sentence.text
        assert sentence.citation is not None and sentence.is_supported
        assert 0 <= sentence.citation < len(made.citations)


def test_a_list_shows_each_hit_in_its_sentence(planted):
    made = answer_of_all("List all mentions of zebra crossings", planted, 4096)
    assert made is not None
    assert [citation.text for citation in made.citations] == ["ZÉBRA crossing", "zebra\ncrossings"]
    assert made.answer.splitlines()[1] == "- b.txt: A ZÉBRA crossing"


def test_copies_count_each(planted):
    hits = find_everywhere(planted, "Striped")
    assert [(hit.document, hit.start, hit.text) for hit in hits] == [
        ("c.txt", 8, "striped"),
        ("copy.txt", 8, "striped"),
    ]


def test_nothing_found_is_said_with_how_much_was_read(planted):
    made = answer_of_all("Which documents mention giraffes?", planted, 4096)
    assert made is not None and made.abstained and not made.citations
    assert "in none of the 4 documents; every text was read" in made.answer


def test_what_takes_understanding_all_is_declined_with_what_can_be_asked(planted):
    made = answer_of_all("Summarise the documents", planted, 4096)
    assert made is not None and made.abstained and not made.citations
    assert "How many documents mention" in made.answer


def test_the_documents_themselves_are_listed(planted):
    made = answer_of_all("How many documents are there?", planted, 4096)
    assert made is not None and not made.abstained
    assert made.answer.splitlines()[0] == "There are 5 documents in the library “planted”."
    assert "- d.pdf (not read)" in made.answer.splitlines()
    assert answer_of_all("What does a zebra cost?", planted, 4096) is None
