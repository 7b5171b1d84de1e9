"""Test rows that were learnt: word for word, nearly, or in other words."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from homespun.progress import Progress, no_progress
from homespun.retrieval.embedder import Embedder
from homespun.tuning.data.finding import Finding, place, rows_of
from homespun.tuning.data.likeness import answered, asked, near_pairs, said
from homespun.tuning.examples import Example

#: With all-MiniLM-L6-v2 these rules found 19 of 20 paraphrases written for it, and named 3 of 205 other questions.
#: Two prompts mean the same from this cosine on, whatever their answers, ...
SAME_MEANING = 0.93
#: ... from this one where their answers share half of their words and no number is only in one, ...
LIKE_MEANING = 0.55
_ALIKE_ANSWERS = 0.5
#: ... and from this one where so many rows have that answer that it says little.
COMMON_MEANING = 0.8
_COMMON = 3


def leak_findings(
    train: Sequence[Example],
    test: Sequence[Example],
    embedder: Embedder | None = None,
    progress: Progress = no_progress,
) -> Iterator[Finding]:
    """Test rows that ask what a train row asks. A row counts once, under the strictest rule that finds it.

    Args:
        embedder: finds paraphrases; without one these are not looked for, which is told.
    """
    first: dict[str, Example] = {}
    for example in train:
        first.setdefault(asked(example), example)
    exact = {number: first[asked(one)] for number, one in enumerate(test) if asked(one) in first}
    if exact:
        yield _finding(
            "ask exactly what a row to learn asks (but for case and spaces)", test, exact, "error", "="
        )
    rest = [number for number in range(len(test)) if number not in exact]
    near: dict[int, Example] = {}
    known = {said(example): example for example in train}
    sought = {said(test[number]): number for number in rest}
    for one, other, _ in near_pairs(list(known), list(sought)):
        near[list(sought.values())[other]] = list(known.values())[one]
    if near:
        yield _finding(
            "share at least 80% of their runs of three words with a row to learn", test, near, "error", "~"
        )
    rest = [number for number in rest if number not in near and test[number].messages]
    if embedder is None:
        yield Finding(
            "leak",
            "note",
            "Paraphrases between the two sets were not looked for: this home has no embedder.",
            "Fetch the starter's with `homespun models add starter`.",
        )
    elif rest:
        found = _paraphrases(list(first.values()), test, rest, embedder, progress)
        if found:
            yield _finding(
                "seem to ask what a row to learn asks, in other words", test, found, "warning", "?"
            )


def _finding(
    what: str, test: Sequence[Example], found: dict[int, Example], severity: str, sign: str
) -> Finding:
    return Finding(
        "leak",
        "error" if severity == "error" else "warning",
        f"{rows_of(len(found))} of the test set {what} ({len(found) / len(test):.1%} of it).",
        "Remove these from the rows to learn, or do not score them."
        if severity == "error"
        else "Read them, and remove those that give their answer away.",
        tuple(f"{place(test[number])} {sign} {place(one)}" for number, one in found.items()),
    )


def _paraphrases(
    train: Sequence[Example],
    test: Sequence[Example],
    numbers: Sequence[int],
    embedder: Embedder,
    progress: Progress,
) -> dict[int, Example]:
    """For each numbered test row the train row that it seems to repeat, if there is one."""
    chats = [example for example in train if example.messages]
    if not chats:
        return {}
    learnt = embedder.embed([_question(example) for example in chats], "query", progress)
    asked_for = embedder.embed([_question(test[number]) for number in numbers], "query", progress)
    given = [answered(example) for example in chats]
    counts = Counter(given)
    found: dict[int, Example] = {}
    for number, vector in zip(numbers, asked_for, strict=True):
        cosines = learnt @ vector
        answer = answered(test[number])
        for other in (-cosines).argsort()[:20].tolist():
            if cosines[other] < LIKE_MEANING:
                break
            least = COMMON_MEANING if counts[given[other]] >= _COMMON else LIKE_MEANING
            if cosines[other] >= (least if _are_alike(answer, given[other]) else SAME_MEANING):
                found[number] = chats[other]
                break
    return found


def _question(example: Example) -> str:
    """The last thing that a person asks; a long one's end, where the question stands behind its passage."""
    turns = [message.content for message in example.messages[:-1] if message.role == "user"]
    return (turns[-1] if turns else example.prompt)[-1000:]


def _are_alike(one: str, other: str) -> bool:
    """Whether two answers share half of their words, and the numbers of one are all in the other."""
    words, others = (Counter(re.findall(r"\w+", answer)) for answer in (one, other))
    if (words & others).total() < _ALIKE_ANSWERS * (words.total() + others.total()) / 2:
        return False
    numbers, other_numbers = (set(re.findall(r"\d+(?:[.,:]\d+)*", answer)) for answer in (one, other))
    return numbers <= other_numbers or other_numbers <= numbers
