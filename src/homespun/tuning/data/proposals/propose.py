"""From a library to proposed question/answer pairs, each with the place that it comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from homespun.engines.engine import EngineOptions
from homespun.engines.load import load_engine
from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval.library import Library
from homespun.retrieval.open import open_library
from homespun.retrieval.search import SearchOptions, search
from homespun.tuning.data.import_file import check_new, write_rows
from homespun.tuning.data.likeness import plain
from homespun.tuning.data.proposals.answers import Asked, answer_places
from homespun.tuning.data.proposals.options import ProposeOptions
from homespun.tuning.data.proposals.questions import write_questions
from homespun.tuning.errors import DataError

#: Sentences whose questions are written in one batch.
_AT_ONCE = 8


@dataclass(frozen=True)
class Proposal:
    """A question, its answer word for word, and where that stands.

    Attributes:
        sentence: the quotation that holds the answer.
        passage: what stands around it.
        answer_score: mean log-probability of the answer's tokens, given sentence and question, in nats.
    """

    question: str
    answer: str
    document: str
    sentence: str
    passage: str
    answer_score: float

    def row(self) -> dict[str, Any]:
        """As a row of a question set."""
        source = [{"document": self.document, "text": self.sentence}]
        return {"question": self.question, "answers": [self.answer], "source": source}


@dataclass(frozen=True)
class Proposals:
    """What is proposed, and how many sentences were tried for it."""

    pairs: tuple[Proposal, ...]
    n_tried: int
    model: str


def propose_pairs(
    home: Home,
    library: str | Library,
    options: ProposeOptions = ProposeOptions(),
    *,
    model: str | None = None,
    on_pair: Callable[[Proposal], None] = lambda pair: None,
    progress: Progress = no_progress,
) -> Proposals:
    """Propose question/answer pairs from a library, for a person to look through.

    A sentence that holds a value, time, day or name is drawn; the model writes questions for it; kept is one
    that leads back: the model gives that answer to it, and a search for it finds its passage again.

    Args:
        model: writes the questions; None: the home's default one. A better model writes better questions.
        on_pair: told of each pair as it is found.

    Raises:
        LibraryError: no such library.
        DataError: no sentence in it can be asked for.
    """
    opened = open_library(home, library) if isinstance(library, str) else library
    places = answer_places(opened, options.seed)
    pairs: list[Proposal] = []
    seen: set[str] = set()
    n_tried = 0
    with load_engine(home, model, EngineOptions(), progress=progress) as engine:
        while len(pairs) < options.n and (batch := list(islice(places, _AT_ONCE))):
            n_tried += len(batch)
            written = write_questions(
                engine, batch, n_candidates=options.candidates, seed=options.seed + n_tried
            )
            for asked, questions in zip(batch, written, strict=True):
                kept = next((q for q in questions if _leads_back(opened, q.text, asked, options)), None)
                if kept is None or plain(kept.text) in seen or len(pairs) == options.n:
                    continue
                seen.add(plain(kept.text))
                pairs.append(
                    Proposal(
                        kept.text,
                        asked.answer,
                        asked.passage.document,
                        asked.sentence,
                        asked.passage.text,
                        kept.answer_score,
                    )
                )
                on_pair(pairs[-1])
            progress("proposing pairs", len(pairs), options.n)
    if not n_tried:
        raise DataError(
            f"no sentence of the library {opened.name!r} holds a value, time or name to ask for",
            remedy="Write questions by hand, or ingest more text.",
        )
    return Proposals(tuple(pairs), n_tried, model or home.default_model or "")


def save_proposals(out: Path, pairs: Sequence[Proposal]) -> None:
    """Write pairs as a question set, which `tune` and evaluations read.

    Raises:
        DataError: no pairs, or the file is there already.
    """
    if not pairs:
        raise DataError("there is no pair to write")
    check_new(out)
    write_rows(out, [pair.row() for pair in pairs])


def _leads_back(library: Library, question: str, asked: Asked, options: ProposeOptions) -> bool:
    if options.meaning:
        of_question, of_sentence = library.embedder.embed([question, asked.sentence], "query")
        if float(of_question @ of_sentence) < options.meaning:
            return False
    if not options.found_within:
        return True
    hits = search(library, question, SearchOptions())[: options.found_within]
    return any(asked.sentence in hit.passage.text for hit in hits)
