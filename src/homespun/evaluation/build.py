"""The whole road: documents and questions in, the way that wins out, with its evidence.

Each stage can be done again at little cost: reading is by content, answers are kept, a tuning run goes on, and
a finished adapter is known by what it was tuned on. So a road that was cut goes on with the same command.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homespun.evaluation.build_options import ENOUGH_TO_TUNE, BuildOptions
from homespun.evaluation.compare import compare
from homespun.evaluation.comparison import CompareOptions, Comparison
from homespun.evaluation.comparison_store import keep_comparison
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.promote import ABLE, promote_winner
from homespun.evaluation.question_check import check_questions
from homespun.evaluation.question_split import split_questions
from homespun.evaluation.questions import Question, QuestionSet, questions_digest, read_questions
from homespun.evaluation.way_options import WayOptions, parse_ways
from homespun.models.home import Home
from homespun.models.registry import checked_name
from homespun.models.storage import write_atomically
from homespun.progress import Progress, no_progress
from homespun.retrieval.intake import ingest_paths
from homespun.tuning.adapters import read_lineage
from homespun.tuning.data.proposals.options import ProposeOptions
from homespun.tuning.data.proposals.propose import propose_pairs, save_proposals
from homespun.tuning.grounded import GroundOptions
from homespun.tuning.options import TuneOptions
from homespun.tuning.tune import tune


@dataclass(frozen=True)
class Stage:
    """One stage as it ended: its name, a sentence, seconds."""

    name: str
    what: str
    seconds: float


@dataclass(frozen=True)
class BuildReport:
    """What was built.

    Attributes:
        stages: those that were gone through, in order.
        waits_for: what only the person can do now; empty where the road is at its end.
        comparison: the last one's name; empty before the first.
        winner: the way that won and is the library's default now; empty where none is shown to be better.
        serve: the command that uses it.
    """

    library: str
    stages: tuple[Stage, ...]
    waits_for: str
    comparison: str
    adapter: str
    winner: str
    verdict: tuple[str, ...]
    serve: str


def build(
    home: Home,
    documents: Path,
    questions: Path | None = None,
    options: BuildOptions = BuildOptions(),
    *,
    model: str | None = None,
    progress: Progress = no_progress,
    on_stage: Callable[[Stage], None] = lambda stage: None,
) -> BuildReport:
    """Read the documents, compare the ways, tune where the questions suffice, compare again, promote the winner.

    Args:
        documents: a folder or file.
        questions: a question set; without one, questions are proposed and the road waits for the person.
        model: the language model; None: the home's default one.
        on_stage: told each stage as it ends.

    Raises:
        LibraryError: the documents cannot be read into a library.
        EvaluationError: the question set cannot be used.
    """
    road = _Road(home, documents, options, model, progress, on_stage)
    road.read()
    if questions is None:
        return road.propose()
    test, train = road.sides(questions)
    found = road.compare(test, train, parse_ways(options.ways, road.base))
    adapter = road.tune(train)
    if adapter:
        tuned = replace(road.base, kind="tuned+retrieve", adapter=adapter)
        ways = (*parse_ways(options.ways, road.base), ("tuned+retrieve", tuned))
        found = road.compare(test, train, ways)
    return road.promote(found, adapter)


class _Road:
    def __init__(
        self,
        home: Home,
        documents: Path,
        options: BuildOptions,
        model: str | None,
        progress: Progress,
        on_stage: Callable[[Stage], None],
    ) -> None:
        self.home, self.documents, self.options = home, documents, options
        self.model, self.progress, self.on_stage = model, progress, on_stage
        self.library = checked_name(options.library or documents.resolve().name.lower(), "library")
        self.base = WayOptions(library=self.library, model=model or "")
        self.folder = home.root / "builds" / self.library
        self.stages: list[Stage] = []
        self._begun = time.monotonic()

    def read(self) -> None:
        report = ingest_paths(self.home, self.library, [self.documents], progress=self.progress)
        n_whole = len(report.added) + len(report.updated) + len(report.renamed) + len(report.unchanged)
        told = [f"{n_whole} documents, {report.n_passages:,} passages"]
        told += [f"{one.name}: {one.reason}" for one in (*report.not_read, *report.partly_read)]
        self._ended("read", "; ".join(told))

    def propose(self) -> BuildReport:
        """Only a person can say which questions matter and which answers are right."""
        path = self._made_folder() / "proposed.jsonl"
        if not path.exists():
            made = propose_pairs(
                self.home,
                self.library,
                ProposeOptions(n=self.options.propose, seed=self.options.seed),
                model=self.model,
                progress=self.progress,
            )
            save_proposals(path, made.pairs)
        n_rows = len(path.read_text("utf-8").splitlines())
        self._ended("propose", f"{n_rows} questions proposed in {path}")
        return self._report(
            f"Read {path}, mend or remove what is wrong, add your own questions, and run: "
            f"homespun build {self.documents} {path}",
            None,
            "",
            "",
        )

    def sides(self, path: Path) -> tuple[QuestionSet, list[Question]]:
        """The questions to compare on, and those to learn from: never of the same document."""
        read = read_questions(path)
        findings = check_questions(read, progress=self.progress).findings
        errors = [finding.what for finding in findings if finding.severity == "error"]
        if {one.split for one in read.questions} >= {"train", "test"}:
            test, train = read.of_split("test").questions, read.of_split("train").questions
        else:
            split = split_questions(read.questions, self.options.test_share, self.options.seed)
            test, train = split.test, split.train
        told = f"{len(test)} questions to compare on, {len(train)} to learn from, of other documents"
        self._ended("questions", "; ".join([told, *errors]))
        return QuestionSet(tuple(test), questions_digest(test), (), read.path), list(train)

    def compare(
        self, test: QuestionSet, train: Sequence[Question], ways: Sequence[tuple[str, WayOptions]]
    ) -> Comparison:
        options = CompareOptions(sample=self.options.sample, seed=self.options.seed)
        found = compare(self.home, test, ways, options, shots=train, progress=self.progress)
        keep_comparison(self.home, found)
        self._ended("compare", " ".join(found.verdict))
        return found

    def tune(self, train: Sequence[Question]) -> str:
        """The adapter's name; empty where tuning is not tried."""
        if not self.options.tuned:
            return ""
        if len(train) < ENOUGH_TO_TUNE:
            self._ended(
                "tune", f"not tried: {len(train)} questions to learn from, {ENOUGH_TO_TUNE} are needed"
            )
            return ""
        # Its place is part of a row's identity, so the file is the same on every start.
        path = self._made_folder() / "train.jsonl"
        text = "".join(json.dumps(one.row(), ensure_ascii=False) + "\n" for one in train)
        if not path.exists() or path.read_text("utf-8") != text:
            write_atomically(path, text)
        name = f"{self.library}-{questions_digest(train)[:8]}"
        lineage = read_lineage(self.home.adapters_path / name)
        if lineage is None or lineage.status != "finished":
            result = tune(
                self.home,
                [path],
                TuneOptions(max_steps=self.options.max_steps, seed=self.options.seed, samples=0),
                GroundOptions(self.library, self.options.passages),
                name=name,
                model=self.model,
                progress=self.progress,
            )
            told = (
                f"{name}: held-out loss {result.losses.heldout_first:.2f} to {result.losses.heldout_best:.2f}"
            )
        else:
            told = f"{name} is there already"
        self._ended("tune", told)
        return name

    def promote(self, found: Comparison, adapter: str) -> BuildReport:
        if not found.winner:
            waits = (
                "No way is shown to be better: ask more questions (`homespun questions check` says how many)."
            )
            self._ended("promote", "nothing: no way is shown to be better than all others")
            return self._report(waits, found, adapter, "")
        if found.way(found.winner).options.kind not in ABLE:
            self._ended("promote", f"nothing: {found.winner} won, and needs no library")
            return self._report("", found, adapter, found.winner)
        self._ended("promote", promote_winner(self.home, found, self.library))
        return self._report("", found, adapter, found.winner)

    def _report(self, waits_for: str, found: Comparison | None, adapter: str, winner: str) -> BuildReport:
        serve = f'homespun ask "..." --library {self.library}' if winner or found is None else ""
        return BuildReport(
            library=self.library,
            stages=tuple(self.stages),
            waits_for=waits_for,
            comparison=found.name if found else "",
            adapter=adapter,
            winner=winner,
            verdict=tuple(found.verdict) if found else (),
            serve=serve,
        )

    def _ended(self, name: str, what: str) -> None:
        now = time.monotonic()
        stage = Stage(name, what, now - self._begun)
        self._begun = now
        self.stages.append(stage)
        self.on_stage(stage)

    def _made_folder(self) -> Path:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvaluationError(
                f"The folder cannot be made ({error.strerror}).", where=str(self.folder)
            ) from None
        return self.folder
