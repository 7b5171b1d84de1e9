"""Ways in which the answer comes from a library: quoted, or written from passages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from homespun.documents.split import Passage
from homespun.engines.engine import Engine
from homespun.evaluation.gold import GoldFinder, GoldPlace
from homespun.evaluation.questions import Question
from homespun.evaluation.refusals import says_no_answer
from homespun.evaluation.way_prompted import BATCH, asked, in_parts
from homespun.evaluation.ways import Answered, CitedPlace, GivenPassage
from homespun.progress import Progress
from homespun.rag.answer import AnswerOptions
from homespun.rag.answer_many import FoundAnswer, answer_many
from homespun.rag.result import UsedPassage
from homespun.retrieval.library import Library
from homespun.retrieval.search import Hit

#: What a question is answered from, best first; None: what `ask` finds.
HitsOf = Callable[[Question], list[Hit]]


@dataclass(frozen=True)
class AskedWay:
    """See `homespun.evaluation.ways.Way`."""

    name: str
    digest: str
    library: Library
    engine: Engine
    options: AnswerOptions
    hits_of: HitsOf | None = None
    adapter: str | None = None

    def answer(self, questions: Sequence[Question], progress: Progress) -> Iterator[Answered]:
        """See `Way`."""
        for start in range(0, len(questions), BATCH):
            progress(self.name, start, len(questions))
            yield from in_parts(questions[start : start + BATCH], self._found)

    def _found(self, questions: Sequence[Question]) -> list[Answered]:
        hits = None if self.hits_of is None else [self.hits_of(one) for one in questions]
        found = answer_many(
            [asked(one) for one in questions],
            self.library,
            self.engine,
            self.options,
            adapter=self.adapter,
            hits=hits,
        )
        return [_answered(one, made) for one, made in zip(questions, found, strict=True)]


def _answered(question: Question, found: FoundAnswer) -> Answered:
    answer = found.answer
    passages = tuple(_given(hit, rank) for rank, hit in enumerate(found.hits, 1))
    dropped_keys = {(used.passage.document, used.passage.start) for used in answer.dropped}
    return Answered(
        question.id,
        answer.answer,
        refused=answer.abstained or (answer.style == "write" and says_no_answer(answer.answer)),
        citations=tuple(
            CitedPlace(one.document, one.start, one.end, one.text, one.where) for one in answer.citations
        ),
        passages=tuple(one for one in passages if (one.document, one.start) not in dropped_keys)
        or tuple(_used(used, rank) for rank, used in enumerate(answer.passages, 1)),
        dropped=tuple(one for one in passages if (one.document, one.start) in dropped_keys),
        n_prompt_tokens=answer.tokens.prompt,
        n_new_tokens=answer.tokens.written,
        cost_usd=found.cost_usd,
        finish=answer.finish,
    )


def _given(hit: Hit, rank: int) -> GivenPassage:
    passage = hit.passage
    return GivenPassage(passage.document, passage.start, passage.end, rank, hit.also_in)


def _used(used: UsedPassage, rank: int) -> GivenPassage:
    passage = used.passage
    return GivenPassage(passage.document, passage.start, passage.end, rank)


def as_hit(passage: Passage) -> Hit:
    """A passage that was not searched for."""
    return Hit(passage, 1.0, 0.0, 0.0, None, None)


class WholeDocument:
    """The document that holds the best passage, whole where it fits; else the stretch around that passage."""

    def __init__(
        self, finder: GoldFinder, find: Callable[[str], list[Hit]], count: Callable[[str], int], room: int
    ) -> None:
        self._finder, self._find, self._count, self._room = finder, find, cache(count), room

    def __call__(self, question: Question) -> list[Hit]:
        hits = self._find(question.question)
        if not hits:
            return []
        best = hits[0].passage
        passages = self._finder.passages(best.document)
        text = self._finder.text(best.document) or best.text
        first = last = next((place for place, one in enumerate(passages) if one.start == best.start), 0)
        used = self._count(best.text)
        grew = True
        while grew:
            grew = False
            for place in (last + 1, first - 1):
                if not 0 <= place < len(passages):
                    continue
                more = self._count(passages[place].text) + 2  # what stands between two
                if used + more <= self._room:
                    used, grew = used + more, True
                    first, last = min(first, place), max(last, place)
        start, end = passages[first].start, passages[last].end
        return [as_hit(Passage(best.document, start, end, text[start:end], None, ()))]


def gold_passages(finder: GoldFinder) -> HitsOf:
    """The passages that hold the answer; those of a question without one: none."""

    def hits(question: Question) -> list[Hit]:
        return [as_hit(passage) for passage in finder.holding(finder.places(question))]

    return hits


def gold_sentences(finder: GoldFinder) -> HitsOf:
    """The sentences that hold the answer, as if each were a passage."""

    def hits(question: Question) -> list[Hit]:
        return [as_hit(_sentence(finder, place)) for place in finder.places(question) if place.is_found]

    return hits


def _sentence(finder: GoldFinder, place: GoldPlace) -> Passage:
    from homespun.documents.sentences import split_sentences

    assert place.start is not None and place.end is not None
    text = finder.text(place.document) or ""
    spans = [one for one in split_sentences(text) if one[0] < place.end and place.start < one[1]]
    start = min((one[0] for one in spans), default=place.start)
    end = max((one[1] for one in spans), default=place.end)
    if end - start > 2000:  # a page without a stop is no sentence
        start, end = place.start, place.end
    holding = next(iter(finder.holding([place])), None)
    headings = holding.headings if holding is not None else ()
    return Passage(place.document, start, end, text[start:end], None, headings)
