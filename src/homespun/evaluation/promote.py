"""The winning way becomes what `ask` does with a library, with the evidence beside it."""

from dataclasses import asdict

from homespun.evaluation.comparison import Comparison
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.way_open import n_passages
from homespun.evaluation.way_options import WITH_LIBRARY
from homespun.models.home import Home
from homespun.rag.default_way import DefaultWay, write_default_way
from homespun.retrieval.library import Library

#: Ways that `ask` can take.
ABLE = ("quote", "retrieve", "tuned+retrieve")


def promote_winner(home: Home, comparison: Comparison, library: str) -> str:
    """Write the winner of a comparison as a library's default way.

    Returns:
        what was done, in a sentence.

    Raises:
        EvaluationError: nobody won, or the winner is no way that `ask` can take.
        LibraryError: no such library.
    """
    if not comparison.winner:
        raise EvaluationError(
            "No winner is promoted, for none is shown to be better than all others.",
            remedy="Ask more questions, or leave out ways that need not be compared.",
        )
    way = comparison.way(comparison.winner)
    if way.options.kind not in ABLE:
        raise EvaluationError(
            f"{way.name} won, and `ask` cannot take it: it answers from passages.",
            remedy="Use `homespun run` with this model, or compare ways that read the library.",
        )
    name = library or way.options.library
    opened = Library.open(home, name)
    if way.options.kind in WITH_LIBRARY and way.options.library != name:
        raise EvaluationError(f"{way.name} won with the library {way.options.library!r}, not with {name!r}.")
    chosen = DefaultWay(
        style="quote" if way.options.kind == "quote" else "write",
        n_passages=n_passages(way.options),
        max_new_tokens=way.options.max_new_tokens,
        model=way.options.model,
        adapter=way.options.adapter,
        rerank="" if way.options.rerank == "off" else way.options.rerank,
        may_abstain=way.options.abstain and way.options.kind != "tuned+retrieve",
        evidence={
            "comparison": comparison.name,
            "made": comparison.made,
            "questions": comparison.digest,
            "way": way.name,
            "digest": way.digest,
            "correct": asdict(way.correct),
            "verdict": list(comparison.verdict),
        },
    )
    write_default_way(opened, chosen)
    return f"{way.name} is now the way in which `ask` answers from {name} (compared as {comparison.name})."
