"""Ways in which the model answers from what it knows: alone, after examples, or tuned."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from homespun.engines.engine import Engine, GenerateOptions, Generation
from homespun.errors import HomespunError
from homespun.evaluation.questions import Question
from homespun.evaluation.refusals import says_no_answer
from homespun.evaluation.ways import Answered
from homespun.models.template import Message
from homespun.progress import Progress
from homespun.rag.write import answer_request, written_of

#: Questions that are answered at once.
BATCH = 16
#: What the model alone is told first, by the names of `WayOptions.rule`.
RULES = {
    "short": "Answer the question in one or two short sentences. If you do not know the answer, say so.",
    "none": "",
}


@dataclass(frozen=True)
class PromptedWay:
    """See `homespun.evaluation.ways.Way`.

    Attributes:
        messages_of: what the model reads for a question.
        adapter: a loaded adapter's name; None: the model itself.
    """

    name: str
    digest: str
    engine: Engine
    messages_of: Callable[[Question], Sequence[Message]]
    max_new_tokens: int
    adapter: str | None = None

    def answer(self, questions: Sequence[Question], progress: Progress) -> Iterator[Answered]:
        """See `Way`."""
        for start in range(0, len(questions), BATCH):
            progress(self.name, start, len(questions))
            yield from in_parts(questions[start : start + BATCH], self._written)

    def _written(self, questions: Sequence[Question]) -> list[Answered]:
        options = GenerateOptions(self.max_new_tokens)
        requests = [
            answer_request(
                self.engine, tuple(self.engine.template.encode(self.messages_of(one))), options, self.adapter
            )
            for one in questions
        ]
        generations = self.engine.generate(requests)
        return [_answered(one, made) for one, made in zip(questions, generations, strict=True)]


def shot_messages(rule: str, shots: Sequence[Question], question: Question) -> list[Message]:
    """A question behind others with their first answers."""
    turns = [Message("system", rule)] if rule else []
    for shot in shots:
        if shot.question == question.question:
            continue
        told = shot.answers[0] if shot.answers else "I do not know."
        turns += [Message("user", asked(shot)), Message("assistant", told)]
    return [*turns, Message("user", asked(question))]


def asked(question: Question) -> str:
    """A question's words, with its choices where it has some."""
    if not question.choices:
        return question.question
    listed = "\n".join(f"{chr(ord('A') + place)}. {choice}" for place, choice in enumerate(question.choices))
    return f"{question.question}\n{listed}"


def in_parts(
    questions: Sequence[Question], answer: Callable[[Sequence[Question]], list[Answered]]
) -> list[Answered]:
    """Answers of questions asked at once; where that fails, each alone, so that one does not take the others.

    Each gets its share of the seconds.
    """
    started = time.perf_counter()
    try:
        answered = answer(questions)
    except HomespunError as error:
        if len(questions) > 1:
            return [one for question in questions for one in in_parts([question], answer)]
        answered = [Answered(questions[0].id, "", error=error.sentence())]
    seconds = (time.perf_counter() - started) / len(questions)
    return [Answered(**{**one.__dict__, "seconds": seconds}) for one in answered]


def _answered(question: Question, generation: Generation) -> Answered:
    text = written_of(generation).text.strip()
    return Answered(
        question.id,
        text,
        refused=not text or says_no_answer(text),
        n_prompt_tokens=generation.n_prompt_tokens,
        n_new_tokens=len(generation.token_ids),
        cost_usd=generation.cost_usd,
        finish=generation.finish,
    )
