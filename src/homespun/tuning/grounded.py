"""Questions as the model will meet them in `ask`: behind the passages that the library's own search finds.

A model that is to answer from passages has to be tuned on passages: the same rule, the same layout, the same
search, its mistakes included. What is learnt is the short answer, or the refusal where there is none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from homespun.models.home import Home
from homespun.models.template import Message
from homespun.progress import Progress, no_progress
from homespun.rag.prompt import SYSTEM_RULE, prompt_messages
from homespun.retrieval.find import RerankOptions, open_finder
from homespun.retrieval.search import Hit, SearchOptions
from homespun.tuning.errors import DataError
from homespun.tuning.examples import Example


@dataclass(frozen=True)
class GroundOptions:
    """How passages are put before the questions of a question set."""

    library: str = field(default="", metadata={"help": "learn to answer from passages of this library"})
    passages: int = field(default=3, metadata={"help": "passages before each question, with --library"})
    rerank: str = field(default="auto", metadata={"help": "how they are ranked, as in `search`"})


def ground(
    home: Home, examples: Sequence[Example], options: GroundOptions, *, progress: Progress = no_progress
) -> tuple[Example, ...]:
    """Each example with the passages that its last question finds, as `ask` would put them.

    Raises:
        DataError: an example that is not one question and its answer.
        LibraryError: no such library.
    """
    search_options = SearchOptions(n_hits=options.passages)
    with open_finder(
        home, options.library, search_options, RerankOptions(options.rerank), progress=progress
    ) as find:
        found = []
        for place, example in enumerate(examples):
            progress(f"Finding passages in {options.library}", place, len(examples))
            found.append(_grounded(example, find))
    return tuple(found)


def _grounded(example: Example, find: Callable[[str], list[Hit]]) -> Example:
    roles = [message.role for message in example.messages if message.role != "system"]
    if roles != ["user", "assistant"]:
        raise DataError(
            "only rows of one question and its answer can be put behind passages",
            where=f"{example.file}:{example.line}",
            remedy="Leave --library out, or give a question set.",
        )
    question, answer = example.messages[-2:]
    passages = [hit.passage for hit in find(question.content)]
    turns = prompt_messages(SYSTEM_RULE, question.content, (), passages)
    return replace(example, messages=(*turns, Message("assistant", answer.content)))
