"""The token-by-token view of an answer that a library's passages stand behind."""

from dataclasses import dataclass

from homespun.decoding.branch import branch
from homespun.decoding.trace import BuildPrompt, HesitationOptions, Trace, trace
from homespun.engines.engine import Engine, GenerateOptions
from homespun.rag.errors import AnswerError
from homespun.rag.prompt import fit_prompt
from homespun.rag.write import PROMPT_BEGINNINGS
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search


@dataclass(frozen=True)
class Grounded:
    """A question with what was found for it, ready to be traced and branched.

    Attributes:
        passages: name and text of each that fits into the prompt, best first.
        build: the prompt with any of them; those left in are numbered anew.
        n_dropped: found, but the window had no room for them.
    """

    question: str
    passages: tuple[tuple[str, str], ...]
    build: BuildPrompt
    options: GenerateOptions
    n_dropped: int


def ground(
    question: str,
    library: Library,
    engine: Engine,
    options: GenerateOptions = GenerateOptions(),
    *,
    n_passages: int = 4,
) -> Grounded:
    """Find passages for a question and put them into the prompt that style write uses.

    Args:
        n_passages: at most; each costs one more reading of prompt and answer when it is traced.

    Raises:
        AnswerError: an empty question, or less than one passage.
        QuestionTooLongError: the question alone does not fit the model's window.
        LibraryError: the library cannot be read.
    """
    if not question.strip():
        raise AnswerError("The question is empty.")
    if n_passages < 1:
        raise AnswerError(f"n_passages is {n_passages}; it must be 1 or more.")
    hits = [hit.passage for hit in search(library, question, SearchOptions(n_hits=n_passages))]
    fitted = fit_prompt(engine, question, hits, max_new_tokens=options.max_new_tokens)
    used = hits[: fitted.n_used]

    def build(places: tuple[int, ...]) -> tuple[int, ...]:
        some = [used[place] for place in places]
        return fit_prompt(engine, question, some, max_new_tokens=options.max_new_tokens).token_ids

    named = []
    for passage in used:
        page = f", page {passage.page}" if passage.page else ""
        heading = f" - {passage.headings[-1]}" if passage.headings else ""
        named.append((f"{passage.document}{page}{heading}", passage.text))
    stop = (*options.stop, *engine.template.stop_texts, *PROMPT_BEGINNINGS)
    asked = GenerateOptions(**{**options.__dict__, "stop": stop})
    return Grounded(question, tuple(named), build, asked, len(hits) - len(used))


def trace_answer(
    engine: Engine, grounded: Grounded, *, hesitation: HesitationOptions = HesitationOptions()
) -> Trace:
    """Write the answer and look at each token, and at what each passage changed. See `decoding.trace.trace`."""
    return trace(
        engine, grounded.question, grounded.build, grounded.options,
        passages=grounded.passages, hesitation=hesitation,
    )  # fmt: skip


def branch_answer(
    engine: Engine,
    grounded: Grounded,
    traced: Trace,
    position: int,
    token: str | int | None,
    *,
    hesitation: HesitationOptions = HesitationOptions(),
) -> Trace:
    """Put another token at a place of the answer and go on. See `decoding.branch.branch`."""
    return branch(
        engine, traced, position, token, grounded.build, grounded.options,
        passages=grounded.passages, hesitation=hesitation,
    )  # fmt: skip
