"""Ways on the same questions: kept answers, ways that break, figures that count every question."""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest
from planted import handbook

from homespun.errors import HomespunError
from homespun.evaluation.answer_store import AnswerStore
from homespun.evaluation.asking import ask_way, draw_sample
from homespun.evaluation.compare import compare
from homespun.evaluation.comparison import CompareOptions, Comparison
from homespun.evaluation.comparison_json import from_json, to_json
from homespun.evaluation.comparison_store import changes_since, find_comparison, keep_comparison
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.promote import promote_winner
from homespun.evaluation.questions import Question, QuestionSet, questions_digest, read_questions
from homespun.evaluation.way_digest import question_key, way_digest
from homespun.evaluation.way_open import OpenedWay
from homespun.evaluation.way_options import WayOptions, parse_ways
from homespun.evaluation.ways import Answered, CitedPlace, GivenPassage
from homespun.models.home import Home
from homespun.progress import Progress
from homespun.rag.default_way import read_default_way
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.sync import ingest

QUESTIONS = tuple(
    Question(f"q{place}", f"Question {place}?", (str(place),), unanswerable=False) for place in range(50)
)


@dataclass
class Echo:
    """Answers each question with its number; breaks before the question `breaks_at`."""

    breaks_at: int = -1
    name: str = "echo"
    digest: str = "e" * 64
    n_asked: int = 0
    seconds: float = 0.0

    def answer(self, questions: Sequence[Question], progress: Progress) -> Iterator[Answered]:
        for question in questions:
            if question.id == f"q{self.breaks_at}":
                raise RuntimeError("the way broke")
            self.n_asked += 1
            time.sleep(self.seconds)
            citations = (CitedPlace("a.md", 0, 3, "a b", "a.md, line 1"),)
            passages = (GivenPassage("a.md", 0, 9, 1, ("b.md",)),)
            yield Answered(question.id, question.id[1:], citations=citations, passages=passages)


def opened(way: Echo, is_alone_alike: bool = True) -> OpenedWay:
    options = WayOptions()
    return OpenedWay(way, options, None, lambda question: question_key(options, question), is_alone_alike)


def test_a_second_run_asks_nothing_again(home: Home) -> None:
    first = ask_way(home, opened(Echo()), QUESTIONS)
    again = Echo()
    second = ask_way(home, opened(again), QUESTIONS)
    assert again.n_asked == 0 and second.n_cached == 50
    assert second.answers == first.answers
    assert [one.text for one in second.answers] == [str(place) for place in range(50)]


def test_a_reworded_question_is_asked_again_although_its_id_is_the_same(home: Home) -> None:
    ask_way(home, opened(Echo()), QUESTIONS)
    again = Echo()
    ask_way(home, opened(again), [replace(QUESTIONS[7], question="Another question?"), *QUESTIONS[8:]])
    assert again.n_asked == 1


def test_a_way_that_breaks_half_way_keeps_what_it_answered_and_goes_on_later(home: Home) -> None:
    broken = ask_way(home, opened(Echo(breaks_at=20)), QUESTIONS)
    assert broken.crashed is not None and "the way broke" in broken.crashed
    assert [one.error is None for one in broken.answers] == [True] * 16 + [False] * 34
    assert len(broken.answers) == 50
    mended = Echo()
    whole = ask_way(home, opened(mended), QUESTIONS)
    assert mended.n_asked == 34 and whole.crashed is None
    assert all(one.error is None for one in whole.answers)


def test_in_fast_mode_a_group_that_was_cut_is_asked_whole(home: Home) -> None:
    ask_way(home, opened(Echo()), QUESTIONS[:20])
    again = Echo()
    ask_way(home, opened(again, is_alone_alike=False), QUESTIONS)
    assert again.n_asked == 50 - 16  # the second group of 16 again, the first not


@pytest.mark.parametrize("n_cut", range(1, 60, 7))
def test_a_line_that_a_kill_cut_is_the_only_one_lost(home: Home, n_cut: int) -> None:
    ask_way(home, opened(Echo()), QUESTIONS)
    store = AnswerStore(home, "e" * 64)
    data = store.path.read_bytes()
    store.path.write_bytes(data[:-n_cut])
    assert len(store.read()) == (50 if n_cut == 1 else 49)  # 1: only the end of the line is gone
    again = ask_way(home, opened(Echo()), QUESTIONS)
    assert again.n_cached >= 49
    assert len(store.read()) == 50


