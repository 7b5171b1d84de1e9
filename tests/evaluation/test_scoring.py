"""Answers scored as a reader would score them; failures and refusals count."""

from pathlib import Path

import pytest

from homespun.evaluation.choices import chosen
from homespun.evaluation.gold import GoldPlace
from homespun.evaluation.questions import Question, SourcePlace, read_questions
from homespun.evaluation.refusals import says_no_answer
from homespun.evaluation.scoring import hit_rank, score
from homespun.evaluation.ways import Answered, CitedPlace, GivenPassage
from homespun.retrieval.embedder import FolderEmbedder

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"


def ask(*answers: str, **more: object) -> Question:
    return Question("q1", "What?", answers, **more)  # type: ignore[arg-type]


def told(text: str, **more: object) -> Answered:
    return Answered("q1", text, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (" comedy", "comedy"),
        ("10\n\nPassage", "10"),
        ("( B )", "(B)"),
        ("$29.00", "29"),
        ("early- life", "early-life"),
        ("It takes half an hour.", "30 minutes"),
        ("Two weeks after the visit", "14 days"),
        ("6 euros for each copy", "€6"),
        ("At 5:30 pm.", "17:30"),
        ("on the 3rd of March 2025", "2025-03-03"),
        ("You wait at least one week, as a rule.", "at least one week"),
        ("No, there is none.", "no"),
        ("500 mg every day", "0.5 g"),
    ],
)
def test_right_answers_written_otherwise(text: str, accepted: str) -> None:
    assert score(ask(accepted), told(text)).correct == 1.0


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("cat", "ct"),
        ("theme", "me"),
        ("30 hours", "30 minutes"),
        ("$6", "€6"),
        ("6 mg", "6 ml"),
        ("within 5 days, not within 6 hours", "within 6 hours"),
        ("There is no appointment to be had.", "no"),
        ("Yes.", "no"),
        ("on 4 March 2025", "2025-03-03"),
        ("at least two weeks", "at least one week"),
        ("", "anything"),
    ],
)
def test_wrong_answers(text: str, accepted: str) -> None:
    assert score(ask(accepted), told(text)).correct == 0.0


def test_long_answers_may_be_said_in_other_words() -> None:
    accepted = "Mother-to-child transmission is the main cause of HIV-1 infection in children worldwide."
    assert score(
        ask(accepted), told("The main cause in children worldwide is mother-to-child transmission")
    ).correct
    assert not score(ask(accepted), told("Blood transfusion is the main cause of infection")).correct
    # Nearly all words, and another number.
    accepted = "more than 400,000 children were infected worldwide in that year, mostly through their mothers"
    assert not score(ask(accepted), told(accepted.replace("400,000", "900,000"))).correct


def test_e6_a_refusal_is_right_where_there_is_no_answer() -> None:
    none = ask(unanswerable=True)
    for text in (
        "The passages do not say this.",
        "I don't know.",
        "Das steht in den Unterlagen nicht.",
        "Les documents ne le précisent pas.",
        "No se menciona en el documento.",
        "Ik weet het niet.",
    ):
        found = score(none, told(text))
        assert (found.correct, found.refusal_right, found.exact, found.f1) == (1.0, True, None, None), text
    made_up = score(none, told("It costs 12 euros."))
    assert (made_up.correct, made_up.refusal_right) == (0.0, False)
    wrongly = score(ask("12 euros"), told("The passages do not say this.", refused=True))
    assert (wrongly.correct, wrongly.refusal_right, wrongly.f1) == (0.0, False, 0.0)
    assert score(ask("12 euros"), told("12 euros")).refusal_right is None


@pytest.mark.parametrize(
    "text",
    [
        "It is not given before the age of 5.",
        "The steht is closed on Mondays.",
        "Nobody knows the code but Mara.",
        "",
    ],
)
def test_an_answer_is_no_refusal(text: str) -> None:
    assert not says_no_answer(text)


def test_e5_a_failure_counts_as_wrong() -> None:
    for question in (ask("x"), ask(unanswerable=True)):
        found = score(question, told("", error="The server did not answer."))
        assert not found.attempted and found.correct == 0.0 and found.citation_right is None
    assert score(ask(unanswerable=True), told("", error="x")).refusal_right is False


