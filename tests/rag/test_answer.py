"""The whole way from a question to an answer with its sources, with the real models."""

import json
from pathlib import Path

import pytest

from homespun.engines.engine import Engine
from homespun.models.home import Home
from homespun.models.template import Message
from homespun.rag.answer import AnswerOptions, answer
from homespun.rag.errors import AnswerError, QuestionTooLongError
from homespun.rag.result import Answer
from homespun.retrieval.library import Library

CUT = "How long after the injury may a cut on the face be closed?"
QUOTE = AnswerOptions(style="quote")
WRITE = AnswerOptions(style="write", max_new_tokens=48)


def check_places(made: Answer, library: Library) -> None:
    """Each place that an answer names holds the text that it names."""
    for citation in made.citations:
        assert library.text(citation.document)[citation.start : citation.end] == citation.text
    for sentence in made.sentences:
        assert made.answer[sentence.start : sentence.end] == sentence.text
        assert sentence.is_supported == (sentence.citation is not None)
        assert sentence.is_supported != bool(sentence.reason)
        assert sentence.citation is None or 0 <= sentence.citation < len(made.citations)


def test_quote_gives_the_documents_own_sentence(library: Library, engine: Engine) -> None:
    pieces: list[str] = []
    made = answer(CUT, library, engine, QUOTE, on_text=pieces.append)
    assert not made.abstained
    assert "on the face up to 24 hours" in made.answer
    assert "".join(pieces) == made.answer
    check_places(made, library)
    assert all(made.citations[s.citation].text == s.text for s in made.sentences if s.citation is not None)
    assert made.citations[0].heading == "Wound care > A fresh cut"


def test_a_table_row_comes_with_its_header(library: Library, engine: Engine) -> None:
    made = answer("How many days do stitches on the scalp stay in children?", library, engine, QUOTE)
    assert "| Place | Adults | Children |\n| scalp | 8 days | 7 days |" in made.answer
    check_places(made, library)


def test_write_streams_what_it_returns_and_checks_each_sentence(library: Library, engine: Engine) -> None:
    pieces: list[str] = []
    made = answer(CUT, library, engine, WRITE, on_text=pieces.append)
    assert "".join(pieces) == made.answer
    assert made.style == "write"
    assert made.sentences
    check_places(made, library)
    assert made.tokens.prompt + made.tokens.left_for_answer == made.tokens.window == engine.facts.window
    assert 0 < made.tokens.written <= 48
    assert len(made.tokens.passages) == len(made.passages)
    assert {"search_s", "read_s", "write_s", "check_s"} <= set(made.timings)


def test_json_has_the_promised_keys(library: Library, engine: Engine) -> None:
    made = json.loads(json.dumps(answer(CUT, library, engine, QUOTE).to_json()))
    promised = [
        "answer",
        "abstained",
        "style",
        "sentences",
        "citations",
        "passages",
        "dropped",
        "tokens",
        "timings",
    ]
    assert set(promised) <= set(made)
    assert {"document", "page", "start", "end", "text"} <= set(made["citations"][0])


@pytest.mark.parametrize("style", [QUOTE, WRITE])
@pytest.mark.parametrize("question", ["Why is the sky blue?", "Who won the football cup in Brazil?"])
def test_r7_off_topic_is_declined_without_citations(
    library: Library, engine: Engine, question: str, style: AnswerOptions
) -> None:
    pieces: list[str] = []
    made = answer(question, library, engine, style, on_text=pieces.append)
    assert made.abstained
    assert made.citations == made.sentences == made.passages == ()
    assert "Nothing" in made.answer
    assert "handbook" in made.answer
    assert question in made.answer
    assert "".join(pieces) == made.answer


def test_r7_an_empty_library_declines(engine: Engine, embedder: object, tmp_path: Path) -> None:
    empty = Library.open(Home.open(tmp_path), "empty", embedder, create=True)  # type: ignore[arg-type]
    made = answer(CUT, empty, engine, AnswerOptions(style="quote", may_abstain=False))
    assert made.abstained
    assert "0 documents" in made.answer


def test_r9_passages_that_do_not_fit_are_named(library: Library, engine: Engine) -> None:
    # The window of 1,024 leaves so little beside this answer that not all passages fit.
    made = answer(CUT, library, engine, AnswerOptions(style="write", max_new_tokens=790, may_abstain=False))
    assert made.dropped
    assert all(dropped.n_tokens > 0 for dropped in made.dropped)
    named = [*made.to_json()["passages"], *made.to_json()["dropped"]]
    assert len({(passage["document"], passage["start"]) for passage in named}) == len(named)


def test_a_question_longer_than_the_window(library: Library, engine: Engine) -> None:
    long = "May a cut on the face be closed? " * 200
    with pytest.raises(QuestionTooLongError):
        answer(long, library, engine, AnswerOptions(style="write", may_abstain=False))
    assert answer(long, library, engine, QUOTE).style == "quote"


def test_style_says_why(library: Library, engine: Engine) -> None:
    made = answer(CUT, library, engine)
    assert made.style == "quote"
    assert "0.30" in made.style_reason
    assert "0.14" in made.style_reason
    assert answer(CUT, library, engine, QUOTE).style_reason == "asked for"


def test_a_follow_up_is_searched_with_the_subject(library: Library, engine: Engine) -> None:
    history = [
        Message("user", "How many days do stitches on the scalp stay in adults?"),
        Message("assistant", "8."),
    ]
    made = answer("And in children on the face?", library, engine, QUOTE, history=history)
    assert "stitches" in made.searched
    assert "| face | 5 days | 4 days |" in made.answer


@pytest.mark.parametrize(
    "question", ["予防接種はいつですか", "Сколько стоит жёлтая книжка?", "?!", "\x00 🩹"]
)
def test_any_question_is_answered_or_declined(library: Library, engine: Engine, question: str) -> None:
    for options in (QUOTE, WRITE):
        check_places(answer(question, library, engine, options), library)


def test_an_empty_question_is_refused(library: Library, engine: Engine) -> None:
    with pytest.raises(AnswerError):
        answer("  ", library, engine)


def test_options_check_themselves() -> None:
    for wrong in ({"style": "poem"}, {"n_passages": 0}, {"max_new_tokens": 0}):
        with pytest.raises(AnswerError):
            AnswerOptions(**wrong)  # type: ignore[arg-type]