def test_interrupted_anywhere_the_answers_are_those_of_an_undisturbed_run(home: Home, tmp_path: Path) -> None:
    undisturbed = ask_way(Home.open(tmp_path / "other"), opened(Echo()), QUESTIONS).answers
    for stop in (1, 16, 17, 33, 50):
        n_told = 0

        def stopping(way: str, answered: Answered, is_kept: bool, stop: int = stop) -> None:
            nonlocal n_told
            n_told += 1
            if n_told == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            ask_way(home, opened(Echo()), QUESTIONS, on_answer=stopping)
    assert ask_way(home, opened(Echo()), QUESTIONS).answers == undisturbed


def test_without_the_cache_answers_are_compared_with_those_kept(home: Home) -> None:
    ask_way(home, opened(Echo()), QUESTIONS)
    store = AnswerStore(home, "e" * 64)
    rows = [json.loads(line) for line in store.path.read_text().splitlines()]
    rows[3]["text"] = "something else"
    store.path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = ask_way(home, opened(Echo()), QUESTIONS, cache=False)
    assert (again.n_cached, again.n_compared, again.n_changed) == (0, 50, 1)
    assert again.answers[3].text == "3"


def test_a_sample_keeps_the_share_without_an_answer_and_grows_by_adding() -> None:
    questions = [replace(one, unanswerable=place % 5 == 0) for place, one in enumerate(QUESTIONS)]
    small, large = draw_sample(questions, 10, 3), draw_sample(questions, 30, 3)
    assert len(small) == 10 and sum(one.unanswerable for one in small) == 2
    assert sum(one.unanswerable for one in large) == 6
    assert large[:10] == small
    assert draw_sample(questions, 10, 4) != small
    assert draw_sample(questions, 0, 3) == questions


def test_a_digest_covers_an_adapters_weights(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"first weights")
    options = parse_ways("tuned", WayOptions(adapter="a"))[0][1]
    before = way_digest(options, engine=None, adapter=folder)
    assert way_digest(options, engine=None, adapter=folder) == before
    (folder / "adapter_model.safetensors").write_bytes(b"other weights")  # the same name and length
    assert way_digest(options, engine=None, adapter=folder) != before
    assert way_digest(replace(options, max_new_tokens=65), engine=None, adapter=folder) != before
    assert way_digest(options, engine=None, adapter=folder, prompts=["Be short."]) != before


@pytest.fixture(scope="module")
def club(measured_home: Home, tmp_path_factory: pytest.TempPathFactory) -> QuestionSet:
    """Ten subjects in the library `club`, twenty questions."""
    documents, path = handbook(range(10)).write(tmp_path_factory.mktemp("club"))
    ingest(open_library(measured_home, "club", create=True), [documents])
    return read_questions(path)


def test_a_way_that_cannot_be_opened_does_not_take_the_others_with_it(
    measured_home: Home, club: QuestionSet, tmp_path: Path
) -> None:
    ways = parse_ways("quote,prompt@engine=vllm", WayOptions(library="club"))
    found = compare(measured_home, club, ways, CompareOptions(), name="first")
    quoted, broken = found.ways
    assert (quoted.n_attempted, quoted.n_scored) == (20, 20)
    assert quoted.correct.value >= 0.9 and quoted.hits["hit@1"] >= 0.9
    assert (broken.n_attempted, broken.n_scored) == (20, 0)
    assert broken.crashed and broken.correct.value == 0.0  # no mean over survivors
    assert found.winner == "" and any("0 of 20" in line for line in found.verdict)
    assert {cause.name for cause in found.causes if cause.way == broken.name} == {"failed"}
    assert from_json(json.loads(json.dumps(to_json(found)))) == found
    _kept_and_compared(measured_home, found, club)
    _promoted(measured_home, found)


def _promoted(home: Home, found: Comparison) -> None:
    with pytest.raises(EvaluationError, match="No winner is promoted"):
        promote_winner(home, found, "club")
    with pytest.raises(EvaluationError, match="`ask` cannot take it"):
        promote_winner(home, replace(found, winner="prompt@engine=vllm"), "club")
    with pytest.raises(HomespunError, match="no library 'other'"):
        promote_winner(home, replace(found, winner="quote"), "other")
    assert "quote is now the way" in promote_winner(home, replace(found, winner="quote"), "")
    way = read_default_way(Library.open(home, "club"))
    assert way is not None and (way.style, way.n_passages, way.adapter) == ("quote", 10, "")
    assert way.evidence["comparison"] == "first" and way.evidence["digest"] == found.ways[0].digest


