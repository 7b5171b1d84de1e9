"""One process that reads files for a `ReadingPool`: asked over a pipe, watched, killed where it must be."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from homespun.documents.document import Document
from homespun.documents.read import ReadOptions
from homespun.documents.worker_child import PATIENCE, receive, send, unpacked

#: A reader that tells that it goes on has so many times its time, and any where scans are read.
LONGEST = 15
# Python takes memory by the mebibyte, so with less than that left it is at its bound.
_AT_BOUND_BYTES, _N_AT_BOUND = 2 * 2**20, 10
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from homespun.documents.worker_child import main; main()"
)


@dataclass(frozen=True)
class ReadJob:
    """A file to read, what it is called, and which member of it where it is an archive."""

    path: Path
    name: str
    member: str | None = None


class WorkerEndedError(Exception):
    """The process is gone; `is_final`: because of this very file, which is not to be tried again."""

    def __init__(self, reason: str, is_final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class WorkerProcess:
    """One child process; reads one file at a time."""

    def __init__(self) -> None:
        self.n_read = 0
        self.peak_bytes = 0
        self.is_busy = False
        self._verdict = ""
        self._deadline = float("inf")
        self._timeout_s = self._cpu_before_s = 0.0
        self._memory_bytes = self._n_at_bound = 0
        # One file, one thread: what runs beside it are the other workers.
        single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_THREAD_LIMIT": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **single},
            start_new_session=True,  # an interrupt at the terminal is the parent's to handle
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def read(self, job: ReadJob, options: ReadOptions, timeout_s: float, memory_bytes: int) -> Document:
        """The document.

        Raises:
            WorkerEndedError: the process ended, by itself or killed by `check`.
        """
        request = {
            "path": str(job.path),
            "name": job.name,
            "member": job.member,
            "options": asdict(options),
            "timeout_s": timeout_s,
            "memory_bytes": memory_bytes,
        }
        pipes = self._process
        assert pipes.stdin and pipes.stdout
        self._memory_bytes = memory_bytes
        self._n_at_bound = 0
        self._start_clock(timeout_s)
        self.is_busy = True
        try:
            send(pipes.stdin, request)
            last = time.monotonic() + LONGEST * timeout_s
            while (answer := receive(pipes.stdout)) == "beat":
                if options.ocr or time.monotonic() < last:  # pages without end are made to do harm
                    self._start_clock(timeout_s)
        except (OSError, ValueError):  # ended, or what it says is no answer
            answer = None
        finally:
            self.is_busy = False
        if not isinstance(answer, dict):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)  # how it ended is to be told
            self.end()
            raise WorkerEndedError(self._verdict or self._last_words(), bool(self._verdict))
        self.n_read += 1
        self.peak_bytes = answer["peak_bytes"]
        return unpacked(job.path, answer)

    def _start_clock(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._cpu_before_s = self._cpu_s() or 0.0
        self._deadline = time.monotonic() + timeout_s

    def check(self) -> None:
        """Kill it if its file takes too long or too much memory."""
        if not self.is_busy:
            return
        if self._is_late():
            self.end_because(f"Reading it took more than {self._timeout_s:.0f} seconds and was stopped.")
        elif (self.resident_bytes() or 0) > self._memory_bytes or self._is_stuck():
            self.end_because(
                f"Reading it took more than {self._memory_bytes / 2**20:.0f} MiB of memory and was stopped."
            )

    def _is_stuck(self) -> bool:
        """Whether it has stood at the bound of its memory for a while.

        Python 3.11 and 3.12 raise their error for lack of memory without end where not even that fits.
        """
        at_bound = self._memory_bytes - _AT_BOUND_BYTES < (self._sizes()[0] or 0) <= self._memory_bytes
        self._n_at_bound = self._n_at_bound + 1 if at_bound else 0
        return self._n_at_bound >= _N_AT_BOUND

    def _is_late(self) -> bool:
        over_s = time.monotonic() - self._deadline
        if over_s <= 0:
            return False
        took_s = self._timeout_s + over_s
        cpu_s = self._cpu_s()
        if cpu_s is None or took_s > PATIENCE * self._timeout_s:
            return True
        # One that waits for the processor has had a little of it; one that waits for nothing has not.
        used_s = cpu_s - self._cpu_before_s
        return used_s >= self._timeout_s or used_s < took_s / 16

    def _cpu_s(self) -> float | None:
        """Seconds of the processor that it has used; None where the system does not tell."""
        try:
            with open(f"/proc/{self._process.pid}/stat", "rb") as file:  # noqa: PTH123 (as below)
                numbers = file.read().rsplit(b")", 1)[1].split()
            return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, AttributeError):
            return None

    def end_because(self, verdict: str) -> None:
        self._verdict = self._verdict or verdict
        self._kill()

    def end(self) -> None:
        """Kill and bury it."""
        self._kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):  # a request that could not be delivered any more
                    pipe.close()

    def resident_bytes(self) -> int | None:
        """Its memory; None where the system does not tell."""
        return self._sizes()[1]

    def _sizes(self) -> tuple[int | None, int | None]:
        """Bytes of its address space and of its memory."""
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb") as file:  # noqa: PTH123 (many times a second)
                pages = file.read().split()
            size = os.sysconf("SC_PAGE_SIZE")
            return int(pages[0]) * size, int(pages[1]) * size
        except (OSError, ValueError, IndexError, AttributeError):
            return None, None

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    def _last_words(self) -> str:
        code = self._process.returncode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"code {code}"
        return f"The program that read it crashed ({name}); the file is probably broken."
