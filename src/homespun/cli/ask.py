"""`homespun ask`: answers from a library, with their sources."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from homespun.cli.flags import EngineName, Json, LibraryName, ModelName, flags
from homespun.cli.render import print_json, shown_progress, shown_text
from homespun.engines.engine import EngineOptions
from homespun.errors import HomespunError
from homespun.models.template import Message
from homespun.rag.answer import AnswerOptions
from homespun.rag.desk import Desk
from homespun.rag.result import Answer

app = typer.Typer()


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
    engine: EngineName = "auto",
    chat: Annotated[bool, typer.Option("--chat", help="go on with follow-up questions")] = False,
    as_json: Json = False,
) -> None:
    """Answer a question from a library, with citations."""
    from homespun.models.home import Home
    from homespun.rag.errors import AnswerError

    if question is None and not chat:
        raise AnswerError("There is no question.", remedy='Ask one: homespun ask "...", or add --chat.')
    with shown_progress() as progress:
        opened = Desk.open(Home.open(), library, model, engine_options, engine=engine, progress=progress)
    with opened as desk:
        if not chat:
            assert question is not None
            _answer(desk, options, question, [], as_json)
            return
        _chat(desk, options, question, as_json)


def _chat(desk: Desk, options: AnswerOptions, question: str | None, as_json: bool) -> None:
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
                answer = _answer(desk, options, question, history, as_json)
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
    desk: Desk, options: AnswerOptions, question: str, history: Sequence[Message], as_json: bool
) -> Answer:
    """Ask and print. On a terminal the words are seen as they come, and then give way to the marked answer."""
    if as_json:
        answer = desk.ask(question, options, history=history)
        print_json(answer.to_json())
        return answer
    with shown_text() as on_text:
        answer = desk.ask(question, options, history=history, on_text=on_text)
    print(render_answer(answer))
    return answer


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
        place = f"{citation.document}" + (f", page {citation.page}" if citation.page else "")
        heading = f" - {citation.heading}" if citation.heading else ""
        lines.append(f"[{number}] {place}{heading}, characters {citation.start}-{citation.end}")
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
