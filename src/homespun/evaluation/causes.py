"""Why each wrong answer is wrong, from the library and the answer itself, and what to try next."""

from collections.abc import Sequence
from functools import cache

from homespun.documents.split import Passage
from homespun.evaluation.comparison import Cause, CauseCount, WayResult, WayRow
from homespun.evaluation.gold import GoldFinder, GoldPlace, find_words
from homespun.evaluation.likeness import AnswerLikeness, normal_words, other_values
from homespun.evaluation.metrics import normalize_answer
from homespun.evaluation.questions import Question
from homespun.evaluation.way_options import ORACLES, WayOptions
from homespun.evaluation.ways import Answered, GivenPassage
from homespun.retrieval.search import SearchOptions, search

#: A score below this is a wrong answer.
RIGHT = 0.5
#: How far down a place is looked for that was not retrieved.
DEPTH = 100

#: Each cause, and what to try next.
CAUSES: dict[str, str] = {
    "failed": "read its reason in the report; a question that is too long needs a larger window",
    "not in the library": "ingest the document that holds it, or mark the question as unanswerable",
    "not read": "look at `homespun libraries show LIBRARY`; --ocr reads pictures, another copy may be whole",
    "not retrieved": "more passages (@passages=10), a reranker (@rerank=auto), or another embedder",
    "cut": "fewer or shorter passages, a shorter answer, or a model with a larger window",
    "answer cut": "let it write more: @max_new_tokens=160",
    "ignored": "a larger model, tuning on passages (homespun tune --library), or fewer passages",
    "contradicted": "tuning on passages (homespun tune --library), or quote, which changes nothing",
    "judged wrongly": "add the answer's words to the accepted answers, if it is right",
    "ambiguous": "say in the question which is meant, or accept both answers",
    "made up": "let it decline (@abstain=yes), or tune with unanswerable questions",
    "not known": "a way that reads the documents: quote, retrieve, tuned+retrieve",
}


