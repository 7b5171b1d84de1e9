"""Whether the intervals and p values that Homespun prints hold, on simulated question sets.

    python bench/intervals.py [--repetitions 2000] [--short] [--json]

Coverage: 95% intervals of the difference between two ways, of which the truth is known. "right or wrong" scores
are 0 or 1, "continuous" ones anything between (most questions change), "few change" ones leave 70% to 92% of the
questions as they were, "clusters" come several questions a document. Beside what is used stand the usual ones.
False differences: six ways that are equally good; how often any two are called different (after Holm), and
how often one is called the best.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np

from homespun.engines.processor import processor_name
from homespun.evaluation.paired_intervals import (
    Numbers,
    flip_p_values,
    percentile_t_intervals,
    score_intervals,
    standard_errors,
    t_quantile,
)
from homespun.evaluation.several import ALPHA
from homespun.evaluation.statistics import holm
from homespun.tuning.paired import mcnemar_p

SIZES = (20, 30, 50, 100, 200, 500)
LEAST, MOST_CONTINUOUS, MOST_FALSE = 0.93, 0.97, 0.05
N_WAYS = 6
#: Draws of a simulated bootstrap; what people see uses more.
N_RESAMPLES = 1000
N_FLIPS = 1500
#: Repetitions that give the truth where no formula does.
_N_TRUTH = 1_500_000

Random = np.random.Generator
#: Scores' differences of (repetitions, questions).
Draw = Callable[[Random, int, int], Numbers]


@dataclass(frozen=True)
class Case:
    """A kind of question set; `truth` None: found by drawing very many."""

    kind: str
    name: str
    draw: Draw
    truth: float | None = None
    per_cluster: int = 1


def _binary(changed: float, difference: float) -> Draw:
    def draw(random: Random, n_sets: int, n: int) -> Numbers:
        u = random.random((n_sets, n))
        gained, lost = (changed + difference) / 2, (changed - difference) / 2
        return np.where(u < gained, 1.0, np.where(u < gained + lost, -1.0, 0.0))

    return draw


def _f1(random: Random, n_sets: int, n: int) -> Numbers:
    """Two ways whose token F1 share the question's difficulty; a third of the answers share no word."""
    difficulty = random.normal(size=(n_sets, n))

    def way(skill: float) -> Numbers:
        value = 1 / (1 + np.exp(-(difficulty + skill + random.normal(size=(n_sets, n)))))
        return np.where(random.random((n_sets, n)) < 0.35, 0.0, value)

    return way(0.3) - way(0.0)


def _two_peaks(random: Random, n_sets: int, n: int) -> Numbers:
    """F1 that is mostly near 0 or 1."""
    hard = random.random((n_sets, n))

    def way(skill: float) -> Numbers:
        is_right = 0.6 * hard + 0.4 * random.random((n_sets, n)) < skill
        good = np.where(random.random((n_sets, n)) < 0.5, 1.0, random.beta(2, 1.5, (n_sets, n)))
        poor = np.where(random.random((n_sets, n)) < 0.5, 0.0, random.beta(1, 4, (n_sets, n)))
        return np.where(is_right, good, poor)

    return way(0.45) - way(0.35)


def _changed(share: float, one_sided: bool) -> Draw:
    def draw(random: Random, n_sets: int, n: int) -> Numbers:
        shape = (n_sets, n)
        if one_sided:
            change = random.beta(1, 2, shape)
        else:
            change = _some_f1(random, shape, 0.2, 0.15) - _some_f1(random, shape, 0.3, 0.1)
        return np.where(random.random(shape) < share, change, 0.0)

    return draw


def _some_f1(random: Random, shape: tuple[int, int], none: float, full: float) -> Numbers:
    u, value = random.random(shape), random.beta(1.5, 2, shape)
    return np.where(u < none, 0.0, np.where(u < none + full, 1.0, value))


def _graded(random: Random, n_sets: int, n: int) -> Numbers:
    shape = (n_sets, n)
    change = (random.binomial(4, 0.55, shape) - random.binomial(4, 0.5, shape)) / 4
    return np.where(random.random(shape) < 0.4, change, 0.0)


