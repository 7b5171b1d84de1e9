"""A language model writes questions for given answers; what does not lead back to its sentence is dropped."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homespun.engines.engine import Engine, GenerateOptions, Request
from homespun.engines.likelihood import log_likelihoods
from homespun.progress import Progress, no_progress
from homespun.rag.words import content_terms
from homespun.tuning.data.proposals.answers import Asked

#: Written for this. Small models follow examples, hardly instructions.
_SHOWN = (
    (
        "The workshop opens at 8:30 on Saturdays and closes at noon.",
        "8:30",
        "At what time does the workshop open on Saturdays?",
    ),
    (
        "Broken tools are handed to Ms Harper, who keeps a list of repairs.",
        "Ms Harper",
        "Who are broken tools handed to?",
    ),
    (
        "Members pay 14 euros for a bag of white clay, which lasts about a month.",
        "14 euros",
        "How much do members pay for a bag of white clay?",
    ),
    (
        "A new glaze has to dry for two days before it is fired.",
        "two days",
        "How long does a new glaze have to dry before it is fired?",
    ),
)
_MAX_TOKENS = 32
_FEWEST_WORDS, _MOST_WORDS = 4, 25
#: So large a share of a question's words has to stand in its passage: what is made up is dropped.
_LEAST_SHARED = 0.75


@dataclass(frozen=True)
class Question:
    """A question that a model wrote, and the mean log-probability of its answer, given sentence and question."""

    text: str
    answer_score: float


def write_questions(
    engine: Engine,
    asked: Sequence[Asked],
    *,
    n_candidates: int,
    seed: int,
    progress: Progress = no_progress,
) -> list[list[Question]]:
    """For each sentence the questions that lead back to its answer, the surest first.

    Of the candidates, which are written in one batch, those are kept that have a question's form, do not say
    the answer, share most of their words with the passage, and after which the model finds the answer more
    probable than any other quote of the sentence.
    """
    requests, whose = [], []
    for number, one in enumerate(asked):
        for candidate in range(n_candidates):
            starter = one.starters[candidate % len(one.starters)]
            prompt = _shown(
                lambda text, answer, question: f"Text: {text}\nAnswer: {answer}\nQuestion: {question}\n\n"
            )
            prompt += f"Text: {one.sentence}\nAnswer: {one.answer}\nQuestion: {starter}"
            options = GenerateOptions(
                max_new_tokens=_MAX_TOKENS,
                temperature=0.0 if candidate < len(one.starters) else 0.7,
                top_p=0.95,
                seed=seed + candidate,
                stop=("\n", "?"),
            )
            requests.append(Request(_ids(engine, prompt), options))
            whose.append((number, starter))
    written: list[tuple[int, str]] = []
    for (number, starter), generation in zip(whose, engine.generate(requests), strict=True):
        question = f"{starter}{generation.text.rstrip()}?"
        if generation.finish == "stop" and is_sound(question, asked[number]):
            written.append((number, question))
    return _scored(engine, asked, list(dict.fromkeys(written)), progress)


def is_sound(question: str, asked: Asked) -> bool:
    """Whether a question has a question's form, keeps its answer to itself and is about the passage."""
    if not _FEWEST_WORDS <= len(question.split()) <= _MOST_WORDS or re.search(r"[\n{}<>|]", question):
        return False
    if re.search(rf"(?<!\w){re.escape(asked.answer.casefold())}(?!\w)", question.casefold()):
        return False
    words = content_terms(question)
    near = content_terms(f"{' '.join(asked.passage.headings)} {asked.passage.text}")
    here = content_terms(asked.sentence)
    return len(words) >= 2 and bool(words & here) and len(words & near) >= _LEAST_SHARED * len(words)


def _scored(
    engine: Engine, asked: Sequence[Asked], written: Sequence[tuple[int, str]], progress: Progress
) -> list[list[Question]]:
    prompts, answers, owners = [], [], []
    for place, (number, question) in enumerate(written):
        one = asked[number]
        prompt = _shown(
            lambda text, answer, question: f"Text: {text}\nQuestion: {question}\nAnswer: {answer}\n\n"
        )
        prompt += f"Text: {one.sentence}\nQuestion: {question}\nAnswer:"
        for answer in (one.answer, *one.rivals):
            prompts.append(_ids(engine, prompt))
            answers.append(engine.tokenizer.encode(f" {answer}\n"))
            owners.append(place)
    scores: list[list[float]] = [[] for _ in written]
    for place, values in zip(
        owners,
        log_likelihoods(engine, prompts, answers, progress=progress, what="checking questions"),
        strict=True,
    ):
        scores[place].append(float(values.mean()))
    found: list[list[Question]] = [[] for _ in asked]
    for (number, question), (own, *rivals) in zip(written, scores, strict=True):
        if all(own > rival for rival in rivals):
            found[number].append(Question(question, own))
    for some in found:
        some.sort(key=lambda one: -one.answer_score)
    return found


def _shown(form: Callable[[str, str, str], str]) -> str:
    return "".join(form(*example) for example in _SHOWN)


def _ids(engine: Engine, text: str) -> tuple[int, ...]:
    return (*engine.tokenizer.begin_ids, *engine.tokenizer.encode(text))
