"""A question set in two sides that share no document, so that nothing measured was seen before."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.questions import Question
from homespun.models.template import Message
from homespun.tuning.data.split import split_examples
from homespun.tuning.examples import Example


@dataclass(frozen=True)
class QuestionSplit:
    """Two sides, each in the set's order, their questions marked "train" and "test".

    Attributes:
        n_groups: parts that had to stay whole: questions of one document, of documents that one question
            needs together, and those that ask the same or nearly the same.
    """

    train: tuple[Question, ...]
    test: tuple[Question, ...]
    n_groups: int


def split_questions(questions: Sequence[Question], share: float, seed: int = 0) -> QuestionSplit:
    """Hold a share of the questions out for testing, by whole documents.

    Which side a document falls on depends on the seed and its questions alone.

    Args:
        share: of the questions, above 0 and below 1; at most so many are held out, but one document at least.

    Raises:
        EvaluationError: a share that is none, or one group alone, which cannot be divided.
    """
    if not 0 < share < 1:
        raise EvaluationError(f"The share held out is {share}; it must be above 0 and below 1.")
    groups = _document_groups(questions)
    examples = [
        Example(
            messages=(
                Message("user", one.question),
                Message("assistant", one.answers[0] if one.answers else "-"),
            ),
            line=place + 1,
            group=groups[place],
        )
        for place, one in enumerate(questions)
    ]
    found = split_examples(examples, share, seed)
    if not found.heldout:
        raise EvaluationError(
            f"All {len(questions)} questions hang together by documents or words, so none can be held out.",
            remedy="Add questions about other documents.",
        )
    return QuestionSplit(
        tuple(replace(questions[example.line - 1], split="train") for example in found.train),
        tuple(replace(questions[example.line - 1], split="test") for example in found.heldout),
        found.n_groups,
    )


def documents_of(question: Question) -> set[str]:
    """The documents that a question is about."""
    return {name for name in (question.document, *(source.document for source in question.sources)) if name}


def _document_groups(questions: Sequence[Question]) -> list[str]:
    """For each question the first name of all documents that it hangs together with; empty: none."""
    first: dict[str, str] = {}

    def root(name: str) -> str:
        while first.setdefault(name, name) != name:
            name = first[name]
        return name

    for question in questions:
        names = sorted(documents_of(question))
        for name in names[1:]:
            one, other = sorted((root(names[0]), root(name)))
            first[other] = one
    found = [documents_of(question) for question in questions]
    return [root(min(names)) if names else "" for names in found]


def shared_documents(splits: Sequence[Sequence[Question]]) -> dict[str, int]:
    """Documents that questions of several sides are about, with the number of sides."""
    sides: dict[str, set[int]] = defaultdict(set)
    for side, questions in enumerate(splits):
        for question in questions:
            for name in documents_of(question):
                sides[name].add(side)
    return {name: len(places) for name, places in sides.items() if len(places) > 1}