def _clustered(is_binary: bool, per: int) -> Draw:
    def draw(random: Random, n_sets: int, n: int) -> Numbers:
        of_document = np.repeat(random.normal(0, 0.2, (n_sets, -(-n // per))), per, axis=1)[:, :n]
        if is_binary:
            u = random.random((n_sets, n))
            return np.where(u < np.clip(0.2 + of_document, 0, 0.9), 1.0, np.where(u > 0.9, -1.0, 0.0))
        return np.clip(0.08 + of_document + random.normal(0, 0.3, (n_sets, n)), -1, 1)

    return draw


CASES = (
    Case("right or wrong", "5% change, none gained", _binary(0.05, 0.0), 0.0),
    Case("right or wrong", "5% change, all gained", _binary(0.05, 0.05), 0.05),
    Case("right or wrong", "10% change, 5 points", _binary(0.1, 0.05), 0.05),
    Case("right or wrong", "30% change, 10 points", _binary(0.3, 0.1), 0.1),
    Case("right or wrong", "50% change, 0 points", _binary(0.5, 0.0), 0.0),
    Case("continuous", "normal", lambda r, k, n: r.normal(0.05, 0.25, (k, n)), 0.05),
    Case("continuous", "token F1", _f1),
    Case("continuous", "token F1, two peaks", _two_peaks),
    Case("continuous", "skewed", lambda r, k, n: r.beta(0.5, 4, (k, n)), 1 / 9),
    Case("few change", "40% graded in quarters", _graded, 0.02),
    Case("few change", "25%, all gained", _changed(0.25, True), 0.25 / 3),
    Case("few change", "20% both ways", _changed(0.2, False)),
    Case("few change", "10%, all gained", _changed(0.1, True), 0.1 / 3),
    Case("few change", "8% both ways", _changed(0.08, False)),
    Case("clusters", "right or wrong, 5 a document", _clustered(True, 5), None, 5),
    Case("clusters", "continuous, 2 a document", _clustered(False, 2), None, 2),
    Case("clusters", "continuous, 14 a document", _clustered(False, 14), None, 14),
)


def coverage(repetitions: int, sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """A row for each case and size: the share of intervals that hold the truth, by method."""
    for number, case in enumerate(CASES):
        random = np.random.default_rng(1000 + number)
        truth = case.truth
        if truth is None:
            truth = float(np.mean([case.draw(random, _N_TRUTH // 100_000, 2100).mean() for _ in range(50)]))
        for n in sizes:
            if n // case.per_cluster < 7:
                continue  # fewer documents
            differences = case.draw(random, repetitions, n)
            found = _intervals(case, differences)
            covered = {
                name: float(((low <= truth) & (truth <= high)).mean()) for name, (low, high) in found.items()
            }
            widths = {name: float((high - low).mean()) for name, (low, high) in found.items()}
            yield {"kind": case.kind, "case": case.name, "n": n, "covered": covered, "width": widths}


def _intervals(case: Case, differences: Numbers) -> dict[str, tuple[Numbers, Numbers]]:
    n = differences.shape[1]
    sums, sizes = _units(differences, case.per_cluster)
    mean, error = differences.mean(axis=1), standard_errors(sums, sizes)
    reach = t_quantile(sums.shape[1] - 1) * error
    if case.kind == "right or wrong":
        used = score_intervals(
            (differences > 0).sum(axis=1).astype(float), (differences < 0).sum(axis=1).astype(float), n
        )
    else:
        used = percentile_t_intervals(sums, sizes, n_resamples=N_RESAMPLES)
    found = {"used here": used, "t": (mean - reach, mean + reach)}
    if case.per_cluster == 1:
        found |= _usual(differences, mean, error)
    return found


def _units(differences: Numbers, per: int) -> tuple[Numbers, Numbers]:
    n_sets, n = differences.shape
    starts = np.arange(0, n, per)
    sizes = np.diff([*starts, n]).astype(float)
    return np.add.reduceat(differences, starts, axis=1), np.tile(sizes, (n_sets, 1))


def _usual(differences: Numbers, mean: Numbers, error: Numbers) -> dict[str, tuple[Numbers, Numbers]]:
    """Percentile, BCa (Efron 1987) and plain percentile-t intervals."""
    n_sets, n = differences.shape
    counts = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=N_RESAMPLES).astype(float)
    means = counts @ differences.T / n
    variances = np.maximum(counts @ (differences**2).T / n - means**2, 0) / max(n - 1, 1)
    ordered = np.sort(means, axis=0)

    def quantile(share: Numbers) -> Numbers:
        place = np.clip((share * N_RESAMPLES).astype(int), 0, N_RESAMPLES - 1)
        found: Numbers = ordered[place, np.arange(n_sets)]
        return found

    normal = NormalDist()
    share = np.clip((means < mean - 1e-12).mean(axis=0), 1 / N_RESAMPLES, 1 - 1 / N_RESAMPLES)
    bias = np.vectorize(normal.inv_cdf)(share)
    rest = differences - mean[:, None]
    squares = (rest**2).sum(axis=1)
    skew = (rest**3).sum(axis=1) / np.where(squares > 0, 6 * squares**1.5, 1.0)
    ends = [
        quantile(np.vectorize(normal.cdf)(bias + (bias + z) / (1 - skew * (bias + z)))) for z in (-1.96, 1.96)
    ]
    steps = np.where(variances > 0, (means - mean) / np.sqrt(np.where(variances > 0, variances, 1.0)), 0.0)
    first, last = np.quantile(steps, [0.025, 0.975], axis=0)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return {
        "percentile": (low, high),
        "BCa": (ends[0], ends[1]),
        "percentile-t": (mean - last * error, mean - first * error),
    }


def false_differences(repetitions: int, sizes: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """How often six ways that are equally good are told apart, and how often one is called the best."""
    for kind in ("right or wrong", "token F1"):
        random = np.random.default_rng(7)
        for n in sizes:
            hard = random.normal(size=(repetitions, n, 1))
            level = 1 / (1 + np.exp(-(hard + random.normal(size=(repetitions, n, N_WAYS)))))
            scores = (
                (level > 0.5).astype(float) if kind == "right or wrong" else np.where(level < 0.4, 0.0, level)
            )
            pairs = list(combinations(range(N_WAYS), 2))
            p_values, excludes = (
                np.empty((len(pairs), repetitions)),
                np.empty((len(pairs), repetitions), bool),
            )
            for place, (one, other) in enumerate(pairs):
                p_values[place], excludes[place] = _pair(kind, scores[:, :, one] - scores[:, :, other])
            corrected = np.array([holm(column) for column in p_values.T.tolist()]).T
            clear = (corrected <= ALPHA) & excludes
            of_way = [
                np.all([clear[place] for place, pair in enumerate(pairs) if way in pair], axis=0)
                for way in range(N_WAYS)
            ]
            yield {
                "kind": kind,
                "n": n,
                "any two called different": float(clear.any(axis=0).mean()),
                "one called the best": float(np.any(of_way, axis=0).mean()),
            }


def _pair(kind: str, differences: Numbers) -> tuple[Numbers, Numbers]:
    """p, and whether the interval excludes 0, as `several.compare_all` finds them."""
    n = differences.shape[1]
    if kind == "token F1":
        p_values = flip_p_values(differences, n_flips=N_FLIPS)
        low, high = percentile_t_intervals(differences, np.ones_like(differences), n_resamples=400)
        return p_values, (low > 0) | (high < 0)
    gained, lost = (differences > 0).sum(axis=1), (differences < 0).sum(axis=1)
    known = {key: mcnemar_p(*key) for key in set(zip(lost.tolist(), gained.tolist(), strict=True))}
    low, high = score_intervals(gained.astype(float), lost.astype(float), n)
    p_values = np.array([known[key] for key in zip(lost.tolist(), gained.tolist(), strict=True)])
    return p_values, (low > 0) | (high < 0)


def verdict(rows: list[dict[str, Any]], false: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures that "Must reach" asks for."""
    used = [(row["covered"]["used here"], row) for row in rows]
    continuous = [(value, row) for value, row in used if row["kind"] == "continuous" and row["n"] >= 50]
    least, most = min(used, key=lambda pair: pair[0]), max(continuous, key=lambda pair: pair[0])
    winners = max(row["one called the best"] for row in false)
    return {
        "least_covered": least[0],
        "least_covered_at": f"{least[1]['case']}, n = {least[1]['n']}",
        "most_covered_continuous": most[0],
        "most_covered_continuous_at": f"{most[1]['case']}, n = {most[1]['n']}",
        "most_false_differences": max(row["any two called different"] for row in false),
        "most_false_winners": winners,
        "reached": least[0] >= LEAST and most[0] <= MOST_CONTINUOUS and winners <= MOST_FALSE,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--short", action="store_true", help="n = 20 and 100 only, 500 repetitions")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    repetitions = 500 if arguments.short else arguments.repetitions
    sizes = (20, 100) if arguments.short else SIZES
    started = time.perf_counter()
    rows, false = [], []
    for row in coverage(repetitions, sizes):
        rows.append(row)
        if not arguments.json:
            covered = "  ".join(f"{name} {value:6.1%}" for name, value in row["covered"].items())
            print(f"{row['kind']:<15}{row['case']:<30}{row['n']:>4}  {covered}", flush=True)
    for row in false_differences(repetitions, sizes):
        false.append(row)
        if not arguments.json:
            told = "  ".join(f"{name} {row[name]:.1%}" for name in list(row)[2:])
            print(f"six equal ways, {row['kind']:<16}{row['n']:>4}  {told}", flush=True)
    found = verdict(rows, false)
    if arguments.json:
        print(json.dumps({"processor": processor_name(), "rows": rows, "false": false, "verdict": found}))
    else:
        print(f"{processor_name()}; {repetitions} repetitions, {time.perf_counter() - started:.0f} s")
        print(
            f"least covered {found['least_covered']:.1%} ({found['least_covered_at']}; at least {LEAST:.0%}); "
            f"continuous from n = 50 at most {found['most_covered_continuous']:.1%} "
            f"({found['most_covered_continuous_at']}; at most {MOST_CONTINUOUS:.0%}); a false winner "
            f"{found['most_false_winners']:.1%} (at most {MOST_FALSE:.0%}), any two of six equal ways called "
            f"different {found['most_false_differences']:.1%}: {'reached' if found['reached'] else 'NOT reached'}"
        )
    sys.exit(0 if found["reached"] or arguments.short else 1)


if __name__ == "__main__":
    main()
