"""A judge read from probabilities: both orders, ties, failures, agreement with a person, families."""

import math
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.engines.engine import EngineOptions
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.evaluation.calibration import calibration
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.judge import Judge, Preference
from homespun.evaluation.judged import (
    agreement,
    cohen_kappa,
    family_warning,
    judge_answers,
    model_family,
    summarize_preferences,
)
from homespun.evaluation.questions import Question
from homespun.evaluation.several import compare_all

QUESTION = Question("q", "What does a copy cost?", ("4 euros",))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    path = write_random(folder / "tiny.gguf", Shape())
    with OpenVINOEngine(path, EngineOptions(mode="exact"), cache_path=folder / "cache") as opened:
        yield opened


class Likes:
    """An engine whose next-token odds are a function of the prompt; all else is the real one's."""

    def __init__(self, engine, odds) -> None:
        self._engine, self._odds = engine, odds

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def distributions(self, token_ids, *, last=1, adapter=None):
        text = self._engine.tokenizer.decode(token_ids)
        row = np.full(self._engine.tokenizer.n_vocab, -20.0, np.float32)
        for spelling, value in self._odds(text).items():
            row[self._engine.tokenizer.encode(spelling)[0]] = value
        return row[None]


def test_e4_the_same_answer_twice_is_a_tie_and_swapping_turns_the_sign(engine) -> None:
    judge = Judge(engine)
    assert judge.prefer(QUESTION, "4 euros", " 4 euros ") == Preference("tie", 0.0, False)
    one, other = judge.prefer(QUESTION, "4 euros", "9 euros"), judge.prefer(QUESTION, "9 euros", "4 euros")
    assert one.first_odds == pytest.approx(-other.first_odds, abs=1e-4)
    assert one.is_flipped == other.is_flipped
    assert {one.choice, other.choice} in ({"tie"}, {"first", "second"})


def test_e4_a_judge_that_prefers_a_place_only_ties(engine) -> None:
    place = Judge(Likes(engine, lambda text: {"A": -0.1, "B": -3.0}))
    found = place.prefer(QUESTION, "4 euros", "nine")
    assert (found.choice, found.is_flipped) == ("tie", True)
    assert found.first_odds == pytest.approx(0.0, abs=1e-6)


def test_e4_a_judge_that_prefers_length_is_shown_to(engine) -> None:
    def odds(text: str) -> dict[str, float]:
        a, b = text.split("Answer A: ")[1].split("\n\nAnswer B: ")
        return {"A": float(len(a)), "B": float(len(b.split("\n\n")[0]))}

    judge = Judge(Likes(engine, odds))
    first = ["4", "4 euros at the desk", "4"]
    second = ["four euros, to be paid at the desk", "4", "4"]
    found = summarize_preferences(
        [judge.prefer(QUESTION, a, b) for a, b in zip(first, second, strict=True)], first, second
    )
    assert (found.n_first, found.n_second, found.n_tied, found.n_flipped) == (1, 1, 1, 0)
    assert found.longer_chosen == 1.0 and found.length_gap == pytest.approx((7 + 4) / 2)
    flipped = summarize_preferences([Preference("tie", 0.0, True)] * 2, ["a", "b"], ["c", "d"])
    assert flipped.flip_rate == 1.0 and flipped.longer_chosen is None


def test_what_is_said_to_an_empty_case_is_taken_off(engine) -> None:
    def odds(text: str) -> dict[str, float]:  # leans to yes, and a little more where the answer is right
        return {"yes": 5.0 if "Given answer: 4 euros" in text else 3.0, "no": 0.0}

    judge = Judge(Likes(engine, odds))
    # The empty case has odds of 3; the right answer 2 more, the wrong one none.
    assert judge.right(QUESTION, "4 euros") == pytest.approx(1 / (1 + math.exp(-2.0)), abs=1e-5)
    assert judge.right(QUESTION, "9 euros") == pytest.approx(0.5, abs=1e-5)


