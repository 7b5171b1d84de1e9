"""Workers started, asked in turn, and their figures put together: medians, and ratios paired by round."""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


class Worker:
    """A child process with one engine."""

    def __init__(self, name: str, model: Path) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "_workers.py"), name, str(model)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.facts = self._answer()

    def ask(self, task: str) -> float:
        """One measurement."""
        assert self._process.stdin is not None
        self._process.stdin.write(task + "\n")
        self._process.stdin.flush()
        return float(self._answer()["value"])

    def _answer(self) -> dict:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict = json.loads(line)
                return answer
        raise RuntimeError(f"worker {self.name} ended with {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)


@dataclass(frozen=True)
class Spread:
    """Median and range of one figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:,.1f} [{self.low:,.1f}, {self.high:,.1f}]"


def interleave(
    workers: Sequence[Worker], tasks: Sequence[str], rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Every task on every worker in turn, round after round; the first round warms up and is not kept."""
    values: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for task in tasks:
            for worker in workers:
                value = worker.ask(task)
                if number:
                    values.setdefault((worker.name, task), []).append(value)
    return values


def paired_ratio(values: dict[tuple[str, str], list[float]], task: str, first: str, second: str) -> Spread:
    """first / second, round by round."""
    pairs = zip(values[(first, task)], values[(second, task)], strict=True)
    return Spread.of([a / b for a, b in pairs])
