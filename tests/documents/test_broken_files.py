"""Files broken on purpose end as read, partly read or not read with a reason (bench/faults.py files)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = Path(__file__).parents[2] / "bench" / "faults.py"


def run(n, seed, timeout_s):
    done = subprocess.run(
        [sys.executable, str(FAULTS), "files", "--n", str(n), "--seed", str(seed), "--json"],
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def check(code, report, n):
    assert code == 0, report["faults"]
    assert report["n_files"] == n
    assert report["n_documents"] >= n
    counted = {"read": 0, "partly read": 0, "not read": 0}
    for counts in report["statuses"].values():
        for status, count in counts.items():
            counted[status] += count
    assert sum(counted.values()) == report["n_documents"]
    assert counted["read"] > 0  # else nothing but the first check was tried
    assert counted["not read"] > 0  # else nothing was broken
    assert report["workers"]["peak_bytes"] < 2**30


def test_forty_broken_files():
    check(*run(40, 2, 120), 40)


@pytest.mark.long
def test_a_thousand_broken_files():
    code, report = run(1000, 1, 1200)
    check(code, report, 1000)
    assert {".pdf", ".docx", ".xlsx", ".html", ".eml", ".zip"} <= set(report["statuses"])
