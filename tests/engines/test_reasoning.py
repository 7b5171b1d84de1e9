"""Reasoning is told apart from the answer, however the text is cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homespun.engines.reasoning import (
    ReasoningSplitter,
    Split,
    opened_marker,
    split_reasoning,
    without_reasoning,
)

PIECES = st.sampled_from(
    ["<think>", "</think>", "<thi", "nk>", "</", "think>", "<", " ", "\n", "a", "b c", "[THINK]"]
)
TEXTS = st.lists(PIECES, max_size=10).map("".join)


@pytest.mark.parametrize(
    ("text", "inside", "split"),
    [
        ("<think>\nSum.\n</think>\n\n4", None, Split("Sum.", "4")),
        ("\n<think>a</think>b", None, Split("a", "b")),
        ("Sum.\n</think>\n4 ", "<think>", Split("Sum.", "4 ")),
        ("<think>never closed </thin", None, Split("never closed </thin", "")),
        ("still thinking \n", "<think>", Split("still thinking", "")),
        ("<think></think>", None, Split("", "")),
        ("<thinking>a</think></thinking>b", None, Split("a</think>", "b")),
        ("[THINK]a[/THINK]b", None, Split("a", "b")),
        (" 4 <think>is text</think>", None, Split("", " 4 <think>is text</think>")),
        ("<thi", None, Split("", "<thi")),
        ("<think>a</think>b<think>c</think>", None, Split("a", "b<think>c</think>")),
        (" ", None, Split("", " ")),
        ("", None, Split("", "")),
    ],
)
def test_splits_by_hand(text, inside, split):
    assert split_reasoning(text, inside=inside) == split


@given(text=TEXTS, inside=st.sampled_from([None, "<think>"]), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_chunks_change_nothing(text, inside, cuts):
    splitter = ReasoningSplitter(inside=inside)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    parts = [splitter.push(text[a:b]) for a, b in itertools.pairwise(places)] + [splitter.flush()]
    found = Split("".join(p.reasoning for p in parts), "".join(p.text for p in parts))
    assert found == split_reasoning(text, inside=inside)


@given(text=TEXTS)
def test_nothing_but_markers_and_space_is_lost(text):
    split = split_reasoning(text)
    if not text.lstrip().startswith(("<think>", "[THINK]")):
        assert split == Split("", text)
    left = "".join((split.reasoning + split.text).split())
    whole = "".join(text.split())
    assert whole.replace("<think>", "", 1).replace("</think>", "", 1) == left or len(whole) - len(left) in (
        0,
        7,
        15,
    )


def test_the_prompt_may_open_the_section():
    assert opened_marker("<|im_start|>assistant\n<think>\n") == "<think>"
    assert opened_marker("<think>\n\n</think>\n\n") is None
    assert without_reasoning("<think>x</think>\ny") == "y"
