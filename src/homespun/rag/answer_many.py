"""Many questions answered as `ask` answers them, the model writing several answers at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.engines.engine import Engine
from homespun.rag.answer import AnswerOptions, Work, style_of
from homespun.rag.collection import answer_of_all
from homespun.rag.prompt import FittedPrompt
from homespun.rag.result import Answer, Style
from homespun.rag.write import answer_request, written_of
from homespun.retrieval.library import Library
from homespun.retrieval.search import Hit


@dataclass(frozen=True)
class FoundAnswer:
    """An answer, and all that was found for its question, best first, also where it was declined."""

    answer: Answer
    hits: tuple[Hit, ...] = ()
    cost_usd: float | None = None


def answer_many(
    questions: Sequence[str],
    library: Library,
    engine: Engine,
    options: AnswerOptions = AnswerOptions(),
    *,
    adapter: str | None = None,
    record_path: Path | None = None,
    hits: Sequence[Sequence[Hit]] | None = None,
) -> list[FoundAnswer]:
    """Answer questions that do not lean on each other. See `homespun.rag.answer.answer`.

    Args:
        questions: none empty; so many are written at once, so a caller with hundreds asks in parts.
        hits: what to answer each from, best first; None: what the library's search finds.

    Raises:
        QuestionTooLongError: style write, and a question alone does not fit the model's window.
        LibraryError: the library cannot be read.
    """
    style, reason = style_of(options, engine, record_path, adapter)
    found: dict[int, FoundAnswer] = {}
    waiting: list[tuple[int, Work, list[Hit], FittedPrompt]] = []
    for place, question in enumerate(questions):
        collected = answer_of_all(question, library, engine.facts.window) if hits is None else None
        if collected is not None:
            found[place] = FoundAnswer(collected)
            continue
        work = Work(question, library, engine, options, (), None, adapter)
        own = work.find() if hits is None else list(hits[place])
        made = _without_model(work, own, style, reason)
        if made is not None:
            found[place] = FoundAnswer(made, tuple(own))
        else:
            waiting.append((place, work, own, work.prompt(own)))
    requests = [
        answer_request(engine, prompt.token_ids, work.generate_options, adapter)
        for _, work, _, prompt in waiting
    ]
    generations = engine.generate(requests) if requests else []
    for (place, work, own, prompt), generation in zip(waiting, generations, strict=True):
        made = work.written(own, prompt, written_of(generation), reason)
        found[place] = FoundAnswer(made, tuple(own), generation.cost_usd)
    return [found[place] for place in range(len(questions))]


def _without_model(work: Work, hits: Sequence[Hit], style: Style, reason: str) -> Answer | None:
    """The answer where the model writes none."""
    if hits and style == "write" and not work.options.may_abstain:
        return None
    evidence = work.weigh(hits)
    if work.finds_nothing(hits, evidence):
        return work.abstain(style, reason)
    return work.quote(hits, evidence, reason) if style == "quote" else None