CHOICES = ("Twice a day", "Once a day", "Never", "Once a day, with food")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("B", 1),
        ("( b )", 1),
        ("b.", 1),
        ("Answer: C", 2),
        ("The correct answer is (A)", 0),
        ("B. Once a day", 1),
        ("once a day, with food", 3),
        ("It is given twice a day.", 0),
        ("A: Once a day", None),
        ("A patient gets it once a week", None),
        ("Once a day or never", None),
        ("E", None),
        ("", None),
    ],
)
def test_a_choice_is_named_by_letter_or_words(text: str, place: int | None) -> None:
    assert chosen(text, CHOICES) == place


def test_multiple_choice_is_right_by_letter_or_by_words() -> None:
    for accepted in ("Once a day", "B", "(B)"):
        question = ask(accepted, choices=CHOICES)
        assert score(question, told("B. Once a day")).correct == 1.0
        assert score(question, told("Once a day, with food")).correct == 0.0


def test_the_rank_of_the_first_passage_that_holds_the_answer() -> None:
    passages = [
        GivenPassage("a/x.txt", 0, 100, 1),
        GivenPassage("a/x.txt", 90, 200, 2),
        GivenPassage("y.txt", 0, 9, 3),
    ]
    at = ask("z", sources=(SourcePlace("x.txt", "", 150, 160),))
    assert hit_rank(at, passages) == 2
    assert (
        hit_rank(ask("z", sources=(SourcePlace("x.txt", "", 95, 130),)), passages) == 2
    )  # 5 of 35 signs: no
    assert hit_rank(ask("z", sources=(SourcePlace("y.txt"),)), passages) == 3
    assert hit_rank(ask("z", sources=(SourcePlace("x.txt", "words alone"),)), passages) is None
    found = (GoldPlace("a/x.txt", "words alone", 20, 31),)
    assert hit_rank(ask("z", sources=(SourcePlace("x.txt", "words alone"),)), passages, found) == 1
    copy = [GivenPassage("other.txt", 0, 100, 4, also_in=("a/x.txt",))]
    assert hit_rank(at, copy, (GoldPlace("a/x.txt", "w", 20, 31),)) == 4


STORED = "The clinic opens at 08:30 on Mondays. A second replacement costs €6 and is paid at the desk."


def cited(text: str, document: str = "fees.md") -> CitedPlace:
    start = STORED.index(text)
    return CitedPlace(document, start, start + len(text), text)


def test_a_citation_must_be_there_and_say_it() -> None:
    place = cited("A second replacement costs €6 and is paid at the desk.")
    answered = told("A second replacement costs 6 euros.", citations=(place,))
    stored = {"fees.md": STORED}.get
    assert score(ask("€6"), answered, text_of=stored).citation_right is True
    assert score(ask("€6"), answered).citation_right is True
    assert score(ask("€6"), answered, text_of={}.get).citation_right is False  # no such document
    moved = told(
        answered.text, citations=(CitedPlace("fees.md", place.start - 1, place.end - 1, place.text),)
    )
    assert score(ask("€6"), moved, text_of=stored).citation_right is False
    other = told("A second replacement costs 9 euros.", citations=(place,))
    assert score(ask("€6"), other, text_of=stored).citation_right is False
    elsewhere = told(
        "A second replacement costs €6.", citations=(cited("The clinic opens at 08:30 on Mondays."),)
    )
    assert score(ask("€6"), elsewhere, text_of=stored).citation_right is False
    assert score(ask("€6"), told("€6")).citation_right is None


def test_with_an_embedder_the_support_check_decides(embedder: FolderEmbedder) -> None:
    place = cited("A second replacement costs €6 and is paid at the desk.")
    stored = {"fees.md": STORED}.get
    right = told("For the second replacement people pay 6 euros.", citations=(place,))
    wrong = told("For the second replacement people pay 16 euros.", citations=(place,))
    assert score(ask("€6"), right, text_of=stored, embedder=embedder).citation_right is True
    assert score(ask("€6"), wrong, text_of=stored, embedder=embedder).citation_right is False


def test_every_accepted_answer_of_the_clinic_is_right_and_others_are_not() -> None:
    questions = [one for one in read_questions(CLINIC / "test.jsonl").questions if not one.unanswerable]
    for question in questions:
        for accepted in question.answers:
            assert score(question, told(accepted)).correct == 1.0, (question.question, accepted)
    others = zip(questions, [*questions[7:], *questions[:7]], strict=True)
    assert sum(score(one, told(other.answers[0])).correct for one, other in others) <= 5
