"""Comparisons kept in the home, and what broke since the last one."""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from homespun.evaluation.comparison import Comparison
from homespun.evaluation.comparison_json import from_json, to_json
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.statistics import Difference, paired_difference
from homespun.evaluation.verdict import values_of
from homespun.models.home import Home
from homespun.models.storage import disk_error, write_atomically

FOLDER = "comparisons"
LAST = "last"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def comparison_path(home: Home, name: str) -> Path:
    """Where a comparison of that name is kept.

    Raises:
        EvaluationError: no possible name.
    """
    if not _NAME.fullmatch(name) or name == LAST:
        raise EvaluationError(
            f"{name!r} is no name for a comparison: it may have up to 100 letters, digits, dots, hyphens and "
            f"underscores, and is not {LAST!r}."
        )
    return home.root / FOLDER / f"{name}.json"


def keep_comparison(home: Home, comparison: Comparison) -> Path:
    """Keep a comparison under its name, whole or not at all; one of the same name is replaced.

    Raises:
        EvaluationError: no possible name.
        HomeError: the disk refuses.
    """
    path = comparison_path(home, comparison.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error
    write_atomically(path, json.dumps(to_json(comparison), ensure_ascii=False) + "\n")
    return path


def read_comparison(path: Path) -> Comparison:
    """A kept comparison.

    Raises:
        EvaluationError: it cannot be read.
    """
    try:
        return from_json(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise EvaluationError(
            f"This comparison cannot be read ({error}).", where=str(path), remedy="Compare again."
        ) from error


def find_comparison(home: Home, name: str, set_digest: str, ways: Collection[str] = ()) -> Comparison:
    """A kept comparison by its name, or `last`: the newest one of these questions.

    Args:
        ways: names of which it must have compared at least one; empty: any will do.

    Raises:
        EvaluationError: there is none, or it cannot be read.
    """
    if name != LAST:
        path = comparison_path(home, name)
        if not path.is_file():
            known = ", ".join(sorted(one.stem for one in path.parent.glob("*.json"))) or "none"
            raise EvaluationError(f"There is no comparison {name!r}; kept are: {known}.")
        return read_comparison(path)
    kept = []
    for path in (home.root / FOLDER).glob("*.json"):
        try:
            one = read_comparison(path)
        except EvaluationError:
            continue
        if one.set_digest == set_digest and (not ways or any(way.name in ways for way in one.ways)):
            kept.append(one)
    if not kept:
        raise EvaluationError(
            f"No comparison of these questions{' in these ways' if ways else ''} is kept yet.",
            remedy="Run `homespun compare` once without --against; it keeps what it finds.",
        )
    return max(kept, key=lambda one: (one.made, one.name))


@dataclass(frozen=True)
class WayChange:
    """What became of a way since an earlier comparison.

    Attributes:
        n: questions that both asked.
        broken, mended: ids of questions that were right before and are wrong now, and the reverse.
        difference: now less before.
        is_broken: the score fell and that is no chance, or answers fail now that did not.
    """

    way: str
    n: int
    broken: tuple[str, ...]
    mended: tuple[str, ...]
    difference: Difference | None
    n_failed_before: int
    n_failed_now: int
    is_broken: bool
    is_same: bool


def changes_since(before: Comparison, now: Comparison, *, seed: int = 0) -> tuple[WayChange, ...]:
    """Each way that both compared, by its name, over the questions that both asked.

    A way that did not change at all has the same digest; then nothing can have broken.
    """
    found = []
    for way in now.ways:
        old = next((one for one in before.ways if one.name == way.name), None)
        if old is None:
            continue
        old_rows = {row.answered.question_id: place for place, row in enumerate(old.rows)}
        places = [
            (old_rows[row.answered.question_id], place)
            for place, row in enumerate(way.rows)
            if row.answered.question_id in old_rows
        ]
        if not places:
            continue
        first, second = values_of(old, now.options.by), values_of(way, now.options.by)
        was, now_is = [first[place] for place, _ in places], [second[place] for _, place in places]
        failed_before = sum(old.rows[place].answered.error is not None for place, _ in places)
        failed_now = sum(way.rows[place].answered.error is not None for _, place in places)
        documents = [now.questions[place].document or f"\0{place}" for _, place in places]
        clusters = documents if len(set(documents)) < len(documents) else None
        difference = paired_difference(now_is, was, clusters, seed)
        ids = [way.rows[place].answered.question_id for _, place in places]
        pairs = list(zip(ids, was, now_is, strict=True))
        found.append(
            WayChange(
                way.name,
                len(places),
                tuple(name for name, old_score, score in pairs if old_score >= 0.5 > score),
                tuple(name for name, old_score, score in pairs if score >= 0.5 > old_score),
                difference,
                failed_before,
                failed_now,
                is_broken=failed_now > failed_before or (difference.mean < 0 and difference.p < 0.05),
                is_same=bool(way.digest) and way.digest == old.digest,
            )
        )
    return tuple(found)
