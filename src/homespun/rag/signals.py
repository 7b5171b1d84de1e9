"""Signals that an answer may be made up: how sure the model was of its words, whether it says the same again,
whether the passages support it, and whether what it names exists. None of them proves anything; how well
each tells wrong answers from right ones is measured by bench/signals.py.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from homespun.engines.engine import Engine, GenerateOptions, Request
from homespun.progress import Progress, no_progress
from homespun.rag.abstain import judge_relevance
from homespun.rag.citations import Sources
from homespun.rag.embeds import Embeds
from homespun.rag.errors import AnswerError
from homespun.rag.evidence import gather_evidence
from homespun.rag.library_words import library_word_weights
from homespun.rag.prompt import fit_prompt
from homespun.rag.quantities import Quantity, find_quantities
from homespun.rag.references import Reference, invented_references
from homespun.rag.result import Answer
from homespun.rag.support import SupportChecker
from homespun.rag.write import PROMPT_BEGINNINGS
from homespun.retrieval.library import Library

#: From this cosine on, two answers say the same, if their values agree as well.
SAME_COSINE = 0.8
#: Whole distributions held at once: rows of the vocabulary's size.
_ROWS = 32


@dataclass(frozen=True)
class SignalOptions:
    """What the signals may cost."""

    n_samples: int = field(
        default=5, metadata={"help": "answers drawn again to see whether they say the same; 0: none"}
    )
    sample_temperature: float = field(
        default=0.5, metadata={"help": "temperature at which they are drawn; above 0"}
    )
    sample_tokens: int = field(default=64, metadata={"help": "tokens of each drawn answer at most"})

    def __post_init__(self) -> None:
        if self.n_samples < 0 or self.sample_tokens < 1 or not self.sample_temperature > 0:
            raise AnswerError(
                "Signals need 0 or more samples, of 1 or more tokens, drawn at a temperature above 0."
            )


@dataclass(frozen=True)
class Signals:
    """What was seen of one answer. None: not known for this model or answer.

    Attributes:
        mean_log_probability: of the answer's tokens under the model, given question and passages; nats a token.
        mean_entropy, max_entropy: of the model's odds at these tokens; nats.
        semantic_entropy: of the meanings of the drawn answers; nats, 0 where all say the same.
        agreement: share of the drawn answers that say what the answer says.
        samples: the drawn answers.
        support: 0 to 1, how much of the answer's sentences is in the passages, in words and meaning.
        unsupported: share of its sentences that no passage supports.
        relevance: 0 to 1, how likely the answer's passages hold an answer to the question.
        invented: what the answer names and no document contains.
        unknown_in_question: what the question names and no document contains.
    """

    mean_log_probability: float | None
    mean_entropy: float | None
    max_entropy: float | None
    semantic_entropy: float | None
    agreement: float | None
    samples: tuple[str, ...]
    support: float | None
    unsupported: float | None
    relevance: float | None
    invented: tuple[Reference, ...]
    unknown_in_question: tuple[Reference, ...]

    def doubts(self) -> dict[str, float | None]:
        """Each signal as a number that is larger, the less the answer can be relied on."""
        return {
            "low probability": _negative(self.mean_log_probability),
            "mean entropy": self.mean_entropy,
            "largest entropy": self.max_entropy,
            "semantic entropy": self.semantic_entropy,
            "disagreement": _negative(self.agreement),
            "weak support": _negative(self.support),
            "unsupported sentences": self.unsupported,
            "little evidence": _negative(self.relevance),
            "invented references": float(len(self.invented)),
            "unknown names asked for": float(len(self.unknown_in_question)),
        }


def signals_of(
    answer: Answer,
    library: Library,
    engine: Engine,
    options: SignalOptions = SignalOptions(),
    *,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Signals:
    """Look for signs that an answer is made up.

    It costs one reading of prompt and answer, the drawn answers, and some embeddings. Earlier turns of a
    chat are not looked at.

    Args:
        answer: to a question asked of this library.
        library: with its embedder.
        engine: the model that answered; a server gives no entropies.
        seed: of the draws.

    Raises:
        LibraryError: the library cannot be read.
        EngineError: as the engine says.
    """
    passages = [used.passage for used in answer.passages]
    sources = Sources(library)
    progress("looking for signals", 0, 3)
    prompt = fit_prompt(engine, answer.searched, passages, max_new_tokens=options.sample_tokens)
    values = None if answer.abstained else _token_values(engine, prompt.token_ids, answer.answer)
    progress("looking for signals", 1, 3)
    samples = () if answer.abstained else draw_answers(engine, prompt.token_ids, options, seed)
    clusters = same_meanings((answer.answer, *samples), library.embedder) if samples else []
    progress("looking for signals", 2, 3)
    support = None
    if answer.sentences:
        checker = SupportChecker(passages, sources.text, library.embedder)
        support = float(np.mean([checker.check(sentence.text).strength for sentence in answer.sentences]))
    n_passages = max(len(passages), 1)
    evidence = gather_evidence(
        answer.searched, passages, sources.text, library.embedder, library_word_weights(library), n_passages
    )
    texts = [passage.text for passage in passages]
    progress("looking for signals", 3, 3)
    return Signals(
        mean_log_probability=None if values is None else float(values[0].mean()),
        mean_entropy=None if values is None else float(values[1].mean()),
        max_entropy=None if values is None else float(values[1].max()),
        semantic_entropy=semantic_entropy(clusters[1:]) if samples else None,
        agreement=float(np.mean([c == clusters[0] for c in clusters[1:]])) if samples else None,
        samples=samples,
        support=support,
        unsupported=_mean([float(not sentence.is_supported) for sentence in answer.sentences]),
        relevance=judge_relevance(evidence, library.embedder).probability if passages else None,
        invented=() if answer.abstained else tuple(invented_references(answer.answer, library, texts)),
        unknown_in_question=tuple(invented_references(answer.question, library, texts)),
    )


def semantic_entropy(clusters: Sequence[int]) -> float:
    """The entropy of meanings, in nats, each meaning as probable as it was often drawn.

    Farquhar et al., "Detecting hallucinations in large language models using semantic entropy" (2024), in
    its discrete form.

    Args:
        clusters: for each drawn answer, the number of its meaning.
    """
    _, counts = np.unique(np.asarray(clusters), return_counts=True)
    shares = counts / max(counts.sum(), 1)
    return float(-(shares * np.log(shares)).sum()) + 0.0


def same_meanings(texts: Sequence[str], embedder: Embeds) -> list[int]:
    """A number for each text, the same for those that say the same.

    A text joins the first earlier one whose vector is near enough and whose values (numbers, times, dates)
    do not contradict its own: those of one are all among those of the other.
    """
    if not texts:
        return []
    vectors = embedder.embed([text or " " for text in texts], "passage")
    quantities = [find_quantities(text) for text in texts]
    first: list[int] = []
    found: list[int] = []
    for place in range(len(texts)):
        for number, other in enumerate(first):
            is_near = float(vectors[place] @ vectors[other]) >= SAME_COSINE
            if is_near and _agree(quantities[place], quantities[other]):
                found.append(number)
                break
        else:
            found.append(len(first))
            first.append(place)
    return found


def _agree(one: Sequence[Quantity], other: Sequence[Quantity]) -> bool:
    fewer, more = sorted((one, other), key=len)
    if not fewer:
        return not more
    return all(any(quantity.equals(candidate) for candidate in more) for quantity in fewer)


def _token_values(engine: Engine, prompt: Sequence[int], text: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Log-probability and entropy of each of an answer's tokens, (n,) each, in nats."""
    ids = tuple(engine.tokenizer.encode(text))
    room = engine.facts.window - len(prompt)
    ids = ids[: max(room, 0)]
    if engine.facts.engine == "remote" or not ids:
        return None
    chosen, entropies = [], []
    whole = (*prompt, *ids)
    for start in range(0, len(ids), _ROWS):
        some = ids[start : start + _ROWS]
        rows = engine.distributions(whole[: len(prompt) + start + len(some) - 1], last=len(some))
        chosen.append(rows[np.arange(len(some)), list(some)])
        entropies.append(-(np.exp(rows) * rows).sum(axis=1))
    return np.concatenate(chosen), np.concatenate(entropies)


def draw_answers(
    engine: Engine, prompt: tuple[int, ...], options: SignalOptions, seed: int
) -> tuple[str, ...]:
    """Answers to one prompt, drawn at a temperature; what they agree on is less likely made up."""
    stop = (*engine.template.stop_texts, *PROMPT_BEGINNINGS)
    requests = [
        Request(
            prompt,
            GenerateOptions(
                max_new_tokens=options.sample_tokens,
                temperature=options.sample_temperature,
                seed=seed + number,
                stop=stop,
            ),
        )
        for number in range(options.n_samples)
    ]
    return tuple(made.text.strip() for made in engine.generate(requests)) if requests else ()


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _negative(value: float | None) -> float | None:
    return None if value is None else -value
