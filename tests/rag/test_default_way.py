"""A promoted way is what `ask` does, and says so; what a person asks for goes before it."""

from pathlib import Path

import pytest

from homespun.engines.engine import Engine
from homespun.models.home import Home
from homespun.rag.answer import AnswerOptions
from homespun.rag.default_way import FILE, DefaultWay, read_default_way, write_default_way
from homespun.rag.desk import Desk
from homespun.rag.errors import AnswerError
from homespun.retrieval.library import Library

WAY = DefaultWay("write", 2, 12, evidence={"comparison": "test-1", "verdict": ["retrieve wins."]})


@pytest.fixture
def written(library: Library, tmp_path: Path) -> Library:
    """The handbook with a promoted way; taken away again."""
    assert read_default_way(library) is None
    write_default_way(library, WAY)
    yield library
    (library.path / FILE).unlink(missing_ok=True)


def test_what_is_written_is_read(written: Library) -> None:
    assert read_default_way(written) == WAY


def test_ask_answers_in_the_promoted_way(written: Library, engine: Engine, home: Home) -> None:
    desk = Desk(home, written, engine, way=read_default_way(written))
    promoted = desk.ask("How long may a cut be closed after the injury?")
    assert promoted.style == "write" and len(promoted.passages) == 2
    assert promoted.style_reason == "promoted: the comparison test-1 shows it to be best"
    assert promoted.tokens.written <= 12
    asked = desk.ask("How long may a cut be closed after the injury?", AnswerOptions(style="quote"))
    assert asked.style == "quote" and asked.style_reason == "asked for"
    plain = Desk(home, written, engine).ask("How long may a cut be closed after the injury?")
    assert plain.style == "quote"  # what is better for so small a model


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}', '{"version": 1}'])
def test_a_broken_file_is_told_in_a_sentence(written: Library, text: str) -> None:
    (written.path / FILE).write_text(text)
    with pytest.raises(AnswerError, match="cannot be read"):
        read_default_way(written)
