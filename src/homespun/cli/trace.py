"""`homespun trace`: an answer token by token."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from homespun.cli.flags import EngineName, Json, ModelName, OptionError, flags
from homespun.cli.render import print_json, shown_progress, table
from homespun.decoding.trace import HesitationOptions, Trace
from homespun.engines.engine import Engine, EngineOptions, GenerateOptions

if TYPE_CHECKING:
    from homespun.rag.trace_answer import Grounded

app = typer.Typer()


@app.command()
@flags
def trace(
    engine_options: EngineOptions,
    options: GenerateOptions,
    hesitation: HesitationOptions,
    prompt: Annotated[str, typer.Argument(help="the prompt, or with --library the question")],
    model: ModelName = None,
    engine: EngineName = "auto",
    passage: Annotated[
        list[str] | None, typer.Option(help="a text before the prompt, or @FILE; may be given several times")
    ] = None,
    library: Annotated[
        str | None, typer.Option("--library", "-l", help="take the passages that are found in this library")
    ] = None,
    n_passages: Annotated[int, typer.Option(help="passages of the library at most")] = 4,
    raw: Annotated[bool, typer.Option("--raw", help="continue the prompt as it is, without a chat")] = False,
    branch: Annotated[
        int | None, typer.Option(help="go on otherwise from this token of the answer, counted from 1")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(help="what --branch puts there: a text, or a token's id (default: the next best token)"),
    ] = None,
    page: Annotated[Path | None, typer.Option(help="write the view as a page: FILE.html")] = None,
    picture: Annotated[Path | None, typer.Option(help="draw it: FILE.png or FILE.svg")] = None,
    as_json: Json = False,
) -> None:
    """Show an answer token by token: odds, hesitations, and what each passage changed."""
    from homespun.decoding.trace_page import check_page, write_trace
    from homespun.decoding.trace_view import draw_trace
    from homespun.engines.constraint import with_files_read
    from homespun.engines.load import load_engine
    from homespun.models.home import Home
    from homespun.pictures.canvas import check_suffix
    from homespun.rag.trace_answer import branch_answer, trace_answer

    if library is not None and (passage or raw):
        raise OptionError("--library finds the passages and writes a chat; leave out --passage and --raw")
    if token is not None and branch is None:
        raise OptionError("--token says what --branch puts in; name the place with --branch")
    if page is not None:
        check_page(page)
    if picture is not None:
        check_suffix(picture)
    texts = [_read(number, text) for number, text in enumerate(passage or [], start=1)]
    options = with_files_read(options)
    with shown_progress() as progress:
        loaded = load_engine(Home.open(), model, engine_options, engine=engine, progress=progress)
    with loaded:
        grounded = _grounded(loaded, prompt, options, library, n_passages, texts, raw)
        traces = [trace_answer(loaded, grounded, hesitation=hesitation)]
        if branch is not None:
            put = int(token) if token is not None and token.isdecimal() else token
            traces.append(branch_answer(loaded, grounded, traces[0], branch, put, hesitation=hesitation))
        facts = loaded.facts
    told = (
        f"{Path(facts.model_path).name} on {facts.engine} {facts.version}, {facts.mode} ({facts.precision})"
    )
    if page is not None:
        write_trace(traces, page, model=told)
    if picture is not None:
        draw_trace(traces[-1], picture)
    if as_json:
        print_json(_as_json(traces, grounded.n_dropped, facts))
        return
    for traced in traces:
        _print(traced)
    if grounded.n_dropped:
        print(f"\n{grounded.n_dropped} passages found were not read: the window has no room for them")


def _read(number: int, text: str) -> tuple[str, str]:
    """The name and text of a passage."""
    if not text.startswith("@"):
        return f"passage {number}", text
    from homespun.documents.decode import decode_text

    path = Path(text[1:])
    try:
        return path.name, decode_text(path.read_bytes()).text
    except OSError as error:
        raise OptionError(f"--passage: {path} cannot be read ({error.strerror})") from None


def _grounded(
    engine: Engine,
    prompt: str,
    options: GenerateOptions,
    library: str | None,
    n_passages: int,
    texts: Sequence[tuple[str, str]],
    raw: bool,
) -> "Grounded":
    from homespun.decoding.next import prompt_ids
    from homespun.models.home import Home
    from homespun.rag.trace_answer import Grounded, ground
    from homespun.retrieval.open import open_library

    if library is not None:
        opened = open_library(Home.open(), library)
        return ground(prompt, opened, engine, options, n_passages=n_passages)

    def build(places: tuple[int, ...]) -> tuple[int, ...]:
        before = "\n\n".join(texts[place][1] for place in places)
        return prompt_ids(engine, prompt, passage=before or None, chat=not raw)

    return Grounded(prompt, tuple(texts), build, options, 0)


def _as_json(traces: Sequence[Trace], n_dropped: int, facts: Any) -> dict[str, Any]:
    first, *others = ({**one.__dict__, "tokens": [_token(t) for t in one.tokens],
                       "effects": [{**e.__dict__, "total": e.total} for e in one.effects],
                       "mean_log_probability": one.mean_log_probability,
                       "n_prompt_tokens": len(one.prompt_ids)} for one in traces)  # fmt: skip
    return {**first, "branch": others[0] if others else None, "n_dropped": n_dropped, "engine": facts}


def _token(token: Any) -> dict[str, Any]:
    return {**token.__dict__, "probability": token.probability}


def _print(traced: Trace) -> None:
    from homespun.decoding.trace_page import entropy_text

    if traced.branched_at is not None:
        print(f"\nbranch at token {traced.branched_at}")
    _print_answer(traced)
    rows = []
    for token in traced.tokens:
        others = [one for one in token.alternatives if one.id != token.id]
        rows.append(
            {
                "token": str(token.position),
                "text": repr(token.token)[1:-1] + (" (put here)" if token.is_given else ""),
                "id": str(token.id),
                "probability": "-" if token.probability is None else f"{token.probability:.4f}",
                "entropy": entropy_text(token),
                "instead": ", ".join(f"{o.token!r} {o.probability:.3f}" for o in others[:3]),
                "hesitation": token.hesitation,
                **{
                    f"p{n}": f"{e.differences[token.position - 1]:+.2f}"
                    for n, e in enumerate(traced.effects, 1)
                },
            }
        )
    print(table(rows))
    mean = traced.mean_log_probability
    n_doubts = sum(bool(token.hesitation) for token in traced.tokens)
    known = "" if mean is None else f", {mean:.2f} nats a token"
    print(
        f"\n{len(traced.tokens)} tokens{known}; hesitated at {n_doubts} ({traced.rule}); seed {traced.seed}"
    )
    if traced.unknown:
        print(traced.unknown)
    for number, effect in enumerate(traced.effects, 1):
        print(f"p{number}: {effect.total:+.2f} nats for the whole answer, from {effect.name}")
    if traced.effects:
        print(
            f"(nats with all passages, less without this one; {traced.n_readings} more readings of prompt and answer)"
        )


#: Grounds by the least probability, readable without colours by the brackets of `_print_answer`.
_SHADES = ((0.9, "default"), (0.5, "black on bright_green"), (0.2, "black on bright_yellow"),
           (0.0, "white on red"))  # fmt: skip


def _print_answer(traced: Trace) -> None:
    """In colours on a terminal; elsewhere hesitations stand in double brackets, given tokens in braces."""
    if not sys.stdout.isatty():
        for token in traced.tokens:
            shown = f"{{{token.token}}}" if token.is_given else token.token
            print(f"[[{shown}]]" if token.hesitation else shown, end="")
        print("\n")
        return
    from rich.console import Console
    from rich.text import Text

    line = Text()
    for token in traced.tokens:
        odds = 1.0 if token.probability is None else token.probability
        style = next(style for least, style in _SHADES if odds >= least)
        style += " underline" * bool(token.hesitation) + " bold" * token.is_given
        line.append(token.token, style=style)
    key = Text("probability ")
    for least, style in _SHADES:
        key.append(f" {least:g} or more ", style=style)
    Console().print(line, "\n", key, Text(" underlined: hesitated\n"))
