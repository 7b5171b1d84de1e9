"""Runs of `homespun tune` that are killed at random moments, and what of their learning is left."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.tuning.adapters import read_lineage
from homespun.tuning.checkpoint import read_checkpoint
from homespun.tuning.curve import read_steps

SAVE_EVERY_S = 0.3
N_STEPS = 400


def run_tune_kills(model: Path, n: int, seed: int = 1) -> dict[str, Any]:
    """Kill runs `n` times; each goes on until it is whole, and must equal a run that nobody disturbed.

    Args:
        model: a small GGUF: what is tried is going on, not learning.
    """
    moments = random.Random(seed)
    faults: list[str] = []
    lost: list[float] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        rows = _rows(top / "rows.jsonl", seed)
        home = Home.open(top / "home")
        begun = time.monotonic()
        _start(home, model, rows, "whole").wait()
        length_s = time.monotonic() - begun
        whole = [row["loss"] for row in read_steps(home.adapters_path / "whole")]
        n_killed = n_runs = 0
        while n_killed < n:
            n_runs += 1
            folder = home.adapters_path / f"cut{n_runs}"
            while n_killed < n:
                process = _start(home, model, rows, folder.name)
                try:
                    process.wait(moments.uniform(0, length_s))
                    break
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                n_killed += 1
                found, seconds = _after_a_kill(folder)
                faults += [f"kill {n_killed}: {what}" for what in found]
                lost.append(seconds)
            _start(home, model, rows, folder.name).wait()  # at once where it is finished: the name is taken
            faults += [f"run {n_runs}: {what}" for what in _compared(folder, whole)]
    return {
        "processor": processor_name(),
        "seed": seed,
        "n_killed": n_killed,
        "n_runs": n_runs,
        "n_steps": N_STEPS,
        "save_every_s": SAVE_EVERY_S,
        "most_lost_s": max(lost, default=0.0),
        "seconds": time.monotonic() - started,
        "faults": faults,
    }


def _rows(path: Path, seed: int) -> Path:
    draw = random.Random(seed)
    lines = [
        {"prompt": f"say {draw.choice('abcdef')}", "response": str(draw.randint(0, 9))} for _ in range(40)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def _start(home: Home, model: Path, rows: Path, name: str) -> subprocess.Popen[bytes]:
    options = f"--max-steps {N_STEPS} --epochs 1000 --save-every {SAVE_EVERY_S} --batch-examples 2 --rank 4"
    quiet = "--samples 0 --no-receipt --no-forgetting --patience 0 --evaluate-every 50 --threads 1 --precision f32"
    return subprocess.Popen(
        [sys.executable, "-m", "homespun.cli.main", "tune", str(rows), "--name", name, "--model", str(model)]  # noqa: RUF005
        + options.split()
        + quiet.split(),
        env={**os.environ, "HOMESPUN_HOME": str(home.root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _after_a_kill(folder: Path) -> tuple[list[str], float]:
    """What is wrong, and the seconds of learning that are done again."""
    if not folder.exists():
        return [], 0.0
    faults = []
    if read_lineage(folder) is None and any(folder.iterdir()):
        faults.append("steps without a lineage")
    stored = read_checkpoint(folder / "checkpoint")
    rows = read_steps(folder)
    if (folder / "adapter_config.json").exists() and len(rows) != N_STEPS:
        faults.append("an unfinished run looks like an adapter")
    if [row["step"] for row in rows] != list(range(1, len(rows) + 1)):
        faults.append("steps are missing or doubled")
    kept = stored[0].seconds if stored else 0.0
    seconds = float(str(rows[-1]["seconds"])) - kept if rows and stored is not None else 0.0
    return faults, seconds


def _compared(folder: Path, whole: list[Any]) -> list[str]:
    lineage = read_lineage(folder)
    if lineage is None or lineage.status != "finished":
        return ["it never finished"]
    losses = [row["loss"] for row in read_steps(folder)]
    if len(losses) != len(whole):
        return [f"{len(losses)} steps instead of {len(whole)}"]
    worst = max(abs(ours - theirs) for ours, theirs in zip(losses, whole, strict=True))
    return [f"losses differ by {worst:.2e}"] if worst > 1e-4 else []
