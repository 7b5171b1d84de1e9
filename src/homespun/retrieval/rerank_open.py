"""From what a person asks for to open rerankers, closed again when they are no longer needed."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.open import find_embedder
from homespun.retrieval.rerank import Reranker

#: What can be asked for by name; a folder of a cross-encoder is asked for by its path.
KINDS = ("late", "model")


@contextmanager
def open_rerankers(
    home: Home,
    kinds: Sequence[str],
    *,
    embedder: str | None = None,
    model: str | None = None,
    progress: Progress = no_progress,
) -> Iterator[list[Reranker]]:
    """Open rerankers for a `with` block, in the order given.

    Args:
        home: where embedders and models are.
        kinds: `late` (the token states of an embedder), `model` (a language model), or the path of a
            cross-encoder's folder.
        embedder: whose token states; None: the default one.
        model: which language model; None: the default one.
        progress: told while a model is loaded.

    Raises:
        RetrievalError: none of these kinds.
        UnknownModelError, EngineError, EmbedderError: what was asked for is not there, or cannot be run.
    """
    with ExitStack() as opened:
        yield [_open(kind, home, embedder, model, progress, opened) for kind in kinds]


def _open(
    kind: str, home: Home, embedder: str | None, model: str | None, progress: Progress, opened: ExitStack
) -> Reranker:
    cache_path = home.cache_path / "openvino"
    if kind == "late":
        from homespun.retrieval.rerank_late import LateInteraction

        found = find_embedder(home, embedder)
        if not (found.path / "model.safetensors").is_file():
            raise RetrievalError(
                f"The embedder {found.name} does not give the states of single tokens, which this compares.",
                where=str(found.path),
                remedy="Rerank by the language model, or not at all.",
            )
        return LateInteraction.open(found.path, cache_path=cache_path)
    if kind == "model":
        from homespun.engines.load import load_engine
        from homespun.retrieval.rerank_model import QueryLikelihood

        return QueryLikelihood(opened.enter_context(load_engine(home, model, progress=progress)))
    if (Path(kind) / "config.json").is_file():
        from homespun.retrieval.rerank_cross import CrossEncoder

        return CrossEncoder.open(Path(kind), cache_path=cache_path)
    raise RetrievalError(
        f"There is no reranker {kind!r}: it is neither {' nor '.join(KINDS)}, nor a folder of a cross-encoder.",
        remedy=f"Choose {', '.join(KINDS)}, or the path of a folder with a BERT sequence classifier.",
    )
