"""What each quantized file answers right of the user's own questions, beside its source."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.evaluation.compare import compare
from homespun.evaluation.comparison import WayResult
from homespun.evaluation.intervals import Interval
from homespun.evaluation.questions import read_questions
from homespun.evaluation.statistics import Difference, paired_difference
from homespun.evaluation.verdict import values_of
from homespun.evaluation.way_options import WayKind, WayOptions
from homespun.models.home import Home
from homespun.progress import Progress, no_progress


@dataclass(frozen=True)
class Score:
    """Of one file on a question set.

    Attributes:
        correct: mean over all questions, with its 95% interval.
        more: how far it lies above the source's on the same questions; None of the source.
        n_questions: asked.
        problem: why answers are missing; empty: none is.
    """

    correct: Interval
    more: Difference | None
    n_questions: int
    problem: str = ""

    @property
    def is_surely_lower(self) -> bool:
        """The whole interval of the difference lies below 0."""
        return self.more is not None and self.more.high < 0


def score_models(
    home: Home,
    paths: Sequence[Path],
    questions: Path,
    library: str = "",
    progress: Progress = no_progress,
) -> dict[Path, Score]:
    """Ask each file all questions.

    Args:
        paths: of the files, the source first.
        library: answers are found in it; empty: the models answer from what they know.

    Raises:
        EvaluationError: no question set.
        LibraryError: no such library.
    """
    asked = read_questions(questions)
    kind: WayKind = "retrieve" if library else "prompt"
    ways = [(str(path), WayOptions(kind=kind, model=str(path), library=library)) for path in paths]
    result = compare(home, asked, ways, progress=progress)
    source = result.ways[0]
    return {
        path: _score(way, None if way is source else source)
        for path, way in zip(paths, result.ways, strict=True)
    }


def _score(way: WayResult, source: WayResult | None) -> Score:
    more = None
    if source is not None:
        more = paired_difference(values_of(way, "correct"), values_of(source, "correct"), None, 0)
    problem = "" if way.is_whole else way.crashed or f"{way.n_attempted - way.n_scored} questions failed"
    return Score(way.correct, more, way.n_attempted, problem)
