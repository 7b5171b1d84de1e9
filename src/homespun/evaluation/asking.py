"""All questions put to one way: what was answered before is taken, what is new is kept at once."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from homespun.errors import HomespunError
from homespun.evaluation.answer_store import AnswerStore
from homespun.evaluation.peak import peak_bytes, reset_peak
from homespun.evaluation.questions import Question
from homespun.evaluation.way_open import OpenedWay
from homespun.evaluation.way_prompted import BATCH
from homespun.evaluation.ways import Answered, same_answer
from homespun.models.home import Home
from homespun.progress import no_progress


@dataclass(frozen=True)
class AskedWayResult:
    """What a way answered.

    Attributes:
        answers: one a question, in the questions' order; those that were not reached say so.
        n_cached: kept from before. n_compared, n_changed: see `WayResult`.
        crashed: why it ended early; None: it did not.
    """

    answers: tuple[Answered, ...]
    n_cached: int = 0
    crashed: str | None = None
    peak_bytes: int | None = None
    n_compared: int = 0
    n_changed: int = 0


def draw_sample(questions: Sequence[Question], n: int, seed: int) -> list[Question]:
    """`n` questions, answerable and unanswerable ones in the set's proportion; all where `n` is 0 or more.

    A question's turn depends on the seed and its id alone, so a larger sample holds the smaller one.
    """
    if not n or n >= len(questions):
        return list(questions)

    def turn(question: Question) -> str:
        return sha256(f"{seed}\n{question.id}".encode("utf-8", "surrogatepass")).hexdigest()

    placed: list[tuple[float, str, Question]] = []
    for kind in (False, True):
        group = sorted((one for one in questions if one.unanswerable is kind), key=turn)
        placed += [((place + 0.5) / len(group), turn(one), one) for place, one in enumerate(group)]
    return [question for _, _, question in sorted(placed, key=lambda one: one[:2])[:n]]


def shuffled(questions: Sequence[Question], seed: int) -> list[Question]:
    """In another order."""
    order = list(questions)
    random.Random(seed).shuffle(order)
    return order


def ask_way(
    home: Home,
    opened: OpenedWay,
    questions: Sequence[Question],
    *,
    cache: bool = True,
    on_answer: Callable[[str, Answered, bool], None] | None = None,
) -> AskedWayResult:
    """Put questions to a way, sixteen at once.

    In exact mode an answer does not depend on which others were asked with it, so only what is missing is
    asked. In fast mode it may, in its last bits; there a group of sixteen of which some are missing is asked
    whole, so that a run that was killed and goes on gives what it would have given.

    Args:
        home: whose cache keeps the answers.
        opened: the way.
        questions: in the order of asking.
        cache: take answers from before, and keep new ones. Without it those from before are compared with.
        on_answer: told the way's name, each answer, and whether it was kept from before.
    """
    store = AnswerStore(home, opened.way.digest)
    kept = store.read()
    tell = on_answer or _nobody
    answers: list[Answered] = []
    n_cached = n_compared = n_changed = 0
    crashed: str | None = None
    reset = False
    for start in range(0, len(questions), BATCH):
        group = questions[start : start + BATCH]
        keys = [opened.key_of(one) for one in group]
        before = [kept.get(key) for key in keys]
        missing = [place for place, one in enumerate(before) if one is None or not cache]
        made: dict[int, Answered] = {}
        if missing and crashed is None:
            reset = reset or reset_peak()
            places = missing if opened.is_alone_alike else list(range(len(group)))
            try:
                asked = [group[place] for place in places]
                made = dict(zip(places, opened.way.answer(asked, no_progress), strict=True))
            except Exception as error:  # a way that breaks does not take the others with it
                crashed = _sentence(error)
            if cache:
                store.add({keys[place]: made[place] for place in missing if place in made})
        for place, question in enumerate(group):
            old = before[place]
            is_kept = old is not None and cache
            if is_kept and old is not None:
                one = replace(old, question_id=question.id)
                n_cached += 1
            elif place in made:
                one = made[place]
                if old is not None:
                    n_compared += 1
                    n_changed += not same_answer(one, old)
            else:
                one = Answered(question.id, "", error=f"It was not answered, for the way broke: {crashed}")
            answers.append(one)
            tell(opened.way.name, one, is_kept)
    peak = peak_bytes() if reset else None
    return AskedWayResult(tuple(answers), n_cached, crashed, peak, n_compared, n_changed)


def _sentence(error: Exception) -> str:
    if isinstance(error, HomespunError):
        return error.sentence()
    return " ".join(f"{type(error).__name__}: {error}".split())


def _nobody(way: str, answered: Answered, is_kept: bool) -> None:
    """Nobody is told."""
