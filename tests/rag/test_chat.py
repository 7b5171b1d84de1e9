"""What a follow-up question is searched as."""

import pytest

from homespun.models.template import Message
from homespun.rag.chat import leans_on_earlier, standalone_query
from homespun.rag.presence import WordVectors
from homespun.retrieval.embedder import FolderEmbedder


def asked(*questions: str) -> list[Message]:
    turns = []
    for question in questions:
        turns += [Message("user", question), Message("assistant", "Some answer about penguins.")]
    return turns


def test_a_follow_up_takes_the_missing_words() -> None:
    history = asked("How much paracetamol may an adult take?")
    assert standalone_query("And for children?", history) == "And for children? paracetamol adult"


def test_a_chain_of_follow_ups_keeps_the_subject() -> None:
    history = asked("How long do stitches stay in the face?", "And in the scalp?")
    query = standalone_query("What about children?", history)
    assert "stitches" in query
    assert "scalp" in query
    assert "penguins" not in query


def test_a_counterpart_is_replaced(embedder: FolderEmbedder) -> None:
    history = asked("How many days do stitches on the scalp stay in adults?")
    query = standalone_query("And in children on the face?", history, WordVectors(embedder))
    assert query == "And in children on the face? days stitches stay"


def test_a_question_of_its_own_stays_as_it_is() -> None:
    history = asked("How long do stitches stay in the face?")
    question = "Which firm watches the parking places in the yard?"
    assert standalone_query(question, history) == question
    assert standalone_query(question, []) == question


@pytest.mark.parametrize(
    "question", ["Why?", "And at night?", "How often does she come on weekdays then?", "Kinder?"]
)
def test_short_or_pointing_questions_lean(question: str) -> None:
    assert leans_on_earlier(question)


def test_other_languages_do_not_crash() -> None:
    assert standalone_query("子供は?", asked("予防接種はいつですか")).startswith("子供は?")
