"""Files read by worker processes on all cores: a file that crashes, hangs or bloats its reader costs
one worker, and ends as "not read" with the reason.

Workers are fresh interpreters, never forks, and begin when the first file needs one. Plain text never
does: to decode it takes less than to send it.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path, PurePosixPath

from homespun.documents.document import Document
from homespun.documents.read import ReadOptions, read_document, shown_name
from homespun.documents.worker_child import receive, send, unpacked

#: Read in the process itself: nothing in them can make decoding crash or take long.
PLAIN_SUFFIXES = frozenset((".txt", ".text", ".md", ".markdown"))
#: Read in the process itself where there are only so few files that no worker is worth its start.
SAFE_SUFFIXES = PLAIN_SUFFIXES | {".csv", ".tsv"}
FEW_FILES = 4
#: A file may take `timeout_s` for each of these many bytes, and so many times its size in memory.
BYTES_PER_TIMEOUT = 16 * 2**20
MEMORY_FACTOR = 8
#: A worker that holds more than this after a file is replaced before the next.
_TIRED_BYTES = 384 * 2**20
_WATCH_S = 0.1
_LOOK_AHEAD = 4  # files that are read ahead of the one that is given, for each worker
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


class ReadingPool:
    """Reads files in up to `n_workers` processes; a context manager that ends them.

    A file may take `timeout_s` seconds, and as long again for each full 16 MiB of it. A worker may use
    `memory_bytes`, or 8 times the size of the file where that is more.
    """

    def __init__(
        self,
        n_workers: int | None = None,
        timeout_s: float = 20.0,
        memory_bytes: int = 1 << 30,
        *,
        options: ReadOptions | None = None,
    ) -> None:
        self.n_workers = max(1, n_workers or os.cpu_count() or 1)
        self.timeout_s = timeout_s
        self.memory_bytes = memory_bytes
        self.options = options or ReadOptions()
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    def __enter__(self) -> "ReadingPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, also those at work."""
        self._closed.set()
        with self._lock:
            workers, self._workers = self._workers, set()
        for worker in workers:
            worker.end()

    def read(self, jobs: Iterable[ReadJob]) -> Iterator[Document]:
        """The document of each job, in the order of the jobs; never raises for what a file holds."""
        waiting = iter(jobs)
        first = list(islice(waiting, FEW_FILES))
        in_place = SAFE_SUFFIXES if len(first) < FEW_FILES else PLAIN_SUFFIXES
        if len(first) < FEW_FILES and all(_suffix(job) in in_place for job in first):
            for job in first:
                yield read_document(job.path, job.name, job.member, options=self.options)
            return
        running: deque[Future[Document]] = deque()
        threads = ThreadPoolExecutor(self.n_workers, thread_name_prefix="reading")
        try:
            for job in chain(first, waiting):
                running.append(threads.submit(self._read_one, job, in_place))
                if len(running) > _LOOK_AHEAD * self.n_workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            if running:  # left early: what is still read is not wanted any more
                for future in running:
                    future.cancel()
                self._end_busy()
            threads.shutdown(wait=True, cancel_futures=True)

    def _read_one(self, job: ReadJob, in_place: frozenset[str]) -> Document:
        if _suffix(job) in in_place:
            return read_document(job.path, job.name, job.member, options=self.options)
        try:
            size_bytes = job.path.stat().st_size
        except OSError:
            size_bytes = 0
        timeout_s = self.timeout_s * (1 + size_bytes // BYTES_PER_TIMEOUT)
        memory_bytes = max(self.memory_bytes, MEMORY_FACTOR * size_bytes)
        while True:
            worker = self._take_worker()
            was_fresh = worker.n_read == 0
            try:
                document = worker.read(job, self.options, timeout_s, memory_bytes)
            except _WorkerEndedError as error:
                self._drop(worker)
                # An earlier file may have left harm in the worker, so this one gets a clean one.
                if was_fresh or error.is_final or self._closed.is_set():
                    return Document(job.path, shown_name(job.name), "", (), (), "not read", error.reason, "")
                continue
            if (worker.resident_bytes() or 0) > _TIRED_BYTES:
                self._drop(worker)
            else:
                self._idle.put(worker)
            return document

    def _take_worker(self) -> "_Worker":
        while True:
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                break
            if worker.is_alive:
                return worker
            self._drop(worker)
        worker = _Worker()
        with self._lock:
            self._workers.add(worker)
            if self._watcher is None:
                self._watcher = threading.Thread(
                    target=_watch, args=(self._workers, self._closed), name="reading watch", daemon=True
                )
                self._watcher.start()
        return worker

    def _drop(self, worker: "_Worker") -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.end()

    def _end_busy(self) -> None:
        with self._lock:
            busy = [worker for worker in self._workers if worker.is_busy]
        for worker in busy:
            worker.end_because("The reading was stopped.")


def _watch(workers: "set[_Worker]", closed: threading.Event) -> None:
    """Kill workers that take too long or grow too large; holds no reference to the pool itself."""
    while not closed.wait(_WATCH_S):
        for worker in tuple(workers.copy()):
            worker.check()


def _suffix(job: ReadJob) -> str:
    return PurePosixPath(job.member).suffix.lower() if job.member else job.path.suffix.lower()


class _WorkerEndedError(Exception):
    """The process is gone; `is_final`: because of this very file, which is not to be tried again."""

    def __init__(self, reason: str, is_final: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class _Worker:
    """One child process; reads one file at a time."""

    def __init__(self) -> None:
        self.n_read = 0
        self.is_busy = False
        self._verdict = ""
        self._deadline = float("inf")
        self._timeout_s = 0.0
        self._memory_bytes = 0
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
            _WorkerEndedError: the process ended, by itself or killed by `check`.
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
        self._timeout_s, self._memory_bytes = timeout_s, memory_bytes
        self._deadline = time.monotonic() + timeout_s
        self.is_busy = True
        try:
            send(pipes.stdin, request)
            while (answer := receive(pipes.stdout)) == "beat":
                self._deadline = time.monotonic() + timeout_s
        except (OSError, ValueError):  # ended, or what it says is no answer
            answer = None
        finally:
            self.is_busy = False
        if not isinstance(answer, dict):
            self.end()
            raise _WorkerEndedError(self._verdict or self._last_words(), bool(self._verdict))
        self.n_read += 1
        return unpacked(job.path, answer)

    def check(self) -> None:
        """Kill it if its file takes too long or too much memory."""
        if not self.is_busy:
            return
        if time.monotonic() > self._deadline:
            self.end_because(f"Reading it took more than {self._timeout_s:.0f} seconds and was stopped.")
        elif (self.resident_bytes() or 0) > self._memory_bytes:
            self.end_because(
                f"Reading it took more than {self._memory_bytes / 2**20:.0f} MiB of memory and was stopped."
            )

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
        try:
            with open(f"/proc/{self._process.pid}/statm", "rb") as file:  # noqa: PTH123 (many times a second)
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError, AttributeError):
            return None

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()

    def _last_words(self) -> str:
        code = self._process.returncode
        name = signal.Signals(-code).name if code is not None and code < 0 else f"code {code}"
        return f"The program that read it crashed ({name}); the file is probably broken."
