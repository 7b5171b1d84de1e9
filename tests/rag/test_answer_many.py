"""Many questions at once get the answers that each gets alone."""

import pytest

from homespun.engines.engine import Engine
from homespun.rag.answer import AnswerOptions, answer
from homespun.rag.answer_many import answer_many
from homespun.retrieval.library import Library

QUESTIONS = (
    "How long may a cut be closed after the injury?",
    "When are stitches on the scalp of a child taken out?",
    "What does a lost yellow booklet cost?",
    "Who won the football cup of 1974?",
)


@pytest.mark.parametrize("style", ["quote", "write"])
def test_each_answer_is_that_of_ask(library: Library, engine: Engine, style: str) -> None:
    options = AnswerOptions(style=style, max_new_tokens=24)  # type: ignore[arg-type]
    many = answer_many(QUESTIONS, library, engine, options)
    for question, found in zip(QUESTIONS, many, strict=True):
        alone = answer(question, library, engine, options)
        assert found.answer.answer == alone.answer
        assert found.answer.citations == alone.citations
        assert found.answer.abstained == alone.abstained
    assert many[-1].answer.abstained and many[-1].hits
