"""What the check of a sentence finds, on passages short enough to judge by eye."""

from collections.abc import Callable

import pytest

from homespun.documents.split import Passage
from homespun.rag.support import Check, SupportChecker
from homespun.retrieval.embedder import FolderEmbedder

TEXT = (
    "Metformin starts with 500 mg once daily, with the evening meal. A cut may be closed up to 12 hours after "
    "the injury, and on the face up to 24 hours. Larchmount is visited on Tuesdays by Dr Okafor. Bites on the "
    "hand are never closed. Everyone waits thirty minutes outside Room 4."
)

Checks = Callable[[str], Check]


@pytest.fixture(scope="module")
def check(embedder: FolderEmbedder) -> Checks:
    return SupportChecker([Passage("a.md", 0, len(TEXT), TEXT, None, ())], lambda _: TEXT, embedder).check


@pytest.mark.parametrize(
    "sentence",
    [
        "Metformin starts with 500 mg once daily, with the evening meal.",
        "Facial cuts can be closed for up to 24 hours.",
        "Everyone waits half an hour outside Room 4.",
        "Dr Okafor visits Larchmount on Tuesdays.",
        "A bite on the hand is never closed.",
    ],
)
def test_true_sentences_are_supported_with_their_place(check: Checks, sentence: str) -> None:
    verdict = check(sentence)
    assert verdict.is_supported, verdict.reason
    assert all(TEXT[found.start : found.end] == found.text for found in verdict.sentences)


@pytest.mark.parametrize(
    ("sentence", "named"),
    [
        ("Metformin starts with 850 mg once daily, with the evening meal.", "850 mg"),
        ("Gliclazide starts with 500 mg once daily, with the evening meal.", "Gliclazide"),
        ("Larchmount is visited on Thursdays by Dr Okafor.", "Thursdays"),
        ("Larchmount is visited on Tuesdays by Dr Lindqvist.", "Lindqvist"),
        ("Everyone waits forty minutes outside Room 4.", "forty minutes"),
        ("A cut on the face may be closed up to 48 hours after the injury.", "48 hours"),
        ("Bites on the hand are closed.", "not"),
    ],
)
def test_changed_sentences_are_not_and_the_reason_names_the_change(
    check: Checks, sentence: str, named: str
) -> None:
    verdict = check(sentence)
    assert not verdict.is_supported
    assert named in verdict.reason


@pytest.mark.parametrize(
    "sentence", ["Penguins live on the southern ice.", "", "...", "犬は庭で遊ぶ。", "Собака играет в саду."]
)
def test_what_no_passage_says_is_not_supported(check: Checks, sentence: str) -> None:
    verdict = check(sentence)
    assert not verdict.is_supported
    assert verdict.reason


def test_without_passages_nothing_is_supported(embedder: FolderEmbedder) -> None:
    assert not SupportChecker([], lambda _: "", embedder).check("Metformin starts with 500 mg.").is_supported


def test_a_sentence_about_the_answer_itself_is_not_supported(check: Checks) -> None:
    verdict = check("The answer is:")
    assert not verdict.is_supported
    assert "looked up" in verdict.reason
