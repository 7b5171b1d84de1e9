"""Which way of answering wins on one's own questions: all ways on the same questions, scored and compared."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from homespun import __version__
from homespun.engines.processor import processor_name
from homespun.errors import HomespunError
from homespun.evaluation.asking import AskedWayResult, ask_way, draw_sample, shuffled
from homespun.evaluation.causes import CauseFinder, count_causes
from homespun.evaluation.choosing import choose_settings
from homespun.evaluation.comparison import AskedQuestion, CompareOptions, Comparison, WayResult, WayRow
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.questions import Question, QuestionSet, questions_digest
from homespun.evaluation.verdict import compared_pairs, judge
from homespun.evaluation.way_open import OpenedWay, WayOpener, adapter_note
from homespun.evaluation.way_options import ORACLES, WITH_LIBRARY, WayOptions
from homespun.evaluation.way_result import scored_row, way_result
from homespun.evaluation.ways import Answered
from homespun.models.home import Home
from homespun.progress import Progress, no_progress

OnAnswer = Callable[[str, Answered, bool], None]
Ways = Sequence[tuple[str, WayOptions]]


def compare(
    home: Home,
    questions: QuestionSet,
    ways: Ways,
    options: CompareOptions = CompareOptions(),
    *,
    shots: Sequence[Question] = (),
    name: str = "",
    progress: Progress = no_progress,
    on_answer: OnAnswer | None = None,
) -> Comparison:
    """Ask all questions in all ways, score the answers, find why the wrong ones are wrong, and judge.

    Answers are kept under a digest of everything that can change them, so a run that was stopped goes on
    where it was, and a second one asks only what is new. A way that breaks is told of; the rest is scored.

    Args:
        home: models, libraries, adapters, and the cache of answers.
        questions: all, or one split of them.
        ways: names and options (`way_options.parse_ways`).
        options: sample, what decides, oracles.
        shots: answered questions of the train split, for few-shot ways and for choosing sizes; those that are
            asked themselves are left out.
        name: under which the comparison is to be kept; empty: from the set and the time.
        progress: told how many answers there are, of how many.
        on_answer: told each answer as it comes.

    Raises:
        EvaluationError: no way, two of the same name, or options that measure nothing.
        HomespunError: a model, library or adapter that is not there.
    """
    ways = _with_oracles(ways, options)
    asked = draw_sample(questions.questions, options.sample, options.seed)
    words = {one.question for one in asked}
    shown = [one for one in shots if one.question not in words]
    clock = _Clock()
    with WayOpener(home, shown, progress) as opener:
        for _, way in ways:
            opener.check(way)
        with clock.timed("choosing"):
            ways, chosen = choose_settings(home, opener, ways, shown, options, progress)
        order = shuffled(asked, options.seed) if options.shuffle else asked
        tell = _counting(progress, on_answer, len(ways) * len(asked))
        results: list[WayResult] = []
        finders: dict[str, CauseFinder] = {}
        for way_name, way in ways:
            with clock.timed(f"asking {way_name}"):
                opened, answered = _ask(home, opener, way_name, way, order, options, tell)
            places = {one.question_id: one for one in answered.answers}
            with clock.timed("scoring"):
                gold = opener.finder(way.library) if way.kind in WITH_LIBRARY else None
                rows = [scored_row(one, places[one.id], gold) for one in asked]
            with clock.timed("causes"):
                if way.library and way.kind in WITH_LIBRARY and way.library not in finders:
                    finders[way.library] = _finder(opener, way.library, questions.questions)
                finder = finders.get(way.library) if way.kind in WITH_LIBRARY else None
                rows = _with_causes(rows, asked, way, finder, questions.questions, way_name, progress)
            with clock.timed("statistics"):
                kept = opened.options if opened is not None else way
                digest = opened.way.digest if opened is not None else ""
                results.append(way_result(way_name, kept, digest, rows, asked, answered, options.seed))
    with clock.timed("statistics"):
        pairs = compared_pairs(results, options.by, _clusters(asked), options.seed)
        winner, verdict = judge(results, pairs, options.by)
        causes = count_causes(results)
    made = datetime.now(UTC).isoformat(timespec="seconds")
    set_name = questions.path.name if questions.path is not None else "questions"
    return Comparison(
        name=name or f"{set_name.rsplit('.', 1)[0]}-{made.replace(':', '')[:17]}",
        made=made,
        set_name=set_name,
        set_digest=questions.digest,
        digest=questions_digest(asked),
        options=options,
        questions=tuple(_shown(one) for one in asked),
        ways=tuple(results),
        pairs=pairs,
        winner=winner,
        verdict=verdict,
        causes=causes,
        phases=clock.seconds,
        versions={"homespun": __version__},
        machine=processor_name(),
        notes=(*chosen, *_adapter_notes(home, ways), *_notes(questions, asked, results)),
    )


def _with_oracles(ways: Ways, options: CompareOptions) -> Ways:
    """Refuses what cannot be compared; adds the oracles that are asked for."""
    names = [name for name, _ in ways]
    if not ways:
        raise EvaluationError("No way is named.")
    if len(set(names)) != len(names):
        raise EvaluationError("Two ways have the same name.")
    if not options.oracle:
        return ways
    with_library = [way for _, way in ways if way.kind in WITH_LIBRARY]
    if not with_library:
        raise EvaluationError("An oracle gives passages of a library, and no way here reads one.")
    base = next((way for way in with_library if way.kind == "retrieve"), with_library[-1])
    added = [
        (kind, replace(base, kind=kind, passages=0, rerank="", adapter="", window=0))
        for kind in ORACLES
        if kind not in names
    ]
    return [*ways, *added]


def _ask(
    home: Home,
    opener: WayOpener,
    name: str,
    way: WayOptions,
    order: Sequence[Question],
    options: CompareOptions,
    tell: OnAnswer,
) -> tuple[OpenedWay | None, AskedWayResult]:
    try:
        opened = opener.open(name, way)
    except HomespunError as error:  # such as an engine that cannot run the model
        sentence = error.sentence()
        answers = tuple(Answered(one.id, "", error=sentence) for one in order)
        for one in answers:
            tell(name, one, False)
        return None, AskedWayResult(answers, crashed=sentence)
    return opened, ask_way(home, opened, order, cache=options.cache, on_answer=tell)


def _with_causes(
    rows: Sequence[WayRow],
    asked: Sequence[Question],
    way: WayOptions,
    finder: CauseFinder | None,
    everything: Sequence[Question],
    name: str,
    progress: Progress,
) -> list[WayRow]:
    own = finder or CauseFinder(None, everything)
    found = []
    for place, (question, row) in enumerate(zip(asked, rows, strict=True)):
        if place % 16 == 0:
            progress(f"Finding causes: {name}", place, len(rows))
        found.append(replace(row, cause=own.cause(question, row, way)))
    return found


def _finder(opener: WayOpener, library: str, questions: Sequence[Question]) -> CauseFinder:
    return CauseFinder(opener.finder(library), questions)


def _clusters(asked: Sequence[Question]) -> list[str] | None:
    """The document of each question, as its cluster; None where no two share one."""
    names = [one.document or f"\0{one.id}" for one in asked]
    return names if len(set(names)) < len(names) else None


def _shown(question: Question) -> AskedQuestion:
    return AskedQuestion(
        question.id,
        question.question,
        question.answers,
        question.document,
        question.unanswerable,
        tuple(
            f"{source.document}: {source.text}" if source.text else source.document
            for source in question.sources
        ),
    )


def _adapter_notes(home: Home, ways: Ways) -> list[str]:
    return [note for note in dict.fromkeys(adapter_note(home, way) for _, way in ways) if note]


def _notes(
    questions: QuestionSet, asked: Sequence[Question], results: Sequence[WayResult]
) -> tuple[str, ...]:
    notes = [f"Line {one.line} of the questions was left out: {one.what}" for one in questions.problems]
    if len(asked) < len(questions.questions):
        notes.append(f"A sample of {len(asked)} of {len(questions.questions)} questions.")
    if any(way.options.mode == "fast" and way.options.kind != "quote" for way in results):
        notes.append(
            "In fast mode an answer may change in a few cases when it is asked beside others; exact mode does not."
        )
    for way in results:
        if way.n_compared:
            notes.append(
                f"{way.name}: {way.n_changed} of {way.n_compared} answers differ from those that were kept "
                f"({way.n_changed / way.n_compared:.1%})."
            )
    return tuple(notes)


def _counting(progress: Progress, on_answer: OnAnswer | None, total: int) -> OnAnswer:
    n_done = 0

    def tell(way: str, answered: Answered, is_kept: bool) -> None:
        nonlocal n_done
        n_done += 1
        progress("Answering", n_done, total)
        if on_answer is not None:
            on_answer(way, answered, is_kept)

    return tell


class _Clock:
    """Seconds by what was done."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - begin
