"""How many changed sentences the support check marks, and how many true paraphrases it marks wrongly.

    python bench/support.py [--claims FILE] [--embedder FOLDER] [--split test] [--json] [--show]

Each row of FILE (examples/clinic/checks/claims.jsonl) has a `passage`, a `sentence` and a `label`:
supported, swapped number, swapped name or unsupported. The constants of the check were chosen by hand on
the train split; test is for reporting. The check sees the one passage, as `ask` shows the model its own.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from homespun.documents.split import Passage
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.rag.support import SupportChecker
from homespun.retrieval.embedder import open_embedder

CLAIMS = Path(__file__).parents[1] / "examples" / "clinic" / "checks" / "claims.jsonl"
#: What has to be reached.
LEAST_SWAPPED_MARKED = 0.90
MOST_SUPPORTED_MARKED = 0.25


def measure(claims_path: Path, embedder_path: Path, split: str) -> dict[str, Any]:
    """Counts of each label, marked unsupported or not, and every verdict that is wrong."""
    embedder = open_embedder(embedder_path)
    rows = [json.loads(line) for line in claims_path.read_text("utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if row["split"] == split]
    n_rows: Counter[str] = Counter()
    n_marked: Counter[str] = Counter()
    wrong = []
    started = time.perf_counter()
    for row in rows:
        check = SupportChecker([_passage(row)], lambda _, text=row["passage"]: text, embedder).check(
            row["sentence"]
        )
        n_rows[row["label"]] += 1
        n_marked[row["label"]] += not check.is_supported
        if check.is_supported != (row["label"] == "supported"):
            wrong.append({"label": row["label"], "sentence": row["sentence"], "reason": check.reason})
    seconds = time.perf_counter() - started
    swapped = ("swapped number", "swapped name")
    return {
        "processor": processor_name(),
        "split": split,
        "marked_unsupported": {label: {"marked": n_marked[label], "of": n} for label, n in n_rows.items()},
        "swapped_marked": _share(sum(n_marked[x] for x in swapped), sum(n_rows[x] for x in swapped)),
        "supported_marked": _share(n_marked["supported"], n_rows["supported"]),
        "ms_per_sentence": seconds / max(1, len(rows)) * 1e3,
        "wrong": wrong,
    }


def _share(n: int, n_all: int) -> float:
    return n / n_all if n_all else float("nan")


def _passage(row: dict[str, Any]) -> Passage:
    return Passage(row["document"], 0, len(row["passage"]), row["passage"], None, ())


def table(report: dict[str, Any], show: bool) -> str:
    """The figures for people."""
    lines = [
        f"{report['processor']}; claims of the {report['split']} split, {report['ms_per_sentence']:.0f} ms a sentence",
        f"{'what the sentence is':<24}{'marked unsupported':>20}{'share':>9}",
    ]
    for label, counts in sorted(report["marked_unsupported"].items()):
        share = counts["marked"] / counts["of"]
        lines.append(f"{label:<24}{counts['marked']:>13} of {counts['of']:<4}{share:>8.1%}")
    lines.append(
        f"swapped number or name, together {report['swapped_marked']:.1%} (at least {LEAST_SWAPPED_MARKED:.0%}); "
        f"true paraphrases {report['supported_marked']:.1%} (at most {MOST_SUPPORTED_MARKED:.0%})"
    )
    if show:
        lines.extend(f"wrong: {row['label']}: {row['sentence']} {row['reason']}" for row in report["wrong"])
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--claims", type=Path, default=CLAIMS)
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--split", default="test", choices=("train", "test"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="list the wrong verdicts")
    arguments = parser.parse_args()
    embedder_path = arguments.embedder or fetch_starter_embedder(Home.open())
    report = measure(arguments.claims, embedder_path, arguments.split)
    print(
        json.dumps(report, indent=1, ensure_ascii=False) if arguments.json else table(report, arguments.show)
    )


if __name__ == "__main__":
    main()