class CauseFinder:
    """Finds causes of one library's answers; None: ways that read none."""

    def __init__(self, finder: GoldFinder | None, questions: Sequence[Question]) -> None:
        self._finder = finder
        self._likeness = AnswerLikeness(finder.library.embedder if finder is not None else None)
        self._same_words: dict[str, list[Question]] = {}
        for question in questions:
            self._same_words.setdefault(normal_words(question.question), []).append(question)
        self._found = cache(self._search)

    def cause(self, question: Question, row: WayRow, way: WayOptions) -> Cause | None:
        """Why an answer is wrong; None: it is right.

        Looks first for what stands before all else (the answer is not there, was not read, was not found),
        for what comes later cannot be blamed then.
        """
        answered = row.answered
        if answered.error is not None:
            return Cause("failed", answered.error)
        if row.correct >= RIGHT:
            return None
        twin = self._twin(question)
        if twin is not None:
            return Cause(
                "ambiguous",
                f"The set asks the same with another answer: {', '.join(twin.answers) or 'none'}.",
            )
        if question.unanswerable:
            return Cause("made up", "It answers a question that the documents do not answer.")
        if not answered.refused and self._likeness.says_the_same(answered.text, question.answers):
            return Cause("judged wrongly", "It seems to say an accepted answer in other words.")
        if self._finder is None:
            return self._of_no_library(answered)
        places = self._finder.places(question) or self._by_words(question)
        if not places:
            return Cause(
                "not in the library",
                "No passage that fits the question holds an accepted answer (no source is named).",
            )
        for place in places:
            early = self._before_reading(question, place, answered, way)
            if early is not None:
                return early
        return self._given(question, places, answered, way)

    def _of_no_library(self, answered: Answered) -> Cause:
        what = "It says that it does not know." if answered.refused else "It answers from what it knows."
        return Cause("not known", what)

    def _before_reading(
        self, question: Question, place: GoldPlace, answered: Answered, way: WayOptions
    ) -> Cause | None:
        """What went wrong before anything was read; None: the place was given."""
        assert self._finder is not None
        if not place.document:
            return Cause("not in the library", place.problem)
        if not place.is_found:
            document = self._finder.document(place.document)
            is_read = document is not None and document.status == "read"
            return Cause(
                "not in the library" if is_read else "not read", f"{place.document}: {place.problem}"
            )
        if self._holds(answered.passages, place):
            return None
        if self._holds(answered.dropped, place):
            return Cause("cut", f"{place.document} was found, and had no room in the prompt.")
        if way.kind in ORACLES:
            return Cause("cut", f"{place.document} was given, and had no room in the prompt.")
        rank = self._rank(question, place)
        told = (
            f"it stands {rank}. in a plain search"
            if rank
            else f"not among the first {DEPTH} of a plain search"
        )
        return Cause("not retrieved", f"{place.document}: {told}; {len(answered.passages)} were given.", rank)

    def _given(
        self, question: Question, places: Sequence[GoldPlace], answered: Answered, way: WayOptions
    ) -> Cause:
        """The answer was before it."""
        if answered.refused:
            return Cause("ignored", "The answer was found, and it declined.")
        conflict = self._conflict(places, answered)
        if conflict is not None:
            return conflict
        if way.kind == "quote":
            return self._of_quote(places, answered)
        changed = other_values(answered.text, question.answers, question.question)
        if changed:
            return Cause("contradicted", f"It says {changed}, and the passage that it had says otherwise.")
        if answered.finish == "length":
            return Cause("answer cut", "Its text ended at the token limit.")
        return Cause("ignored", "The passage that holds the answer was given, and not used.")

    def _of_quote(self, places: Sequence[GoldPlace], answered: Answered) -> Cause:
        """A quote says what its document says; so it is the wrong sentence, or not all of it, or right."""
        cited = [(one.document, one.start, one.end) for one in answered.citations]
        if all(any(_covers(one, place) for one in cited) for place in places):
            return Cause("judged wrongly", "It quotes the whole place that holds the answer.")
        if any(place.meets(*one) for one in cited for place in places):
            return Cause("ignored", "It quotes only a part of what the answer needs.")
        return Cause("ignored", "Another sentence of the passages was chosen.")

    def _conflict(self, places: Sequence[GoldPlace], answered: Answered) -> Cause | None:
        """Whether it cites another place that says nearly the same with other values."""
        for cited in answered.citations:
            if any(place.meets(cited.document, cited.start, cited.end) for place in places):
                continue
            for place in places:
                if self._likeness.differ_in_values(cited.text, self._around(place)):
                    where = cited.where or cited.document
                    return Cause("ambiguous", f"{where} says it otherwise than {place.document} does.")
        return None

    def _around(self, place: GoldPlace) -> str:
        """The sentences that a place touches."""
        from homespun.documents.sentences import split_sentences

        assert self._finder is not None and place.start is not None and place.end is not None
        text = self._finder.text(place.document) or ""
        spans = [one for one in split_sentences(text) if one[0] < place.end and place.start < one[1]]
        return text[spans[0][0] : spans[-1][1]] if spans else place.text

    def _holds(self, passages: Sequence[GivenPassage], place: GoldPlace) -> bool:
        return any(
            place.meets(one.document, one.start, one.end) or self._says(one, place) for one in passages
        )

    def _says(self, passage: GivenPassage, place: GoldPlace) -> bool:
        """Whether a passage of another document has the place's very words (a copy of it)."""
        assert self._finder is not None
        if len(place.text) < 20 or passage.document == place.document:
            return False
        text = self._finder.text(passage.document)
        return text is not None and find_words(text[passage.start : passage.end], place.text) is not None

    def _rank(self, question: Question, place: GoldPlace) -> int | None:
        for rank, passage in enumerate(self._found(question.question), 1):
            if place.meets(passage.document, passage.start, passage.end):
                return rank
        return None

    def _by_words(self, question: Question) -> tuple[GoldPlace, ...]:
        """Of a question without a source: the first passage found that has an accepted answer's words."""
        wanted = [f" {normalize_answer(answer)} " for answer in question.answers if normalize_answer(answer)]
        for passage in self._found(question.question):
            text = f" {' '.join(normalize_answer(line) for line in passage.text.splitlines())} "
            if any(answer in text for answer in wanted):
                return (GoldPlace(passage.document, passage.text, passage.start, passage.end),)
        return ()

    def _search(self, question: str) -> list[Passage]:
        assert self._finder is not None
        hits = search(self._finder.library, question, SearchOptions(n_hits=DEPTH))
        return [hit.passage for hit in hits]

    def _twin(self, question: Question) -> Question | None:
        """A question of the same words with other answers."""
        own = {normalize_answer(answer) for answer in question.answers}
        for other in self._same_words.get(normal_words(question.question), ()):
            theirs = {normalize_answer(answer) for answer in other.answers}
            if other.id != question.id and (own or theirs) and not own & theirs:
                return other
        return None


def _covers(cited: tuple[str, int, int], place: GoldPlace) -> bool:
    document, start, end = cited
    is_inside = (
        place.start is not None and place.end is not None and start <= place.start and place.end <= end
    )
    return document == place.document and is_inside


def count_causes(ways: Sequence[WayResult]) -> tuple[CauseCount, ...]:
    """How often each cause stands behind a wrong answer, the most frequent first within a way.

    What an oracle brings is measured on the very questions of a cause: with the right passage given where
    the passage was missing, else with the right sentence.
    """
    oracles = {way.options.kind: way for way in ways if way.options.kind in ORACLES}
    found = []
    for way in ways:
        by_cause: dict[str, list[int]] = {}
        for place, row in enumerate(way.rows):
            if row.cause is not None:
                by_cause.setdefault(row.cause.name, []).append(place)
        for name, places in sorted(by_cause.items(), key=lambda item: (-len(item[1]), item[0])):
            scale = 100 / len(way.rows)
            lost = sum(1 - way.rows[place].correct for place in places) * scale
            oracle = oracles.get("gold-sentence" if name in ("ignored", "contradicted") else "gold-passage")
            gained = None
            if oracle is not None and way.options.kind not in ORACLES and name not in _NO_ORACLE:
                gained = sum(oracle.rows[place].correct - way.rows[place].correct for place in places) * scale
            found.append(CauseCount(way.name, name, len(places), lost, gained, CAUSES[name]))
    return tuple(found)


#: Giving the right passage says nothing of these.
_NO_ORACLE = frozenset(("not in the library", "not read", "judged wrongly", "ambiguous", "made up"))
