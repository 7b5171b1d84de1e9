"""How right an answer is: its words, values and choice, its citations, what was found for it, and whether a
refusal is right."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homespun.documents.split import Passage
from homespun.evaluation.choices import chosen, letter_of
from homespun.evaluation.gold import GoldPlace
from homespun.evaluation.metrics import exact_match, normalize_answer, token_f1
from homespun.evaluation.questions import Question
from homespun.evaluation.refusals import says_no_answer
from homespun.evaluation.ways import Answered, CitedPlace, GivenPassage
from homespun.rag.embeds import Embeds
from homespun.rag.quantities import Quantity, find_quantities
from homespun.rag.support import SupportChecker
from homespun.rag.words import content_terms, find_words

#: What counts as correct, to be shown beside the figures.
CORRECT_RULE = (
    "a multiple-choice answer is right if it names the right choice and no other",
    'an answer is right if it equals an accepted one, or holds its words without a "not" before them',
    "numbers, times, dates and units of an accepted answer must all be there: 30 minutes is half an hour, and "
    "€6 is not $6",
    "an accepted answer of more than 8 words also counts where token F1 is 0.6 or more and no value is another",
    "yes and no must be the first word",
    "a question that the documents do not answer is right if that is said, and any other question is then wrong",
)
#: Accepted answers of more words than this may be said in other words ...
_LONG_WORDS = 8
#: ... with so much token F1.
_LEAST_F1 = 0.6
_DENIALS = frozenset(("not", "no", "never", "except", "without", "neither", "nor", "cannot"))
_ONE_WORD = frozenset(("yes", "no"))
#: Share of an answer's words that its citations must have where no embedder compares meanings.
_LEAST_CITED = 0.6


@dataclass(frozen=True)
class Scored:
    """One answer's scores.

    Attributes:
        exact, f1: 0 to 1; None where the question has no answer.
        refusal_right: of an unanswerable question, whether it was refused; False where an answerable one was;
            None: it was answerable and answered.
        citation_right: every cited text is there, and together they say what the answer says; None: it cites
            nothing.
        hit_rank: of the first found passage that holds the answer, from 1; None: none does, or no place is known.
        attempted: it was answered without a failure. A failure scores 0 and counts.
        correct: 1 or 0, after `CORRECT_RULE`.
    """

    question_id: str
    exact: float | None
    f1: float | None
    refusal_right: bool | None
    citation_right: bool | None
    hit_rank: int | None
    attempted: bool
    correct: float


def score(
    question: Question,
    answered: Answered,
    *,
    places: Sequence[GoldPlace] = (),
    text_of: Callable[[str], str | None] | None = None,
    embedder: Embeds | None = None,
) -> Scored:
    """Score one answer.

    Args:
        places: where the answer stands in the library (`gold.GoldFinder.places`); without them only sources
            with offsets, or of whole documents, can be found again among the passages.
        text_of: a document's stored text by its name, None where there is none: cited texts are looked up.
        embedder: compares the meaning of the answer and of what it cites; without one, words and values are.
    """
    refused = answered.error is None and (answered.refused or says_no_answer(answered.text))
    failed = answered.error is not None
    exact: float | None = None
    f1: float | None = None
    if not question.unanswerable:
        text = "" if refused or failed else answered.text
        exact, f1 = exact_match(text, question.answers), token_f1(text, question.answers)
    refusal_right = refused if question.unanswerable else (False if refused else None)
    if failed:
        right, refusal_right = False, False if question.unanswerable else None
    else:
        right = refused if question.unanswerable else not refused and is_right(question, answered.text)
    return Scored(
        question.id,
        exact,
        f1,
        refusal_right,
        None if failed or refused else citation_right(answered, text_of, embedder),
        hit_rank(question, [*answered.passages, *answered.dropped], places),
        not failed,
        float(right),
    )


def is_right(question: Question, text: str) -> bool:
    """`CORRECT_RULE` for a text that is no refusal."""
    if question.choices:
        return _is_right_choice(question, text)
    return any(_says(text, accepted) for accepted in question.answers)


def _is_right_choice(question: Question, text: str) -> bool:
    place = chosen(text, question.choices)
    if place is None:
        return False
    right = {normalize_answer(answer) for answer in question.answers}
    letters = {
        letter_of(answer, len(question.choices)) for answer in question.answers if len(answer.strip()) <= 3
    }
    return normalize_answer(question.choices[place]) in right or place in letters


def _says(text: str, accepted: str) -> bool:
    wanted = normalize_answer(accepted)
    if not wanted:
        return not normalize_answer(text)
    if wanted in _ONE_WORD:
        return normalize_answer(text).split(" ", 1)[0] == wanted
    values, there = find_quantities(accepted), find_quantities(text)
    is_long = len(wanted.split()) > _LONG_WORDS
    if is_long and not _changed(values, there) and token_f1(text, [accepted]) >= _LEAST_F1:
        return True
    if not _all_there(values, there):
        return False
    if _holds_words(normalize_answer(" ".join(text.split())), wanted):
        return True
    # Nothing but values, and they are there.
    return bool(values) and not content_terms(accepted) - _terms_of(values)


def _all_there(values: Sequence[Quantity], there: Sequence[Quantity]) -> bool:
    return all(any(value.equals(other) for other in there) for value in values)


def _changed(values: Sequence[Quantity], there: Sequence[Quantity]) -> bool:
    """Whether the text has a value that the accepted answer has otherwise, of the same kind."""
    kinds = {value.kind for value in values}
    return any(other.kind in kinds and not any(value.equals(other) for value in values) for other in there)


def _terms_of(values: Sequence[Quantity]) -> set[str]:
    return {word.term for value in values for word in find_words(value.text)}


def _holds_words(text: str, wanted: str) -> bool:
    """Whether the words stand there in order, somewhere without a denial just before them."""
    for match in re.finditer(rf"(?<!\S){re.escape(wanted)}(?!\S)", text):
        before = text[: match.start()].split()
        if not before or before[-1] not in _DENIALS or wanted.split()[0] in _DENIALS:
            return True
    return False


def hit_rank(
    question: Question, passages: Sequence[GivenPassage], places: Sequence[GoldPlace] = ()
) -> int | None:
    """The rank of the first passage that holds a place of the answer; None: none does."""
    ranks = [passage.rank for passage in passages if _holds_a_place(question, passage, places)]
    return min(ranks, default=None)


def _holds_a_place(question: Question, passage: GivenPassage, places: Sequence[GoldPlace]) -> bool:
    documents = (passage.document, *passage.also_in)
    for place in places:
        if place.document in documents and place.start is not None and place.end is not None:
            if place.document != passage.document:
                return True  # the same text in another document
            if _shared(passage, place.start, place.end):
                return True
    if places:
        return False
    for source in question.sources:
        if not any(same_document(name, source.document) for name in documents):
            continue
        if source.start is not None and source.end is not None:
            if _shared(passage, source.start, source.end):
                return True
        elif not source.text:
            return True
    return False


def _shared(passage: GivenPassage, start: int, end: int) -> bool:
    """Whether a passage has half of a stretch, or is half made of it."""
    shared = min(passage.end, end) - max(passage.start, start)
    return shared > 0 and 2 * shared >= min(end - start, passage.end - passage.start)


def same_document(one: str, other: str) -> bool:
    """Whether two names are of one document; a library may name it with fewer or more folders above it."""
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


def citation_right(
    answered: Answered,
    text_of: Callable[[str], str | None] | None = None,
    embedder: Embeds | None = None,
) -> bool | None:
    """Whether what is cited is there and says what the answer says; None: nothing is cited."""
    if not answered.citations:
        return None
    if text_of is not None:
        for cited in answered.citations:
            stored = text_of(cited.document)
            if stored is None or stored[cited.start : cited.end] != cited.text:
                return False
    if embedder is not None:
        return _is_supported(answered, text_of, embedder)
    cited_text = "\n".join(cited.text for cited in answered.citations)
    if not _all_there(find_quantities(answered.text), find_quantities(cited_text)):
        return False
    terms = content_terms(answered.text)
    return len(terms & content_terms(cited_text)) >= _LEAST_CITED * len(terms)


def _is_supported(answered: Answered, text_of: Callable[[str], str | None] | None, embedder: Embeds) -> bool:
    from homespun.documents.sentences import split_sentences

    passages = [_as_passage(cited) for cited in answered.citations]
    texts = {cited.document: "" for cited in answered.citations}

    def whole(name: str) -> str:
        return (text_of(name) if text_of is not None else None) or texts[name]

    checker = SupportChecker(passages, whole, embedder)
    sentences = [answered.text[start:end] for start, end in split_sentences(answered.text)]
    return all(checker.check(sentence).is_supported for sentence in sentences if content_terms(sentence))


def _as_passage(cited: CitedPlace) -> Passage:
    return Passage(cited.document, cited.start, cited.end, cited.text, None, ())