def _kept_and_compared(home: Home, found: Comparison, club: QuestionSet) -> None:
    keep_comparison(home, found)
    before = find_comparison(home, "last", club.digest)
    assert before == found
    same = changes_since(before, found)
    assert all(not one.is_broken and one.is_same for one in same if one.way == "quote")
    quoted = found.ways[0]
    rows = tuple(replace(row, correct=0.0) if place < 16 else row for place, row in enumerate(quoted.rows))
    worse = replace(found, ways=(replace(quoted, rows=rows, digest="f" * 64), *found.ways[1:]))
    change = next(one for one in changes_since(before, worse) if one.way == "quote")
    assert change.is_broken and len(change.broken) >= 14 and not change.mended
    with pytest.raises(EvaluationError, match="No comparison of these questions"):
        find_comparison(home, "last", "0" * 64)


def test_what_is_not_there_is_refused_before_anything_is_asked(
    measured_home: Home, club: QuestionSet
) -> None:
    told: list[str] = []
    for ways, words in (
        ("quote@library=nowhere", "no library 'nowhere'"),
        ("tuned", "needs an adapter"),
        ("few-shot", "there are none to show"),
        ("tuned@adapter=nothing", "no adapter 'nothing'"),
        ("prompt@model=nothing", "nothing"),
    ):
        with pytest.raises(HomespunError, match=words):
            compare(
                measured_home,
                club,
                parse_ways(f"quote,{ways}", WayOptions(library="club")),
                on_answer=lambda way, answered, is_kept: told.append(way),
            )
    with pytest.raises(EvaluationError, match="answers from a library"):
        compare(measured_home, club, parse_ways("quote"))
    assert told == []


def test_one_question_names_no_winner(measured_home: Home, club: QuestionSet) -> None:
    one = QuestionSet(club.questions[:1], questions_digest(club.questions[:1]))
    ways = parse_ways("quote,quote@passages=1", WayOptions(library="club"))
    found = compare(measured_home, one, ways)
    assert found.winner == "" and "1 question is too few" in found.verdict[0]
    assert found.ways[0].n_attempted == 1


def test_sizes_are_chosen_on_train_questions_alone(measured_home: Home, club: QuestionSet) -> None:
    train, test = club.questions[:4], club.questions[4:8]
    asked = QuestionSet(test, questions_digest(test))
    told: list[str] = []
    ways = parse_ways("quote,quote@passages=2", WayOptions(library="club"))
    found = compare(
        measured_home,
        asked,
        ways,
        CompareOptions(choose=4),
        shots=(*train, *test),
        on_answer=lambda way, answered, is_kept: told.append(answered.question_id),
    )
    (note,) = [note for note in found.notes if "chosen" in note]
    assert (
        note.startswith("quote: passages=") and "on 4 train questions" in note
    )  # the four asked are left out
    assert set(told) == {one.id for one in test}
    assert found.way("quote@passages=2").options.passages == 2  # as typed
    with pytest.raises(EvaluationError, match="no train questions"):
        compare(measured_home, asked, ways, CompareOptions(choose=4), shots=test)


@pytest.mark.long
def test_exact_answers_do_not_depend_on_the_order(measured_home: Home, club: QuestionSet) -> None:
    ways = parse_ways("retrieve,prompt", WayOptions(library="club", mode="exact", max_new_tokens=16))
    compare(measured_home, club, ways)
    again = compare(measured_home, club, ways, CompareOptions(cache=False, shuffle=True, seed=5))
    for way in again.ways:
        assert (way.n_compared, way.n_changed) == (20, 0)


def _run_and_kill(home: Home, random: Random) -> bool:
    """A run in a process of its own, killed somewhere; whether it was killed before its end."""
    child = os.fork()
    if child == 0:
        ask_way(home, opened(Echo(seconds=0.0003), random.random() < 0.5), QUESTIONS)
        os._exit(0)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.parametrize("n_kills", [25, pytest.param(200, marks=pytest.mark.long)])
def test_killed_again_and_again_the_answers_are_those_of_an_undisturbed_run(
    home: Home, tmp_path: Path, n_kills: int
) -> None:
    undisturbed = ask_way(Home.open(tmp_path / "other"), opened(Echo()), QUESTIONS).answers
    random = Random(8)
    n_killed = 0
    while n_killed < n_kills:
        AnswerStore(home, "e" * 64).path.unlink(missing_ok=True)
        for _ in range(4):
            n_killed += _run_and_kill(home, random)
        assert ask_way(home, opened(Echo()), QUESTIONS).answers == undisturbed
