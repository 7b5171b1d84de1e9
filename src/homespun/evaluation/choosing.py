"""Each way's prompt, passages and length, chosen on questions of the train split: never on those compared."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from homespun.evaluation.asking import ask_way, draw_sample
from homespun.evaluation.comparison import CompareOptions
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.questions import Question
from homespun.evaluation.way_open import WayOpener, n_passages
from homespun.evaluation.way_options import ORACLES, WITH_LIBRARY, WayOptions
from homespun.evaluation.way_result import scored_row
from homespun.models.home import Home
from homespun.progress import Progress

_DEFAULTS = WayOptions()
#: What is tried beside what a way has, one option after the other.
_TRIED: dict[str, tuple[Any, ...]] = {
    "passages": (1, 3, 5, 10),
    "rule": ("none",),
    "max_new_tokens": (32, 128),
}


def choose_settings(
    home: Home,
    opener: WayOpener,
    ways: Sequence[tuple[str, WayOptions]],
    train: Sequence[Question],
    options: CompareOptions,
    progress: Progress,
) -> tuple[Sequence[tuple[str, WayOptions]], tuple[str, ...]]:
    """The ways with what scored best on train questions, and what was chosen, in words.

    An option that was typed stays as it was typed. One option is tried after the other; where two values
    score alike the one that is there stays.

    Args:
        train: answered questions, none of which is compared.
        options: `choose`: how many of them; 0: everything stays.

    Raises:
        EvaluationError: there are no train questions.
    """
    if not options.choose:
        return ways, ()
    if not train:
        raise EvaluationError(
            "There are no train questions to choose on.",
            remedy="Name a file of them with --train, or let the set have a split named train.",
        )
    asked = draw_sample(train, options.choose, options.seed)
    found, notes = [], []
    for name, way in ways:
        for option in _open_options(way):
            scores: dict[Any, float] = {}
            for value in dict.fromkeys((_value(way, option), *_TRIED[option])):
                progress(f"Choosing {option} of {name}", len(scores), len(_TRIED[option]) + 1)
                scores[value] = _score(home, opener, replace(way, **{option: value}), asked, options)
            best = max(scores, key=lambda value: scores[value])  # of equals the first: what is there
            way = replace(way, **{option: best})
            told = ", ".join(f"{value}: {score:.3f}" for value, score in scores.items())
            notes.append(f"{name}: {option}={best} was chosen on {len(asked)} train questions ({told}).")
        found.append((name, way))
    return found, tuple(notes)


def _open_options(way: WayOptions) -> list[str]:
    """Options that matter to a way and have their default."""
    if way.kind in ORACLES:
        return []
    able = {
        "passages": way.kind in ("quote", "retrieve", "tuned+retrieve"),
        "rule": way.kind in ("prompt", "few-shot"),
        "max_new_tokens": way.kind != "quote",
    }
    return [
        name for name, is_able in able.items() if is_able and getattr(way, name) == getattr(_DEFAULTS, name)
    ]


def _value(way: WayOptions, option: str) -> Any:
    return n_passages(way) if option == "passages" and way.kind != "tuned+retrieve" else getattr(way, option)


def _score(
    home: Home, opener: WayOpener, way: WayOptions, asked: Sequence[Question], options: CompareOptions
) -> float:
    answered = ask_way(home, opener.open(way.name, way), asked, cache=True)
    gold = opener.finder(way.library) if way.kind in WITH_LIBRARY else None
    rows = [scored_row(one, got, gold) for one, got in zip(asked, answered.answers, strict=True)]
    if options.by == "correct":
        return sum(row.correct for row in rows) / len(rows)
    return sum(row.correct if row.f1 is None else row.f1 for row in rows) / len(rows)
