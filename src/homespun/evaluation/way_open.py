"""From a way's options to a way that can be asked; models, libraries and adapters are opened once for all."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from homespun.engines.engine import Engine, EngineOptions
from homespun.engines.load import load_engine, model_path
from homespun.engines.providers import remote_model
from homespun.engines.use_adapter import use_adapter
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.gold import GoldFinder
from homespun.evaluation.questions import Question
from homespun.evaluation.way_asked import (
    AskedWay,
    HitsOf,
    WholeDocument,
    gold_passages,
    gold_sentences,
)
from homespun.evaluation.way_digest import question_key, way_digest
from homespun.evaluation.way_no_model import no_model
from homespun.evaluation.way_options import WITH_ADAPTER, WITH_LIBRARY, WayOptions
from homespun.evaluation.way_prompted import RULES, PromptedWay, shot_messages
from homespun.evaluation.ways import Way
from homespun.models.adapter_path import adapter_path, check_not_refused
from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.rag.answer import AnswerOptions
from homespun.rag.prompt import SYSTEM_RULE, prompt_messages
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.find import RerankOptions
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.rerank import Reranker
from homespun.retrieval.rerank_open import open_rerankers
from homespun.retrieval.search import Hit, SearchOptions, search
from homespun.tuning.adapters import find_adapter

#: Passages where nothing else is said: to choose sentences from, and to write from.
N_QUOTED, N_READ = 10, 3


@dataclass(frozen=True)
class OpenedWay:
    """A way, and what is known of it without asking.

    Attributes:
        key_of: what of a question it sees.
        is_alone_alike: whether an answer is the same whatever is asked with it, or asking again costs money.
    """

    way: Way
    options: WayOptions
    library: Library | None
    key_of: Callable[[Question], str]
    is_alone_alike: bool


class WayOpener:
    """Opens ways for a `with` block."""

    def __init__(self, home: Home, shots: Sequence[Question] = (), progress: Progress = no_progress) -> None:
        self.home, self.shots, self.progress = home, tuple(shots), progress
        self._stack = ExitStack()
        self._engines: dict[tuple[str, str, str, int], Engine] = {}
        self._libraries: dict[str, Library] = {}
        self._finders: dict[str, GoldFinder] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def check(self, options: WayOptions) -> None:
        """Refuse what is not there before anything is loaded.

        Raises:
            HomespunError: no such model, adapter or library, or a way that lacks one.
        """
        if options.kind in WITH_LIBRARY:
            if not options.library:
                raise EvaluationError(
                    f"The way {options.kind} answers from a library, and none is named.",
                    remedy="Name one with --library NAME (homespun ingest FOLDER makes one).",
                )
            Library.open(self.home, options.library)
        if options.kind in WITH_ADAPTER and not options.adapter:
            raise EvaluationError(
                f"The way {options.kind} needs an adapter, and none is named.",
                remedy="Name one with --adapter NAME (homespun tune makes one).",
            )
        if options.adapter:
            check_not_refused(adapter_path(self.home, options.adapter))
        if options.kind == "few-shot" and not self.shots:
            raise EvaluationError(
                "The way few-shot shows answered questions, and there are none to show.",
                remedy="Name a file of them with --train, or let the set have a split named train.",
            )
        if options.kind != "quote" and remote_model(options.model or None) is None:
            model_path(self.home, options.model or None)

    def library(self, name: str) -> Library:
        """An open library."""
        if name not in self._libraries:
            self._libraries[name] = open_library(self.home, name)
        return self._libraries[name]

    def finder(self, name: str) -> GoldFinder:
        """Where answers stand in a library."""
        if name not in self._finders:
            self._finders[name] = GoldFinder(self.library(name))
        return self._finders[name]

    def engine(self, options: WayOptions) -> Engine:
        """A loaded model."""
        key = (options.model, options.engine, options.mode, options.window)
        if key not in self._engines:
            loaded = load_engine(
                self.home,
                options.model or None,
                EngineOptions(mode=options.mode, window=options.window),
                engine=options.engine,
                progress=self.progress,
            )
            self._engines[key] = self._stack.enter_context(loaded)
        return self._engines[key]

    def open(self, name: str, options: WayOptions) -> OpenedWay:
        """A way by its name and options.

        Raises:
            HomespunError: what it needs is not there, or cannot be run.
        """
        self.check(options)
        engine = no_model() if options.kind == "quote" else self.engine(options)
        library = self.library(options.library) if options.kind in WITH_LIBRARY else None
        folder = adapter_path(self.home, options.adapter) if options.adapter else None
        adapter = use_adapter(engine, self.home, options.adapter) if options.adapter else None
        if options.kind == "tuned+retrieve":
            options = self._as_tuned(options)
        shots = self.shots[: options.shots] if options.kind == "few-shot" else ()
        digest = way_digest(
            options,
            engine=None if options.kind == "quote" else engine,
            adapter=folder,
            library=library,
            shots=shots,
            prompts=(RULES[options.rule], SYSTEM_RULE),
        )
        way: Way
        if library is None:
            rule = "" if options.kind == "tuned" else RULES[options.rule]  # as it was tuned
            messages = partial(shot_messages, rule, shots)
            way = PromptedWay(name, digest, engine, messages, options.max_new_tokens, adapter)
        else:
            way = AskedWay(
                name,
                digest,
                library,
                engine,
                _answer_options(options),
                self._hits_of(options, library, engine),
                adapter,
            )
        is_alone_alike = options.kind == "quote" or options.mode == "exact" or engine.facts.engine == "remote"
        return OpenedWay(way, options, library, partial(question_key, options), is_alone_alike)

    def _as_tuned(self, options: WayOptions) -> WayOptions:
        """With the passages and the reranker that the adapter was tuned with, where nothing else is said."""
        lineage = find_adapter(self.home, options.adapter).lineage
        tuned = lineage.options if lineage is not None and lineage.options.get("library") else {}
        return replace(
            options,
            passages=options.passages or int(tuned.get("passages", N_READ)),
            rerank=options.rerank or str(tuned.get("rerank", "off")),
        )

    def _hits_of(self, options: WayOptions, library: Library, engine: Engine) -> HitsOf | None:
        kind = options.kind
        if kind in ("gold-passage", "gold-sentence"):
            finder = self.finder(options.library)
            return gold_passages(finder) if kind == "gold-passage" else gold_sentences(finder)
        wants = options.rerank not in ("", "off")
        if kind in ("quote", "retrieve") and not wants:
            return None
        rerankers = self._rerankers(options) if wants else []
        n = n_passages(options)

        def find(question: str) -> list[Hit]:
            return search(library, question, SearchOptions(n_hits=n), rerankers=rerankers)

        if kind == "whole-document":
            bare = len(engine.template.encode(prompt_messages(SYSTEM_RULE, "", (), ())))
            room = engine.facts.window - bare - options.max_new_tokens - 300  # the question and the title
            return WholeDocument(self.finder(options.library), find, engine.tokenizer.count, room)
        return lambda question: find(question.question)

    def _rerankers(self, options: WayOptions) -> list[Reranker]:
        library = self.library(options.library)
        kinds = RerankOptions(options.rerank).kinds()
        opening = open_rerankers(
            self.home,
            kinds,
            embedder=library.facts.embedder_name,
            model=options.model or None,
            progress=self.progress,
        )
        try:
            return self._stack.enter_context(opening)
        except RetrievalError:
            if options.rerank != "auto":
                raise
            return []  # an embedder without token states: nothing to rerank by


def adapter_note(home: Home, options: WayOptions) -> str:
    """What is to be known of a way's adapter: one that never saw passages hardly uses them; empty: nothing."""
    if options.kind != "tuned+retrieve" or not options.adapter:
        return ""
    lineage = find_adapter(home, options.adapter).lineage
    if lineage is None or lineage.options.get("library"):
        return ""
    return (
        f"The adapter {options.adapter} was not tuned on passages; `homespun tune QUESTIONS --library "
        f"{options.library}` tunes one that is."
    )


def n_passages(options: WayOptions) -> int:
    """How many passages a way asks for."""
    return options.passages or (N_QUOTED if options.kind == "quote" else N_READ)


def _answer_options(options: WayOptions) -> AnswerOptions:
    is_own = options.kind in ("quote", "retrieve")
    return AnswerOptions(
        style="quote" if options.kind == "quote" else "write",
        n_passages=n_passages(options),
        max_new_tokens=options.max_new_tokens,
        may_abstain=is_own and options.abstain,
    )
