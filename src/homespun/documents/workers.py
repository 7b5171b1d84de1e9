"""Files read by worker processes on all cores: a file that crashes, hangs or bloats its reader costs
one worker, and ends as "not read" with the reason.

Workers are fresh interpreters, never forks, and begin when the first file needs one. Plain text never
does: to decode it takes less than to send it.
"""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import PurePosixPath

from homespun.documents.document import Document
from homespun.documents.read import TOO_LARGE, ReadOptions, read_document, shown_name
from homespun.documents.worker_process import ReadJob, WorkerEndedError, WorkerProcess

__all__ = ["PoolRecord", "ReadJob", "ReadingPool"]

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


@dataclass
class PoolRecord:
    """What a pool has met: of its workers only, what is read in the process itself does not count."""

    n_started: int = 0
    n_crashed: int = 0
    n_stopped: int = 0  # took too long or too much memory
    longest_s: float = 0.0  # for one file
    peak_bytes: int = 0  # of the largest worker, as far as the system tells


class ReadingPool:
    """Reads files in up to `n_workers` processes; a context manager that ends them.

    A file may take `timeout_s` seconds, and as long again for each full 16 MiB of it; on a machine that is
    busy with other work these are seconds of the processor, up to 4 times as many by the clock. A worker
    may use `memory_bytes`, or 8 times the size of the file where that is more.
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
        self.record = PoolRecord()
        self._idle: queue.LifoQueue[WorkerProcess] = queue.LifoQueue()
        self._workers: set[WorkerProcess] = set()
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
            # Left early: what is still read is not wanted any more.
            left = [future for future in running if not future.cancel()]
            while wait(left, timeout=0.02).not_done:
                self._end_busy()
            threads.shutdown(wait=True)

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
            started = time.monotonic()
            try:
                document = worker.read(job, self.options, timeout_s, memory_bytes)
            except WorkerEndedError as error:
                self._drop(worker)
                self._note(worker, time.monotonic() - started, error)
                # An earlier file may have left harm in the worker, so this one gets a clean one.
                if was_fresh or error.is_final or self._closed.is_set():
                    return Document(job.path, shown_name(job.name), "", (), (), "not read", error.reason, "")
                continue
            self._note(worker, time.monotonic() - started)
            if document.reason != TOO_LARGE and (worker.resident_bytes() or 0) <= _TIRED_BYTES:
                self._idle.put(worker)
                return document
            self._drop(worker)
            if document.reason != TOO_LARGE or was_fresh:
                return document

    def _take_worker(self) -> WorkerProcess:
        while True:
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                break
            if worker.is_alive:
                return worker
            self._drop(worker)
        worker = WorkerProcess()
        with self._lock:
            self.record.n_started += 1
            self._workers.add(worker)
            if self._watcher is None:
                self._watcher = threading.Thread(
                    target=_watch, args=(self._workers, self._closed), name="reading watch", daemon=True
                )
                self._watcher.start()
        return worker

    def _drop(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._workers.discard(worker)
        worker.end()

    def _note(self, worker: WorkerProcess, seconds: float, error: WorkerEndedError | None = None) -> None:
        with self._lock:
            self.record.longest_s = max(self.record.longest_s, seconds)
            self.record.peak_bytes = max(self.record.peak_bytes, worker.peak_bytes)
            if error is not None and error.is_final:
                self.record.n_stopped += 1
            elif error is not None:
                self.record.n_crashed += 1

    def _end_busy(self) -> None:
        with self._lock:
            busy = [worker for worker in self._workers if worker.is_busy]
        for worker in busy:
            worker.end_because("The reading was stopped.")


def _watch(workers: set[WorkerProcess], closed: threading.Event) -> None:
    """Kill workers that take too long or grow too large; holds no reference to the pool itself."""
    while not closed.wait(_WATCH_S):
        for worker in tuple(workers.copy()):
            worker.check()


def _suffix(job: ReadJob) -> str:
    return PurePosixPath(job.member).suffix.lower() if job.member else job.path.suffix.lower()