@pytest.mark.long  # the short version is the tiny model above
def test_the_real_small_model_gives_probabilities(starter_gguf: Path, shared_cache: Path) -> None:
    with OpenVINOEngine(starter_gguf, EngineOptions(), cache_path=shared_cache) as opened:
        judge = Judge(opened)
        values = [
            judge.right(QUESTION, "4 euros"),
            judge.supported("It costs 4 euros.", "A copy costs 4 euros."),
        ]
    assert all(0 < value < 1 for value in values)


def test_e5_a_judge_that_fails_on_the_worst_rows_raises_no_score() -> None:
    questions = [Question(str(n), f"Question {n}?", ("right",)) for n in range(40)]
    answers = ["right"] * 24 + ["wrong"] * 16

    def strict(question: Question, answer: str) -> float:
        return 0.9 if answer == "right" else 0.1

    def failing(question: Question, answer: str) -> float:
        if answer == "wrong":
            raise EvaluationError("The judge said something else.")
        return strict(question, answer)

    whole, broken = judge_answers(strict, questions, answers), judge_answers(failing, questions, answers)
    assert (whole.n_attempted, whole.n_scored) == (40, 40)
    assert (broken.n_attempted, broken.n_scored) == (40, 24) and len(broken.failures) == 16
    found = compare_all({"poor": [0.0] * 40, "a": list(whole.scores), "b": list(broken.scores)})
    assert found.best is None and "b 24 of 40" in found.reason


def test_kappa_by_hand() -> None:
    # 20 both yes, 5 and 10 apart, 15 both no: agreed 0.7; chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5; (0.7 - 0.5) / 0.5.
    one = [True] * 25 + [False] * 25
    other = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert cohen_kappa(one, other) == pytest.approx(0.4)
    assert cohen_kappa([True] * 4, [True] * 4) == 1.0
    judged = {str(n): value for n, value in enumerate(one)}
    marks = {str(n): value for n, value in enumerate(other)} | {"unjudged": True}
    found = agreement(judged, marks)
    assert (found.n, found.n_agreed) == (50, 35)
    assert found.kappa.low < 0.4 < found.kappa.high
    assert "35 of 50" in found.sentence and "use it with care" in found.sentence
    by_chance = agreement({str(n): n % 2 == 0 for n in range(40)}, {str(n): n % 4 < 2 for n in range(40)})
    assert "no better than chance" in by_chance.sentence
    with pytest.raises(EvaluationError, match="share no question"):
        agreement({"a": True}, {"b": True})


def test_a_judge_of_the_same_family_is_flagged(engine) -> None:
    assert model_family("/models/SmolLM2-135M-Instruct.Q4_1.gguf") == "smollm"
    assert model_family("https://api.example.org/v1/gpt-4o-mini") == "gpt"
    own = Path(engine.facts.model_path).name  # tiny.gguf
    told = family_warning(engine.facts, {"prompt": f"elsewhere/{own}", "quote": "", "far": "qwen3-4b"})
    assert "(tiny)" in told and "prompt" in told and "far" not in told and "quote" not in told
    assert family_warning(engine.facts, {"other": "qwen3-4b", "quote": ""}) == ""


def test_calibration_by_hand() -> None:
    # Two bins: 0.2 where 1 of 4 is right (gap 0.05), 0.9 where 2 of 4 are (gap 0.4).
    found = calibration(
        [0.2] * 4 + [0.9] * 4, [True, False, False, False, True, True, False, False], n_bins=2
    )
    assert found.error == pytest.approx((0.05 + 0.4) / 2)
    assert [(one.n, one.right) for one in found.bins] == [(4, 0.25), (4, 0.5)]
    assert found.brier == pytest.approx((0.64 + 3 * 0.04 + 2 * 0.01 + 2 * 0.81) / 8)
    assert calibration([1.0, 0.0], [True, False]).error == 0.0
    assert len(calibration([0.5] * 30, [True] * 30).bins) == 1
    with pytest.raises(EvaluationError, match="from 0 to 1"):
        calibration([1.2], [True])
    with pytest.raises(EvaluationError, match="each answer"):
        calibration([], [])
