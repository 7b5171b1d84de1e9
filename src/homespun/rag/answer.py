"""A question and a library to an answer whose every sentence has its source, or says that it has none."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from homespun.documents.sentences import split_sentences
from homespun.engines.engine import Engine, GenerateOptions
from homespun.models.template import Message
from homespun.progress import Progress, no_progress
from homespun.rag.abstain import THRESHOLD, judge_relevance
from homespun.rag.chat import standalone_query
from homespun.rag.citations import CitationList, Sources
from homespun.rag.collection import answer_of_all
from homespun.rag.errors import AnswerError
from homespun.rag.evidence import Evidence, gather_evidence
from homespun.rag.library_words import library_word_weights
from homespun.rag.presence import WordVectors
from homespun.rag.prompt import FittedPrompt, fit_prompt
from homespun.rag.quote import Quote, choose_sentences
from homespun.rag.result import (
    Answer,
    AnswerFinish,
    AnswerSentence,
    Citation,
    PromptTokens,
    Style,
    UsedPassage,
)
from homespun.rag.sentences import PassageSentence
from homespun.rag.style import choose_style
from homespun.rag.support import Check, SupportChecker
from homespun.rag.write import Written, write_answer
from homespun.retrieval.library import Library
from homespun.retrieval.search import Hit, SearchOptions, search

OnText = Callable[[str], None]


@dataclass(frozen=True)
class AnswerOptions:
    """How a question is answered."""

    style: Literal["auto", "quote", "write"] = field(
        default="auto",
        metadata={
            "help": "quote: sentences of the documents; write: the model's own, checked; auto: the better"
        },
    )
    n_passages: int = field(default=10, metadata={"help": "passages to answer from at most"})
    max_new_tokens: int = field(default=160, metadata={"help": "tokens that the model may write at most"})
    temperature: float = field(default=0.0, metadata={"help": "0: most probable words; 1: the model's odds"})
    seed: int | None = field(default=None, metadata={"help": "seed of the draw at a temperature above 0"})
    may_abstain: bool = field(
        default=True, metadata={"help": "say so when nothing relevant is found, instead of answering"}
    )

    def __post_init__(self) -> None:
        if self.style not in ("auto", "quote", "write"):
            raise AnswerError(f"style is {self.style!r}; it must be auto, quote or write.")
        if self.n_passages < 1:
            raise AnswerError(f"n_passages is {self.n_passages}; it must be 1 or more.")
        if self.max_new_tokens < 1:
            raise AnswerError(f"max_new_tokens is {self.max_new_tokens}; it must be 1 or more.")


def answer(
    question: str,
    library: Library,
    engine: Engine,
    options: AnswerOptions = AnswerOptions(),
    *,
    history: Sequence[Message] = (),
    on_text: OnText | None = None,
    progress: Progress = no_progress,
    record_path: Path | None = None,
    adapter: str | None = None,
    found: Sequence[Hit] | None = None,
) -> Answer:
    """Answer a question from a library.

    Args:
        question: any text; in a chat it may lean on earlier questions.
        library: opened with its embedder.
        engine: the model; it writes in style write, and its window counts.
        options: style and sizes.
        history: earlier turns, oldest first.
        on_text: told each piece of the answer's text as it comes; joined, they are the answer.
        progress: told what is being done.
        record_path: measurements that choose the style (see `style.choose_style`).
        adapter: the name of a loaded adapter that writes; with one, style auto is write.
        found: what to answer from, best first; None: what a search finds.

    Raises:
        AnswerError: an empty question.
        QuestionTooLongError: style write, and the question alone does not fit the model's window.
        LibraryError: the library cannot be read.
    """
    if not question.strip():
        raise AnswerError("The question is empty.")
    collected = answer_of_all(question, library, engine.facts.window)
    if collected is not None:
        if on_text is not None:
            on_text(collected.answer)
        return collected
    work = Work(question, library, engine, options, tuple(history), on_text, adapter)
    progress("searching", 0, 3)
    hits = work.find() if found is None else list(found)
    progress("weighing passages", 1, 3)
    evidence = work.weigh(hits)
    style, reason = style_of(options, engine, record_path, adapter)
    progress("answering", 2, 3)
    if work.finds_nothing(hits, evidence):
        made = work.abstain(style, reason)
    elif style == "quote":
        made = work.quote(hits, evidence, reason)
    else:
        made = work.write(hits, reason)
    progress("answering", 3, 3)
    return made


def style_of(
    options: AnswerOptions, engine: Engine, record_path: Path | None, adapter: str | None
) -> tuple[Style, str]:
    """The style that questions are answered in, and why."""
    if options.style != "auto":
        return options.style, "asked for"
    if adapter is not None:
        return "write", f"the adapter {adapter} writes"
    return choose_style(engine, record_path)


class Work:
    """One question on its way; each step notes how long it took."""

    def __init__(
        self,
        question: str,
        library: Library,
        engine: Engine,
        options: AnswerOptions,
        history: tuple[Message, ...],
        on_text: OnText | None,
        adapter: str | None,
    ) -> None:
        self.question = question
        self.library = library
        self.engine = engine
        self.options = options
        self.history = history
        self.on_text = on_text
        self.adapter = adapter
        vectors = WordVectors(library.embedder) if history else None
        self.query = standalone_query(question, history, vectors)
        self.sources = Sources(library)
        self.text_of = self.sources.text
        self.timings: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.timings[name] = self.timings.get(name, 0.0) + time.perf_counter() - begin

    def find(self) -> list[Hit]:
        with self.timed("search_s"):
            return search(self.library, self.query, SearchOptions(n_hits=self.options.n_passages))

    def weigh(self, hits: Sequence[Hit]) -> Evidence:
        with self.timed("weigh_s"):
            return gather_evidence(
                self.query,
                [hit.passage for hit in hits],
                self.text_of,
                self.library.embedder,
                library_word_weights(self.library),
                self.options.n_passages,
            )

    def finds_nothing(self, hits: Sequence[Hit], evidence: Evidence) -> bool:
        """Whether it is better to say so."""
        if not hits or not self.options.may_abstain:
            return not hits
        return judge_relevance(evidence, self.library.embedder).probability < THRESHOLD

    def abstain(self, style: Style, reason: str, tokens: PromptTokens | None = None) -> Answer:
        """Say that nothing was found, and where and for what was searched; cite nothing."""
        n_documents = sum(document.n_passages > 0 for document in self.library.documents())
        text = (
            f"Nothing that answers this was found. Searched: the library “{self.library.name}” "
            f"({n_documents} document{'s' * (n_documents != 1)}) for “{self.query}”."
        )
        if tokens is None:
            self._tell(text)
        tokens = tokens or PromptTokens(window=self.engine.facts.window)
        return self._answer(text, True, style, reason, tokens=tokens)

    def quote(self, hits: Sequence[Hit], evidence: Evidence, reason: str) -> Answer:
        """Sentences of the passages, word for word."""
        with self.timed("choose_s"):
            quotes = choose_sentences(evidence)
            parts = [span for quote in quotes for span in self._quoted_spans(quote)]
        citations = CitationList(self.sources)
        sentences: list[AnswerSentence] = []
        text = ""
        seen: set[int] = set()
        for sentence, (start, end) in parts:
            number = citations.add(sentence, start, end)
            if number in seen:
                continue
            seen.add(number)
            quoted = citations.all[number].text
            begin = len(text) + (1 if text else 0)
            text = f"{text}\n{quoted}" if text else quoted
            sentences.append(AnswerSentence(quoted, begin, len(text), number, True))
        self._tell(text)
        used = tuple(UsedPassage(hit.passage, hit.score, self._count(hit)) for hit in hits)
        return self._answer(
            text,
            False,
            "quote",
            reason,
            sentences=tuple(sentences),
            citations=tuple(citations.all),
            passages=used,
            tokens=PromptTokens(window=self.engine.facts.window),
        )

    def write(self, hits: Sequence[Hit], reason: str) -> Answer:
        """The model's own sentences, each with the place that supports it or the mark that none does."""
        prompt = self.prompt(hits)
        with self.timed("generate_s"):
            written = write_answer(self.engine, prompt, self.generate_options, self.on_text, self.adapter)
        return self.written(hits, prompt, written, reason)

    @property
    def generate_options(self) -> GenerateOptions:
        """How the model writes."""
        options = self.options
        return GenerateOptions(options.max_new_tokens, options.temperature, seed=options.seed)

    def prompt(self, hits: Sequence[Hit]) -> FittedPrompt:
        """What the model reads."""
        with self.timed("prompt_s"):
            return fit_prompt(
                self.engine,
                self.question,
                [hit.passage for hit in hits],
                max_new_tokens=self.options.max_new_tokens,
                history=self.history,
            )

    def written(self, hits: Sequence[Hit], prompt: FittedPrompt, written: Written, reason: str) -> Answer:
        """What the model wrote, checked against what it read."""
        options = self.options
        generation = written.generation
        self.timings |= {"read_s": generation.read_s, "write_s": generation.write_s}
        tokens = PromptTokens(**{**prompt.tokens.__dict__, "written": len(generation.token_ids)})
        if not written.text or (options.may_abstain and written.is_refusal):
            return self._answer(
                written.text or "The model wrote nothing.", True, "write", reason, tokens=tokens
            )
        n_used = prompt.n_used
        with self.timed("check_s"):
            checker = SupportChecker(
                [hit.passage for hit in hits[:n_used]], self.text_of, self.library.embedder
            )
            sentences, citations = self._checked(written.text, checker)
        used = zip(hits[:n_used], tokens.passages, strict=True)
        left = zip(hits[n_used:], prompt.dropped_tokens, strict=True)
        return self._answer(
            written.text,
            False,
            "write",
            reason,
            sentences=sentences,
            citations=citations,
            passages=tuple(UsedPassage(hit.passage, hit.score, n) for hit, n in used),
            dropped=tuple(UsedPassage(hit.passage, hit.score, n) for hit, n in left),
            tokens=tokens,
            finish=written.finish,
        )

    def _checked(
        self, text: str, checker: SupportChecker
    ) -> tuple[tuple[AnswerSentence, ...], tuple[Citation, ...]]:
        citations = CitationList(self.sources)
        sentences: list[AnswerSentence] = []
        for start, end in split_sentences(text):
            check: Check = checker.check(text[start:end])
            number = None
            if check.is_supported:
                first, last = check.sentences[0], check.sentences[-1]
                number = citations.add(first, first.start, last.end)
            sentences.append(
                AnswerSentence(text[start:end], start, end, number, check.is_supported, check.reason)
            )
        return tuple(sentences), tuple(citations.all)

    def _quoted_spans(self, quote: Quote) -> list[tuple[PassageSentence, tuple[int, int]]]:
        """The sentence's place, after that of its table's header row where it is a row."""
        sentence = quote.sentence
        spans = [(sentence, sentence.header)] if sentence.header else []
        return [*spans, (sentence, (sentence.start, sentence.end))]

    def _count(self, hit: Hit) -> int:
        return self.engine.tokenizer.count(hit.passage.text)

    def _tell(self, text: str) -> None:
        if self.on_text and text:
            self.on_text(text)

    def _answer(
        self,
        text: str,
        abstained: bool,
        style: Style,
        reason: str,
        *,
        sentences: tuple[AnswerSentence, ...] = (),
        citations: tuple[Citation, ...] = (),
        passages: tuple[UsedPassage, ...] = (),
        dropped: tuple[UsedPassage, ...] = (),
        tokens: PromptTokens,
        finish: AnswerFinish = "stop",
    ) -> Answer:
        return Answer(
            question=self.question,
            answer=text,
            abstained=abstained,
            style=style,
            style_reason=reason,
            searched=self.query,
            sentences=sentences,
            citations=citations,
            passages=passages,
            dropped=dropped,
            tokens=tokens,
            finish=finish,
            adapter=self.adapter if style == "write" else None,
            timings=dict(self.timings),
        )
