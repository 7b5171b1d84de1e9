"""A library that follows its files: looks at them every few seconds and ingests what rests after a change.

Nothing is remembered but the library itself: whoever starts again begins with an ordinary ingest, so what
changed meanwhile is found, and what was cut short is finished.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from homespun.documents.walk import find_files
from homespun.errors import HomespunError
from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.intake import check_there, model_limits
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.plan import Known
from homespun.retrieval.report import IngestReport
from homespun.retrieval.sync import IngestOptions, ingest

#: After a failed round the pause is doubled, up to so many times the usual one.
_LONGEST_PAUSE = 30
_NAP_S = 0.1


@dataclass(frozen=True)
class WatchOptions:
    """How a folder is followed."""

    interval_s: float = field(default=2.0, metadata={"help": "seconds between two looks at the files"})
    quiet_s: float = field(
        default=2.0, metadata={"help": "seconds that a changed file must rest before it is read"}
    )
    patience_s: float = field(
        default=60.0, metadata={"help": "seconds after which a file that never rests is read all the same"}
    )

    def __post_init__(self) -> None:
        if self.interval_s <= 0:
            raise RetrievalError(f"interval_s is {self.interval_s}; it must be above 0.")
        if self.quiet_s < 0 or self.patience_s < 0:
            raise RetrievalError("quiet_s and patience_s must not be below 0.")


def watch(
    home: Home,
    library: str,
    paths: Sequence[Path],
    options: WatchOptions | None = None,
    ingest_options: IngestOptions | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
    on_report: Callable[[IngestReport | HomespunError], None] = lambda report: None,
    progress: Progress = no_progress,
) -> None:
    """Keep a library in step with files and folders until told to stop.

    The first round is an ordinary ingest; later ones look only at what was touched. A file that is being
    written is left until it rests. A round that fails is told, and tried again after a pause. It may be
    interrupted or killed at any moment.

    Args:
        home: where the library is.
        library: its name; it is made if it is not there.
        paths: files, folders and patterns.
        options: how often, and how long files must rest.
        ingest_options: as for `ingest`.
        stop: asked between two looks, and at least ten times a second while waiting.
        on_report: told what each round did, or why it failed.
        progress: of the round at work.

    Raises:
        RetrievalError: none of the paths is there, or there is no such embedder, when it begins.
    """
    check_there(paths)
    options = options or WatchOptions()
    watcher = _Watcher(home, library, paths, options, ingest_options or IngestOptions(), progress)
    watcher.open()
    n_failed = 0
    while not stop():
        try:
            report = watcher.round()
            n_failed = 0
        except HomespunError as error:
            n_failed += 1
            on_report(error)
        else:
            if report is not None:
                on_report(report)
        wake = time.monotonic() + options.interval_s * min(2**n_failed, _LONGEST_PAUSE)
        while not stop() and (left_s := wake - time.monotonic()) > 0:
            time.sleep(min(_NAP_S, left_s))


#: What changes when a file is written: its inode, size, time of change and time of status change.
_Stamp = tuple[int, int, int, int]


class _Watcher:
    def __init__(
        self,
        home: Home,
        library: str,
        paths: Sequence[Path],
        options: WatchOptions,
        ingest_options: IngestOptions,
        progress: Progress,
    ) -> None:
        self.home = home
        self.name = library
        self.paths = paths
        self.options = options
        self.ingest_options = ingest_options
        self.progress = progress
        self.library: Library | None = None
        #: Of each file: as it was ingested, as it was seen last, and since when it changes or rests.
        self.done: dict[Path, _Stamp] | None = None
        self.seen: dict[Path, _Stamp] = {}
        self.restless_since: dict[Path, float] = {}
        self.changed_at: dict[Path, float] = {}

    def open(self) -> Library:
        self.library = self.library or open_library(self.home, self.name, create=True)
        return self.library

    def round(self) -> IngestReport | None:
        """One look, and an ingest if something rests that is not in the library yet; else None."""
        now = self._look()
        busy = {path for path in now if self._is_busy(path, now[path])}
        done = self.done or {}
        to_do = {path for path, stamp in now.items() if path not in busy and done.get(path) != stamp}
        if self.done is not None and not to_do and set(done) <= set(now):
            return None
        same = {path for path, stamp in now.items() if done.get(path) == stamp}
        try:
            report = ingest(
                self.open(),
                self.paths,
                self.ingest_options,
                limits=model_limits(self.home),
                known=Known(same, busy),
                progress=self.progress,
            )
        except HomespunError:
            self.library = None  # it may be another one, or a whole one, by the next round
            raise
        # The stamps are of before the ingest: what changed since is seen by the next look.
        self.done = {path: stamp for path, stamp in now.items() if path not in busy}
        self.done |= {path: done[path] for path in busy if path in done}
        return report

    def _look(self) -> dict[Path, _Stamp]:
        found = find_files(self.paths, follow_links=self.ingest_options.follow_links)
        now: dict[Path, _Stamp] = {}
        for path in found.files:
            try:
                status = path.stat()
            except OSError:
                continue  # it went away just now
            now[path] = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if self.seen.get(path) != now[path]:
                # A file that is new to us was changed when it says, else it was just now.
                age_s = max(0.0, time.time() - status.st_mtime) if path not in self.seen else 0.0
                self.changed_at[path] = time.monotonic() - age_s
                self.restless_since.setdefault(path, self.changed_at[path])
        self.seen = now
        for gone in set(self.changed_at) - set(now):
            del self.changed_at[gone]
            self.restless_since.pop(gone, None)
        return now

    def _is_busy(self, path: Path, stamp: _Stamp) -> bool:
        moment = time.monotonic()
        if moment - self.changed_at[path] >= self.options.quiet_s:
            self.restless_since.pop(path, None)
            return False
        if moment - self.restless_since.setdefault(path, moment) >= self.options.patience_s:
            self.restless_since[path] = moment
            return False
        return True
