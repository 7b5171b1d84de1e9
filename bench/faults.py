"""What harm does: files that are broken on purpose, read as an ingest reads them.

    python bench/faults.py files [--n 1000] [--seed N] [--workers N] [--keep FOLDER] [--json]
    python bench/faults.py kills [--n 200] [--seed N] [--json]
    python bench/faults.py tuning MODEL.gguf [--n 100] [--seed N] [--json]

`files`: every broken file has to end as read, partly read or not read with a reason; none may end this
process, take longer than 20 s or a worker of more than 1 GiB. A worker that a file crashes is replaced and
counted: crashes of native libraries are what workers are for.

`kills`: ingests that are killed at random moments; readers may see only whole documents, and after the next
complete ingest nothing may be lost or doubled: the library equals one that was made in one go.

`tuning`: runs of `homespun tune` that are killed at random moments and go on; every loss must be that of a run
that nobody disturbed, each step there once, and no more learning lost than the interval of checkpoints.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from _kills import run_kills
from _kills import table as kills_table
from _mutations import broken_files
from _tune_kills import SAVE_EVERY_S, run_tune_kills

from homespun.documents.bundle import is_bundle, iterate_members
from homespun.documents.errors import UnreadableFile
from homespun.documents.workers import ReadingPool, ReadJob
from homespun.engines.processor import processor_name

LIMIT_S, LIMIT_BYTES = 20.0, 1 << 30


def jobs_of(paths: list[Path]) -> tuple[list[ReadJob], Counter[str]]:
    """What an ingest would read; archives that cannot be opened are counted as not read."""
    jobs: list[ReadJob] = []
    refused: Counter[str] = Counter()
    for path in paths:
        if not is_bundle(path):
            jobs.append(ReadJob(path, path.name))
            continue
        try:
            found = [member for member in iterate_members(path) if not member.is_skipped]
        except UnreadableFile:
            refused[path.suffix] += 1
            continue
        jobs += [ReadJob(path, f"{path.name}/{member.name}", member.name) for member in found]
    return jobs, refused


def read_broken(n: int, seed: int, folder: Path, n_workers: int | None = None) -> dict[str, Any]:
    """Write and read `n` broken files; the figures of it."""
    paths = []
    for name, data in broken_files(n, seed):
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    started = time.monotonic()
    jobs, refused = jobs_of(paths)
    statuses: dict[str, Counter[str]] = {ending: Counter({"not read": k}) for ending, k in refused.items()}
    faults = []
    with ReadingPool(n_workers, timeout_s=LIMIT_S, memory_bytes=LIMIT_BYTES) as pool:
        for job, document in zip(jobs, pool.read(jobs), strict=True):
            statuses.setdefault(job.path.suffix, Counter())[document.status] += 1
            if re.search(r"crashed|took more than|more memory than", document.reason):
                faults.append(f"{job.name}: {document.reason}")
            if document.status != "read" and not document.reason:
                faults.append(f"{job.name}: {document.status} without a reason")
        record = vars(pool.record)
    return {
        "processor": processor_name(),
        "n_files": n,
        "seed": seed,
        "n_documents": len(jobs) + sum(refused.values()),
        "statuses": {ending: dict(counts) for ending, counts in sorted(statuses.items())},
        "seconds": time.monotonic() - started,
        "workers": dict(record),
        "faults": faults,
    }


def is_passed(report: dict[str, Any]) -> bool:
    """No hang, no crash that was not contained, no worker above the limit; every file has its reason."""
    workers = report["workers"]
    has_silent = any("without a reason" in fault for fault in report["faults"])
    return (
        not has_silent
        and workers["n_stopped"] == 0
        and workers["longest_s"] <= LIMIT_S
        and workers["peak_bytes"] <= LIMIT_BYTES
    )


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    workers = report["workers"]
    lines = [
        f"{report['processor']}; {report['n_files']} broken files, {report['n_documents']} documents "
        f"with those in archives, {report['seconds']:.0f} s",
        f"{'kind':<8}{'read':>8}{'partly':>8}{'not read':>10}",
    ]
    for ending, counts in report["statuses"].items():
        lines.append(
            f"{ending:<8}{counts.get('read', 0):>8}{counts.get('partly read', 0):>8}{counts.get('not read', 0):>10}"
        )
    lines += [
        f"crashes of this process: 0; of workers, contained: {workers['n_crashed']}",
        f"stopped (over {LIMIT_S:.0f} s or {LIMIT_BYTES / 2**20:.0f} MiB): {workers['n_stopped']}",
        f"longest file {workers['longest_s']:.2f} s; largest worker {workers['peak_bytes'] / 2**20:.0f} MiB",
        *report["faults"],
        "passed" if is_passed(report) else "FAILED",
    ]
    return "\n".join(lines)


def run_files(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as top:
        folder = arguments.keep or Path(top)
        folder.mkdir(parents=True, exist_ok=True)
        report = read_broken(arguments.n, arguments.seed, folder, arguments.workers)
    print(json.dumps(report, indent=1) if arguments.json else table(report))
    return 0 if is_passed(report) else 1


def run_killed(arguments: argparse.Namespace) -> int:
    report = run_kills(arguments.n, arguments.seed)
    print(json.dumps(report, indent=1) if arguments.json else kills_table(report))
    return 1 if report["faults"] else 0


def run_tuning(arguments: argparse.Namespace) -> int:
    report = run_tune_kills(arguments.model, arguments.n, arguments.seed)
    if arguments.json:
        print(json.dumps(report, indent=1))
    else:
        print(
            f"{report['processor']}; {report['n_killed']} kills in {report['n_runs']} runs of {report['n_steps']} "
            f"steps, {report['seconds']:.0f} s\nlearning done again after a kill: at most "
            f"{report['most_lost_s']:.2f} s (a checkpoint every {SAVE_EVERY_S} s)"
        )
        print(*report["faults"], "FAILED" if report["faults"] else "passed", sep="\n")
    return 1 if report["faults"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    files = commands.add_parser("files", help="read files that are broken on purpose")
    files.add_argument("--n", type=int, default=1000, help="how many")
    files.add_argument("--seed", type=int, default=1)
    files.add_argument("--workers", type=int, help="default: one for each core")
    files.add_argument("--keep", type=Path, help="a folder to leave the files in")
    files.add_argument("--json", action="store_true")
    files.set_defaults(run=run_files)
    kills = commands.add_parser("kills", help="kill ingests at random moments")
    kills.add_argument("--n", type=int, default=200, help="how many kills")
    kills.add_argument("--seed", type=int, default=1)
    kills.add_argument("--json", action="store_true")
    kills.set_defaults(run=run_killed)
    tuning = commands.add_parser("tuning", help="kill runs of tuning at random moments")
    tuning.add_argument("model", type=Path, help="a small GGUF")
    tuning.add_argument("--n", type=int, default=100, help="how many kills")
    tuning.add_argument("--seed", type=int, default=1)
    tuning.add_argument("--json", action="store_true")
    tuning.set_defaults(run=run_tuning)
    arguments = parser.parse_args()
    code: int = arguments.run(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
