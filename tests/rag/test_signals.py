"""Signals of made-up answers, by hand and with the real models."""

import math

import numpy as np
import pytest

from homespun.engines.engine import GenerateOptions
from homespun.rag.answer import AnswerOptions, answer
from homespun.rag.errors import AnswerError
from homespun.rag.prompt import fit_prompt
from homespun.rag.signals import SignalOptions, same_meanings, semantic_entropy, signals_of

CUT = "How long after the injury may a cut on the face be closed?"
NO_SAMPLES = SignalOptions(n_samples=0)


def test_semantic_entropy_by_hand():
    assert semantic_entropy([3, 3, 3, 3]) == 0.0
    assert semantic_entropy([0, 1, 2, 3]) == pytest.approx(math.log(4))
    # Three of one meaning and one of another: -(3/4 ln 3/4 + 1/4 ln 1/4).
    assert semantic_entropy([0, 0, 1, 0]) == pytest.approx(0.5623, abs=1e-4)


class Angles:
    """An embedder whose vectors are given by hand."""

    def __init__(self, degrees):
        self.degrees = degrees

    def embed(self, texts, kind):
        angles = np.radians([self.degrees[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_answers_say_the_same_when_near_and_of_the_same_values():
    degrees = {"five days": 0, "it takes 5 days": 20, "4 days": 5, "never": 90, " ": 180}
    texts = [*list(degrees)[:-1], ""]  # nothing written is a meaning, too
    # cos 20° = .94; "4 days" is nearer still, but says another number.
    assert same_meanings(texts, Angles(degrees)) == [0, 0, 1, 2, 3]
    assert same_meanings([], Angles({})) == []


def test_the_embedder_parts_real_answers(embedder):
    texts = (
        "It closes at 18:00.",
        "The clinic is open until 18:00.",
        "It closes at 17:00.",
        "Cats bite deep.",
    )
    found = same_meanings(texts, embedder)
    assert found[0] != found[2] and found[3] not in found[:3]


def test_a_true_quotation_against_an_invention(library, engine):
    made = answer(CUT, library, engine, AnswerOptions(style="quote"))
    true = signals_of(made, library, engine, NO_SAMPLES)
    assert true.unsupported == 0 and true.support > 0.9 and true.invented == ()
    assert true.semantic_entropy is None and true.agreement is None and true.samples == ()
    assert 0 < true.mean_entropy <= true.max_entropy and true.mean_log_probability < 0
    text = "Dr Zorn of Zarblatt says 40 years (Zorn, 2019)."
    sentence = made.sentences[0].__class__(text, 0, len(text), None, False, "no passage says this")
    lie = signals_of(
        made.__class__(**{**made.__dict__, "answer": text, "sentences": (sentence,), "citations": ()}),
        library, engine, NO_SAMPLES,
    )  # fmt: skip
    assert [reference.text for reference in lie.invented] == ["Dr Zorn", "Zarblatt", "Zorn, 2019"]
    for name in ("low probability", "weak support", "unsupported sentences", "invented references"):
        assert lie.doubts()[name] > true.doubts()[name], name


def test_token_values_are_the_engines(library, engine):
    made = answer(CUT, library, engine, AnswerOptions(style="quote"))
    found = signals_of(made, library, engine, NO_SAMPLES)
    passages = [used.passage for used in made.passages]
    prompt = fit_prompt(engine, CUT, passages, max_new_tokens=64).token_ids
    ids = engine.tokenizer.encode(made.answer)
    rows = engine.distributions((*prompt, *ids[:-1]), last=len(ids)).astype(np.float64)
    assert found.mean_log_probability == pytest.approx(rows[np.arange(len(ids)), ids].mean(), abs=1e-3)
    assert found.mean_entropy == pytest.approx(-(np.exp(rows) * rows).sum(axis=1).mean(), abs=1e-3)


def test_drawn_answers_are_compared(library, engine):
    made = answer(CUT, library, engine, AnswerOptions(style="write", max_new_tokens=12))
    options = SignalOptions(n_samples=3, sample_tokens=8)
    found = signals_of(made, library, engine, options)
    assert len(found.samples) == 3 and 0 <= found.agreement <= 1
    assert 0 <= found.semantic_entropy <= math.log(3) + 1e-9
    assert signals_of(made, library, engine, options) == found  # seeded
    assert GenerateOptions().temperature == 0  # the answer's own way of writing is left alone


@pytest.mark.parametrize("style", ["quote", "write"])
def test_the_weather_in_a_made_up_city_is_not_found(library, engine, style):
    asked = "What is the weather in Zarblattville today?"
    made = answer(asked, library, engine, AnswerOptions(style=style, max_new_tokens=16))
    assert made.abstained and made.citations == () and "Nothing that answers this was found" in made.answer
    found = signals_of(made, library, engine, NO_SAMPLES)
    assert [reference.text for reference in found.unknown_in_question] == ["Zarblattville"]
    assert found.mean_entropy is None and found.invented == ()


@pytest.mark.parametrize("wrong", [{"n_samples": -1}, {"sample_tokens": 0}, {"sample_temperature": 0.0}])
def test_options_that_measure_nothing(wrong):
    with pytest.raises(AnswerError):
        SignalOptions(**wrong)
