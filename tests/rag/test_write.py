"""What a model writes: its own source marks never survive, streamed or not."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.documents.split import Passage
from homespun.rag.support import SupportChecker
from homespun.rag.write import MarkFilter, RepeatFilter
from homespun.retrieval.embedder import FolderEmbedder


def streamed(pieces: Sequence[str]) -> str:
    marks = MarkFilter()
    return "".join([*map(marks.push, pieces), marks.flush()])


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["It is closed", " [", "9", "]."], "It is closed."),
        (["A [1, 2] and [Passage 3]", " b"], "A and b"),
        (["  Yes", ".  "], "Yes."),
        (["see [the list] now"], "see [the list] now"),
        (["open [brac", "ket"], "open [bracket"),
        (["in [2024] it"], "in [2024] it"),
        ([" ", " "], ""),
    ],
)
def test_r8_numbers_that_the_model_makes_up_are_no_sources(pieces: list[str], text: str) -> None:
    assert streamed(pieces) == text


@given(st.lists(st.text(alphabet="a [9],]1\n.", max_size=4), max_size=12))
def test_how_the_text_is_cut_does_not_matter(pieces: list[str]) -> None:
    assert streamed(pieces) == streamed(["".join(pieces)]) == streamed(list("".join(pieces)))


def test_r8_a_cited_place_holds_the_claim(embedder: FolderEmbedder) -> None:
    texts = {
        f"{i}.md": text
        for i, text in enumerate(["The lift is green.", "Bites are never closed.", "Cats bite."])
    }
    passages = [Passage(name, 0, len(text), text, None, ()) for name, text in texts.items()]
    text = streamed(["Bites are never closed [9]. The moon is made of cheese [2]."])
    checker = SupportChecker(passages, texts.__getitem__, embedder)
    first, second = (checker.check(sentence) for sentence in text.split(". "))
    assert [found.passage.document for found in first.sentences] == ["1.md"]
    assert first.is_supported
    assert not second.is_supported


def filtered(pieces: list[str]) -> tuple[str, bool]:
    """What a RepeatFilter lets through, and whether it saw a repetition."""
    repeats = RepeatFilter()
    shown = "".join(repeats.push(piece) for piece in pieces)
    return shown + repeats.flush(), repeats.is_repeating


def test_a_repeated_sentence_is_never_shown() -> None:
    text = "The room is open on Monday. It is shut on Friday. The room is open on Monday. It is shut"
    for size in (1, 3, 7, len(text)):
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        shown, is_repeating = filtered(pieces)
        assert is_repeating
        assert shown.rstrip() == "The room is open on Monday. It is shut on Friday."


@given(
    st.lists(
        st.sampled_from(["The room is open on ", "Monday. ", "Yes. ", "Friday. ", "3.5 mg "]), max_size=8
    )
)
def test_a_text_that_does_not_repeat_is_shown_whole(pieces: list[str]) -> None:
    shown, is_repeating = filtered(pieces)
    text = "".join(pieces)
    assert text.startswith(shown)
    assert is_repeating or shown == text
