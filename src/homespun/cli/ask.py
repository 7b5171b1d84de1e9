"""`homespun ask`: answers from a library, with their sources."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from homespun.cli.flags import AdapterName, EngineName, Json, LibraryName, ModelName, flags
from homespun.cli.render import print_json, shown_progress, shown_text
from homespun.engines.engine import EngineOptions
from homespun.errors import HomespunError
from homespun.models.template import Message
from homespun.rag.answer import AnswerOptions
from homespun.rag.desk import Desk
from homespun.rag.result import Answer

if TYPE_CHECKING:
    from homespun.rag.lit_pages import LitPage
    from homespun.rag.signals import Signals

app = typer.Typer()


@dataclass(frozen=True)
class _Files:
    """What is written and looked at beside the answer; None: nothing."""

    pages_path: Path | None = None
    out_path: Path | None = None
    looks_for_signals: bool = False


@app.command()
@flags
def ask(
    engine_options: EngineOptions,
    options: AnswerOptions,
    question: Annotated[
        str | None, typer.Argument(help="the question; with --chat it may come later")
    ] = None,
    library: LibraryName = "default",
    model: ModelName = None,
    adapter: AdapterName = None,
    engine: EngineName = "auto",
    chat: Annotated[bool, typer.Option("--chat", help="go on with follow-up questions")] = False,
    pages: Annotated[
        Path | None,
        typer.Option("--pages", help="write pictures of the cited PDF pages into this folder, lit"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="write the answer to this file: .md, .html or .docx")
    ] = None,
    signals: Annotated[
        bool, typer.Option("--signals", help="look for signs that the answer is made up; takes a while")
    ] = False,
    as_json: Json = False,
) -> None:
    """Answer a question from a library, with citations."""
    from homespun.models.home import Home
    from homespun.rag.errors import AnswerError

    if question is None and not chat:
        raise AnswerError("There is no question.", remedy='Ask one: homespun ask "...", or add --chat.')
    files = _checked_files(pages, out, chat, signals)
    with shown_progress() as progress:
        opened = Desk.open(
            Home.open(), library, model, engine_options, engine=engine, adapter=adapter, progress=progress
        )
    with opened as desk:
        if not chat:
            assert question is not None
            _answer(desk, options, question, [], as_json, files)
            return
        _chat(desk, options, question, as_json, files)


def _checked_files(pages: Path | None, out: Path | None, chat: bool, signals: bool) -> _Files:
    """What is told before a model is loaded."""
    from homespun.rag.errors import ExportError
    from homespun.rag.export import check_export

    if out is not None:
        if chat:
            raise ExportError("--out takes one answer, and --chat gives several.", remedy="Leave one out.")
        check_export(out)
    if pages is not None and pages.exists() and not pages.is_dir():
        raise ExportError("It is a file, and pictures go into a folder.", where=str(pages))
    return _Files(pages, out, signals)


def _chat(desk: Desk, options: AnswerOptions, question: str | None, as_json: bool, files: _Files) -> None:
    history: list[Message] = []
    if not as_json:
        print(f"Ask about the library {desk.library.name}. Ctrl-C ends an answer, Ctrl-D the chat.")
    while True:
        if question is None:
            try:
                question = input("> " if sys.stdin.isatty() else "")
            except EOFError:
                return
        if question.strip():
            try:
                answer = _answer(desk, options, question, history, as_json, files)
            except KeyboardInterrupt:
                print("\n(stopped)")
            except HomespunError as error:  # one question that cannot be answered does not end the chat
                if as_json:
                    print_json({"error": {"kind": type(error).__name__, "message": error.sentence()}})
                print(f"homespun: {error.sentence()}", file=sys.stderr)
            else:
                history += [Message("user", question), Message("assistant", answer.answer)]
        question = None


def _answer(
    desk: Desk,
    options: AnswerOptions,
    question: str,
    history: Sequence[Message],
    as_json: bool,
    files: _Files,
) -> Answer:
    """Ask and print. On a terminal the words are seen as they come, and then give way to the marked answer."""
    if as_json:
        answer = desk.ask(question, options, history=history)
        pages = _write_files(desk, answer, files)
        shown = answer.to_json()
        if files.pages_path is not None:
            shown["pages"] = pages
        if files.out_path is not None:
            shown["out"] = files.out_path
        if files.looks_for_signals:
            shown["signals"] = _signals(desk, answer)
        print_json(shown)
        return answer
    with shown_text() as on_text:
        answer = desk.ask(question, options, history=history, on_text=on_text)
    print(render_answer(answer))
    for page in _write_files(desk, answer, files):
        what = str(page.path) if page.path is not None else "no picture"
        note = f": {page.note}" if page.note else ""
        print(f"[{page.citation + 1}] page {page.page}: {what}{note}")
    if files.out_path is not None:
        print(f"written: {files.out_path}")
    if files.looks_for_signals:
        print(render_signals(_signals(desk, answer)))
    return answer


def _signals(desk: Desk, answer: Answer) -> "Signals":
    from homespun.rag.signals import signals_of

    with shown_progress() as progress:
        return signals_of(answer, desk.library, desk.engine, progress=progress)


def render_signals(signals: "Signals") -> str:
    """The signals that are known, each in a line; what was invented, by name."""
    told = {
        "log-probability of a token (nats)": signals.mean_log_probability,
        "entropy at a token (nats)": signals.mean_entropy,
        "largest entropy (nats)": signals.max_entropy,
        f"entropy of meanings of {len(signals.samples)} drawn answers (nats)": signals.semantic_entropy,
        "share of them that say what the answer says": signals.agreement,
        "support by the passages (0 to 1)": signals.support,
        "share of sentences without support": signals.unsupported,
        "probability that the passages hold an answer": signals.relevance,
    }
    lines = ["\nSignals", *(f"{name}: {value:.2f}" for name, value in told.items() if value is not None)]
    for what, found in (
        ("named in the answer, in no document", signals.invented),
        ("named in the question, in no document", signals.unknown_in_question),
    ):
        lines.append(f"{what}: {', '.join(reference.text for reference in found) or 'nothing'}")
    return "\n".join(lines)


def _write_files(desk: Desk, answer: Answer, files: _Files) -> list["LitPage"]:
    from homespun.rag.export import export_answer
    from homespun.rag.lit_pages import lit_citations

    pages: list[LitPage] = []
    if files.pages_path is not None:
        with shown_progress() as progress:
            pages = lit_citations(desk.library, answer.citations, files.pages_path, progress=progress)
    if files.out_path is not None:
        export_answer(answer, files.out_path, pages)
    return pages


_ENDINGS = {
    "length": "cut at the token limit: --max-new-tokens raises it",
    "repeats": "ended because the model began to repeat itself",
}


def render_answer(answer: Answer) -> str:
    """The answer with a number behind each supported sentence and a mark behind each that is not."""
    if answer.abstained:
        return answer.answer
    lines = []
    for sentence in answer.sentences:
        if sentence.citation is None:
            lines.append(f"{sentence.text} [not supported: {sentence.reason}]")
        else:
            lines.append(f"{sentence.text} [{sentence.citation + 1}]")
    if answer.searched != answer.question:
        lines.append(f"\nsearched: {answer.searched}")
    if answer.citations:
        lines.append("\nSources")
    for number, citation in enumerate(answer.citations, 1):
        lines.append(f"[{number}] {citation.where}, characters {citation.start}-{citation.end}")
        if answer.style == "write":
            lines.append(f"    “{' '.join(citation.text.split())}”")
    for left in answer.dropped:
        lines.append(f"not read, no room: {left.passage.document} ({left.n_tokens} tokens)")
    if answer.finish in _ENDINGS:
        lines.append(_ENDINGS[answer.finish])
    lines.append(f"\n{answer.style} ({answer.style_reason}); {_figures(answer)}")
    return "\n".join(lines)


def _figures(answer: Answer) -> str:
    if answer.style == "quote":
        return f"{len(answer.passages)} passages weighed in {sum(answer.timings.values()):.2f} s"
    tokens = answer.tokens
    return f"{tokens.prompt} tokens read, {tokens.written} written, window {tokens.window}"
