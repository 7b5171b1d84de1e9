"""Ingests that are killed at random moments, and what of their libraries is left."""

import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _mixed_files import KINDS, Writer

from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.retrieval.check import check_library
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import ingest

CHILD = Path(__file__).with_name("_kill_child.py")
N_FILES = 12
_SECONDS_A_PASSAGE = 0.01
#: Kept small: what is tried is the writing, not the reading.
_ENDINGS = (".txt", ".md", ".html", ".csv", ".docx", ".pdf")


class Folder:
    """A folder of files that changes as people change theirs."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self._random = random.Random(seed)
        self._writer = Writer(seed)
        for _ in range(N_FILES):
            self._add()

    def change(self) -> None:
        """A few edits, removals, renames, copies, new files and archives."""
        for _ in range(self._random.randint(1, 5)):
            files = sorted(path for path in self.path.rglob("*") if path.is_file())
            kind = self._random.choice(("add", "add", "edit", "remove", "rename", "copy", "archive"))
            if kind == "add" or len(files) < N_FILES // 2:
                self._add()
                continue
            path = self._random.choice(files)
            if kind == "edit" and path.suffix in KINDS:
                path.write_bytes(self._content(path.suffix))
            elif kind == "remove":
                path.unlink()
            elif kind == "rename":
                path.rename(self._new(path.suffix))
            elif kind == "copy":
                shutil.copy(path, self._new(path.suffix))
            elif kind == "archive":
                self._archive(files[:3])

    def _archive(self, files: list[Path]) -> None:
        with zipfile.ZipFile(self._new(".zip"), "w", zipfile.ZIP_DEFLATED) as archive:
            for path in files:
                if path.suffix != ".zip":
                    archive.write(path, path.name)

    def _add(self) -> None:
        path = self._new(self._random.choice(_ENDINGS))
        path.write_bytes(self._content(path.suffix))

    def _content(self, ending: str) -> bytes:
        return KINDS[ending][0](self._writer.paragraphs(self._random.randint(20, 500)))

    def _new(self, ending: str) -> Path:
        folder = self.path / self._random.choice(("", "one", "two"))
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{self._random.randint(0, 10**9)}{ending}"


def run_kills(n: int, seed: int = 1, rounds_a_library: int = 5) -> dict[str, Any]:
    """Kill `n` ingests; after each, what readers see must be whole, and after the next complete ingest the
    library must equal one that was made of the same files in one go.

    Args:
        n: kills.
        seed: of files, changes and moments.
        rounds_a_library: so many times one library's folder changes and its ingest is killed, one to three
            times in a row, before a new library begins.
    """
    moments = random.Random(seed)
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        n_killed = n_libraries = 0
        while n_killed < n:
            n_libraries += 1
            home, folder = top / f"home{n_libraries}", Folder(top / f"files{n_libraries}", seed + n_libraries)
            length_s = 3.0  # of an ingest, learned from those that were not killed in time
            for _ in range(rounds_a_library):
                for _ in range(min(moments.randint(1, 3), n - n_killed)):
                    ended, lasted_s = _kill_one(home, folder.path, moments.uniform(0, length_s))
                    length_s = min(length_s, lasted_s * 1.1) if ended == "finished" else length_s * 1.02
                    outcomes[ended] += 1
                    n_killed += ended == "killed"
                    faults += [f"after kill {n_killed}: {what}" for what in seen_by_readers(home)]
                faults += [f"after kill {n_killed}: {what}" for what in compared(home, folder.path, top)]
                folder.change()
            shutil.rmtree(home)
            shutil.rmtree(folder.path)
    return {
        "processor": processor_name(),
        "seed": seed,
        "n_killed": n_killed,
        "n_finished_before": outcomes["finished"],
        "n_libraries": n_libraries,
        "seconds": time.monotonic() - started,
        "faults": faults,
    }


def _kill_one(home: Path, folder: Path, after_s: float) -> tuple[str, float]:
    """Start an ingest and kill it so long after it began; how it ended, and how long it ran."""
    command = [sys.executable, str(CHILD), str(home), str(folder), str(_SECONDS_A_PASSAGE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        if child.stdout.readline() != "started\n":
            raise RuntimeError("the ingest did not begin")
        began = time.monotonic()
        try:
            child.wait(after_s)
        except subprocess.TimeoutExpired:
            child.kill()
        code = child.wait()
        if code > 0:
            raise RuntimeError(f"the ingest failed with code {code}")
        return ("killed" if code < 0 else "finished"), time.monotonic() - began


def seen_by_readers(home: Path) -> list[str]:
    """What is wrong with what a reader sees right after a kill; documents not yet committed are no fault."""
    library = Library.open(Home.open(home), "kills")
    wrong = []
    for document in library.documents():
        if document.status == "not read":
            continue
        text, passages = library.text(document.name), library.passages(document.name)
        if len(passages) != document.n_passages or len(text) != document.n_chars:
            wrong.append(f"{document.name} is there in part")
        if any(text[passage.start : passage.end] != passage.text for passage in passages):
            wrong.append(f"{document.name} has passages of another text")
    return wrong


def compared(home: Path, folder: Path, top: Path) -> list[str]:
    """Finish the ingest, and name what differs from a clean run: lost, doubled, other."""
    library = Library.open(Home.open(home), "kills", HashEmbedder())
    ingest(library, [folder])
    with tempfile.TemporaryDirectory(dir=top) as name:
        clean = Library.open(Home.open(Path(name)), "kills", HashEmbedder(), create=True)
        ingest(clean, [folder])
        ours, theirs = rows_of(library), rows_of(clean)
    wrong = [f"lost: {row[:2]}" for row in (theirs - ours)] + [
        f"doubled or stale: {row[:2]}" for row in (ours - theirs)
    ]
    return wrong + [problem.what for problem in check_library(library).problems]


def rows_of(library: Library) -> Counter[tuple[Any, ...]]:
    """Every row that a library holds, names aside: those depend on which file was there first."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for document in library.documents():
        fields = asdict(document)
        fields.pop("name")
        rows["document", document.source, *map(str, fields.values())] += 1
    columns = ("content_id", "number", "start", "end", "page", "headings", "text", "keywords", "vector")
    for batch in library.tables.all_passages(columns):
        for row in batch.to_pylist():
            vector = tuple(row.pop("vector"))
            rows["passage", row["content_id"], *map(str, row.values()), vector] += 1
    for batch in library.tables.all_texts():
        for row in batch.to_pylist():
            rows["text", *map(str, row.values())] += 1
    return rows


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    return "\n".join(
        [
            f"{report['processor']}; {report['n_killed']} ingests killed in {report['n_libraries']} libraries, "
            f"{report['n_finished_before']} more had finished before, {report['seconds']:.0f} s",
            f"lost, doubled, stale or in part: {len(report['faults'])}",
            *report["faults"][:20],
            "FAILED" if report["faults"] else "passed",
        ]
    )
