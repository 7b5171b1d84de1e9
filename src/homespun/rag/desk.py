"""A library and a model together, ready for questions: what `homespun ask` and a server open once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from homespun.engines.engine import Engine, EngineOptions
from homespun.engines.load import load_engine
from homespun.engines.use_adapter import use_adapter
from homespun.models.adapter_path import adapter_path
from homespun.models.home import Home
from homespun.models.template import Message
from homespun.progress import Progress, no_progress
from homespun.rag.answer import AnswerOptions, OnText, answer
from homespun.rag.default_way import DefaultWay, read_default_way
from homespun.rag.result import Answer
from homespun.retrieval.find import RerankOptions, find_passages
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.search import Hit, SearchOptions


class Desk:
    """Use it in a `with` block, or `close` it.

    Attributes:
        adapter: the loaded adapter that writes; None: the model itself.
        way: what a comparison promoted; it holds where style is auto. None: nothing, or a model was named.
    """

    def __init__(
        self,
        home: Home,
        library: Library,
        engine: Engine,
        adapter: str | None = None,
        way: DefaultWay | None = None,
    ) -> None:
        self.home = home
        self.library = library
        self.engine = engine
        self.adapter = adapter
        self.way = way

    @classmethod
    def open(
        cls,
        home: Home,
        library: str,
        model: str | None = None,
        options: EngineOptions = EngineOptions(),
        *,
        engine: str = "auto",
        adapter: str | None = None,
        progress: Progress = no_progress,
    ) -> "Desk":
        """Open a library and load a model, both at once, for each waits mostly for itself.

        Args:
            model, adapter: names; where both are None, those of the library's promoted way, if it has one.

        Raises:
            LibraryError: no such library.
            EmbedderError: the library's embedder is not there.
            UnknownModelError: no such model or adapter.
            ModelError, AdapterError: an adapter of another model.
            EngineError: no engine here can run it.
        """
        looked_at = Library.open(home, library)  # what is not there is told before a model is loaded
        way = read_default_way(looked_at) if model is None and adapter is None else None
        if way is not None:
            model, adapter = way.model or None, way.adapter or None
        if adapter is not None:
            adapter_path(home, adapter)

        def load() -> tuple[Engine, str | None]:
            loaded = load_engine(home, model, options, engine=engine, progress=progress)
            try:
                return loaded, None if adapter is None else use_adapter(loaded, home, adapter)
            except BaseException:
                loaded.close()
                raise

        with ThreadPoolExecutor(1) as pool:
            loading = pool.submit(load)
            try:
                opened = open_library(home, library)
                _warm(opened)
            except BaseException:
                if loading.exception() is None:
                    loading.result()[0].close()
                raise
            return cls(home, opened, *loading.result(), way)

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ask(
        self,
        question: str,
        options: AnswerOptions = AnswerOptions(),
        *,
        history: Sequence[Message] = (),
        on_text: OnText | None = None,
        progress: Progress = no_progress,
    ) -> Answer:
        """Answer one question. See `homespun.rag.answer.answer`."""
        way = self.way if options.style == "auto" and not history else None
        found: list[Hit] | None = None
        if way is not None:
            options = way.options(options)
            if way.rerank and question.strip():
                found = find_passages(
                    self.home,
                    self.library,
                    question,
                    SearchOptions(n_hits=way.n_passages),
                    RerankOptions(way.rerank),
                )
        answered = answer(
            question,
            self.library,
            self.engine,
            options,
            history=history,
            on_text=on_text,
            progress=progress,
            record_path=self.home.cache_path / "styles.json",
            adapter=self.adapter,
            found=found,
        )
        return answered if way is None else replace(answered, style_reason=way.reason)

    def close(self) -> None:
        """Free the model."""
        self.engine.close()


def _warm(library: Library) -> None:
    """Load what the first search needs, while the model loads."""
    library.embedder.embed(["warm"], "query")
    _ = library.tables
