"""A text held against a library, sentence by sentence: what is there, what is there otherwise, what is nowhere."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from homespun.documents.read import read_document
from homespun.documents.sentences import split_sentences
from homespun.documents.split import Passage
from homespun.engines.engine import Engine
from homespun.evaluation.errors import EvaluationError
from homespun.evaluation.groundedness import groundedness
from homespun.evaluation.judge import Judge
from homespun.progress import Progress, no_progress
from homespun.rag.citations import Sources
from homespun.rag.prompt import fit_prompt
from homespun.rag.references import Reference, invented_references
from homespun.rag.result import Citation
from homespun.rag.signals import SignalOptions, draw_answers
from homespun.rag.support import NOT_SAID, Check, SupportChecker
from homespun.rag.words import content_terms
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search

Verdict = Literal["supported", "contradicted", "not found", "nothing to check"]

#: Reasons of the support check that say where a passage says something else.
_OTHERWISE = ("it says", "it denies", "it leaves out")


@dataclass(frozen=True)
class VerifyOptions:
    """How a text is held against a library."""

    n_passages: int = field(default=8, metadata={"help": "passages looked up for each sentence"})
    samples: int = field(
        default=5, metadata={"help": "with --question: answers drawn again to see whether they say the same"}
    )
    seed: int = field(default=0, metadata={"help": "of the drawn answers"})

    def __post_init__(self) -> None:
        if self.n_passages < 1:
            raise EvaluationError(f"n_passages is {self.n_passages}; it must be 1 or more.")
        if self.samples < 0:
            raise EvaluationError(f"samples is {self.samples}; it must be 0 or more.")


@dataclass(frozen=True)
class VerifiedSentence:
    """A sentence of the text.

    Attributes:
        start, end: its place in the text, in code points.
        verdict: "contradicted": nearly so in the library, with another number, name or "not"; "not found": no
            passage says it; "nothing to check": it claims nothing.
        groundedness: 0 to 1 (see `groundedness`); 0 where nothing is to check.
        reason: why it is not supported, in plain words.
        nearest: the place that says it, or comes nearest; None: nothing was found.
        invented: names, addresses and citations in it that no document contains.
        judged: the model's own probability that the passages say it; None: no model was asked.
        consistency: share of answers drawn again that say it too; None: none were drawn.
    """

    text: str
    start: int
    end: int
    verdict: Verdict
    groundedness: float
    reason: str = ""
    nearest: Citation | None = None
    invented: tuple[Reference, ...] = ()
    judged: float | None = None
    consistency: float | None = None

    @property
    def is_doubtful(self) -> bool:
        return self.verdict in ("contradicted", "not found")


@dataclass(frozen=True)
class Verification:
    """A text and its sentences, in order."""

    text: str
    library: str
    sentences: tuple[VerifiedSentence, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        """Sentences by verdict."""
        verdicts = [sentence.verdict for sentence in self.sentences]
        return {name: verdicts.count(name) for name in dict.fromkeys(verdicts)}

    @property
    def is_grounded(self) -> bool:
        """Whether no sentence is in doubt."""
        return not any(sentence.is_doubtful for sentence in self.sentences)

    def to_json(self) -> dict[str, Any]:
        """For other programs."""
        return {
            "library": self.library,
            "grounded": self.is_grounded,
            "counts": dict(self.counts),
            "sentences": [
                {
                    "text": one.text,
                    "start": one.start,
                    "end": one.end,
                    "verdict": one.verdict,
                    "groundedness": round(one.groundedness, 4),
                    "reason": one.reason,
                    "nearest": None if one.nearest is None else one.nearest.to_json(),
                    "invented": [reference.text for reference in one.invented],
                    "judged": one.judged,
                    "consistency": one.consistency,
                }
                for one in self.sentences
            ],
        }


def text_to_verify(answer: str) -> str:
    """A text as typed, or that of a file of this name (any that can be read as a document).

    Raises:
        EvaluationError: it is empty, or looks like a file that is not there or cannot be read.
    """
    path = Path(answer)
    is_short = 0 < len(os.fsencode(answer)) < 255 and "\n" not in answer
    if is_short and path.is_file():
        document = read_document(path)
        if not document.text.strip():
            raise EvaluationError(
                f"It could not be read: {document.reason or 'it holds no text'}", where=answer
            )
        return document.text
    if is_short and path.suffix and " " not in answer.strip():
        raise EvaluationError("There is no such file.", where=answer, remedy="Name a file, or type a text.")
    if not answer.strip():
        raise EvaluationError("There is no text to verify.")
    return answer


def verify(
    text: str,
    library: Library,
    options: VerifyOptions = VerifyOptions(),
    *,
    question: str = "",
    engine: Engine | None = None,
    progress: Progress = no_progress,
) -> Verification:
    """Hold each sentence of a text against a library.

    For each its passages are searched, and it is laid over them word by word and by meaning (`rag.support`);
    what it names is looked for in all documents. With a model, that is asked too, but decides nothing: small
    models are no better at it than chance (bench/groundedness.py).

    Args:
        library: with its embedder.
        question: that the text answers; with a model, answers are drawn again, and what only this text says
            is the more doubtful (Manakul et al. 2023).
        engine: a model.

    Raises:
        EvaluationError: no sentence.
        LibraryError: the library cannot be read.
        EngineError: as the engine says.
    """
    spans = [(start, end) for start, end in split_sentences(text) if text[start:end].strip()]
    if not spans:
        raise EvaluationError("There is no sentence to verify.")
    sources = Sources(library)
    judge = Judge(engine) if engine is not None else None
    drawn = _drawn(question, library, engine, options) if engine is not None and question else []
    found = []
    for number, (start, end) in enumerate(spans):
        progress("verifying sentences", number, len(spans))
        found.append(_verified(text, start, end, library, sources, options, judge, drawn))
    progress("verifying sentences", len(spans), len(spans))
    return Verification(text, library.name, tuple(found))


def _verified(
    text: str,
    start: int,
    end: int,
    library: Library,
    sources: Sources,
    options: VerifyOptions,
    judge: Judge | None,
    drawn: Sequence[SupportChecker],
) -> VerifiedSentence:
    sentence = text[start:end]
    if not content_terms(sentence) or _is_heading(sentence):
        return VerifiedSentence(sentence, start, end, "nothing to check", 0.0)
    hits = search(library, sentence, SearchOptions(n_hits=options.n_passages))
    passages = [hit.passage for hit in hits]
    check = SupportChecker(passages, sources.text, library.embedder).check(sentence)
    invented = tuple(invented_references(sentence, library, [passage.text for passage in passages]))
    verdict, reason = _verdict(check, invented)
    judged = None
    if judge is not None and passages:
        read = check.sentences[0].passage if check.sentences else passages[0]
        judged = judge.supported(sentence, read.text)
    consistency = None
    if drawn:
        consistency = sum(checker.check(sentence).is_supported for checker in drawn) / len(drawn)
    value = groundedness(check)
    return VerifiedSentence(
        sentence,
        start,
        end,
        verdict,
        value if verdict == "supported" else min(value, 0.49),
        reason,
        _nearest(check, sources),
        invented,
        judged,
        consistency,
    )


def _verdict(check: Check, invented: Sequence[Reference]) -> tuple[Verdict, str]:
    if invented:
        names = ", ".join(f"“{reference.text}”" for reference in invented)
        return "not found", f"no document contains {names}"
    if check.is_supported:
        return "supported", ""
    if check.reason.startswith(_OTHERWISE):
        return "contradicted", check.reason
    return "not found", check.reason or NOT_SAID


def _nearest(check: Check, sources: Sources) -> Citation | None:
    if not check.sentences:
        return None
    first, last = check.sentences[0], check.sentences[-1]
    return sources.cite(first.passage, first.start, last.end)


def _is_heading(sentence: str) -> bool:
    """A line of Markdown that heads others, or of a table's rule."""
    return sentence.lstrip().startswith("#")


def _drawn(question: str, library: Library, engine: Engine, options: VerifyOptions) -> list[SupportChecker]:
    """Answers to the question drawn again, each ready to be compared with."""
    if not options.samples:
        return []
    drawing = SignalOptions(n_samples=options.samples)
    passages = [hit.passage for hit in search(library, question, SearchOptions(n_hits=4))]
    prompt = fit_prompt(engine, question, passages, max_new_tokens=drawing.sample_tokens)
    texts = draw_answers(engine, prompt.token_ids, drawing, options.seed)
    return [_of_text(made, library) for made in texts if made.strip()]


def _of_text(text: str, library: Library) -> SupportChecker:
    passage = Passage("answer", 0, len(text), text, None, ())
    return SupportChecker([passage], lambda _: text, library.embedder)
