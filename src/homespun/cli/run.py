"""`homespun run`: one prompt, or a chat with history."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from homespun.cli.flags import AdapterName, EngineName, Json, ModelName, OptionError, flags
from homespun.cli.render import print_json, shown_progress
from homespun.cli.run_adapter import ChosenAdapter
from homespun.decoding.beam import BeamOptions
from homespun.decoding.contrastive import ContrastiveOptions
from homespun.decoding.strategies import StrategyOptions
from homespun.engines.chats import KeptChat, last_chat
from homespun.engines.conversation import Answer, Conversation, Reply
from homespun.engines.engine import (
    Engine,
    EngineOptions,
    GenerateOptions,
    Generation,
    GenerationStream,
    Request,
)
from homespun.engines.reasoning import ReasoningSplitter, Split
from homespun.errors import HomespunError
from homespun.models.home import Home

app = typer.Typer()


@app.command()
@flags
def run(
    engine_options: EngineOptions,
    options: GenerateOptions,
    how: StrategyOptions,
    beam: BeamOptions,
    contrastive: ContrastiveOptions,
    prompt: Annotated[
        str | None, typer.Argument(help="what to say; - reads it from input; none: a chat")
    ] = None,
    model: ModelName = None,
    adapter: AdapterName = None,
    engine: EngineName = "auto",
    system: Annotated[str | None, typer.Option(help="instructions that the model gets first")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="continue the prompt as it is, without a chat")] = False,
    chat: Annotated[
        str | None, typer.Option("--chat", help="keep the chat under this name, or go on")
    ] = None,
    goes_on: Annotated[bool, typer.Option("--continue", "-c", help="go on with the last kept chat")] = False,
    tools: Annotated[
        Path | None, typer.Option(help="JSON file of tools to offer; calls are printed, never run")
    ] = None,
    tree: Annotated[
        Path | None, typer.Option(help="draw the choices of --strategy: FILE.png or FILE.svg")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a model write: one prompt, or a chat."""
    from homespun.engines.constraint import with_files_read
    from homespun.engines.load import load_engine

    if raw and (system is not None or chat is not None or goes_on or tools is not None):
        raise OptionError("--raw takes no --system, --chat, --continue or --tools: only the prompt is read")
    if chat is not None and goes_on:
        raise OptionError("--chat names the chat already; leave --continue out")
    if how.strategy and (chat is not None or goes_on or tools is not None or prompt is None):
        raise OptionError("--strategy writes one prompt's answer; leave out --chat, --continue and --tools")
    if tree is not None and not how.strategy:
        raise OptionError("--tree draws the choices of a strategy: name one with --strategy")
    options = with_files_read(options)
    offered = () if tools is None else _tools(tools)
    home = Home.open()
    with _kept(home, last_chat(home.root) if goes_on else chat) as kept:
        model = model or (kept.record.model if kept else None)
        with shown_progress() as progress:
            loaded = load_engine(home, model, engine_options, engine=engine, progress=progress)
        try:
            conversation = Conversation(loaded, system, tools=offered)
            chosen = ChosenAdapter(conversation, home)
            chosen.use(kept.record.adapter if adapter is None and kept is not None else adapter)
            if kept is not None:
                _go_on(conversation, kept, _model_name(model, home, loaded), chosen)
            if prompt is None and sys.stdin.isatty() and not raw:
                _chat(conversation, options, chosen)
                return
            text = sys.stdin.read() if prompt in (None, "-") else prompt
            assert text is not None
            if how.strategy:
                from homespun.cli.run_strategy import run_strategy

                how = replace(how, beam=beam, contrastive=contrastive)
                run_strategy(conversation, text, options, how, raw=raw, tree=tree, as_json=as_json)
                return
            result, answer = _once(conversation, text, options, raw=raw, show=not as_json)
            if as_json:
                print_json(_as_json(result, answer, conversation))
            elif sys.stderr.isatty():
                print(_figures(result), file=sys.stderr)
        finally:
            loaded.close()


@contextmanager
def _kept(home: Home, name: str | None) -> Iterator[KeptChat | None]:
    if name is None:
        yield None
        return
    with KeptChat(home.root, name) as kept:
        yield kept


def _model_name(model: str | None, home: Home, engine: Engine) -> str:
    """What names the model in the chat's file, also from another folder."""
    if model is None:
        return home.default_model or engine.facts.model_path
    path = Path(model).expanduser()
    return str(path.absolute()) if path.exists() and ("/" in model or model.endswith(".gguf")) else model


def _go_on(conversation: Conversation, kept: KeptChat, model: str, chosen: ChosenAdapter) -> None:
    record = kept.record
    conversation.messages = list(record.messages)
    if conversation.system is None:
        conversation.system = record.system
    if record.model not in (None, model):
        print(f"(so far this chat was written with {record.model}; {model} goes on)", file=sys.stderr)
    conversation.on_answer = lambda turns: kept.append(
        turns, model=model, system=conversation.system, adapter=chosen.kept
    )


def _tools(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OptionError(f"--tools: {path} cannot be read as JSON ({error})") from None
    found = found.get("tools", [found]) if isinstance(found, dict) else found
    if not isinstance(found, list) or not found or not all(isinstance(tool, dict) for tool in found):
        raise OptionError(f"--tools: {path} is no list of tools")
    return tuple(found)


def _once(
    conversation: Conversation, text: str, options: GenerateOptions, *, raw: bool, show: bool
) -> tuple[Generation, Answer]:
    if raw:
        result = _shown(_continued(conversation, text, options), show=show)
        return result, Answer(result.text)
    return _write(conversation, text, options, show=show)


def _write(
    conversation: Conversation, text: str, options: GenerateOptions, *, show: bool
) -> tuple[Generation, Answer]:
    reply = conversation.ask(text, options)
    result = _shown(reply, show=show and not conversation.tools)
    if show and conversation.tools:
        _print_calls(reply.answer)
    return result, reply.answer


def _print_calls(answer: Answer) -> None:
    if answer.text:
        print(answer.text)
    for call in answer.tool_calls:
        print(f"{call.name} {json.dumps(dict(call.arguments), ensure_ascii=False)}")
    for error in answer.tool_errors:
        print(f"homespun: {error}", file=sys.stderr)


def _continued(conversation: Conversation, text: str, options: GenerateOptions) -> GenerationStream:
    engine = conversation.engine
    ids = [*engine.tokenizer.begin_ids, *engine.tokenizer.encode(text)]
    return engine.stream(Request(tuple(ids), options, conversation.adapter))


def _shown(reply: Reply | GenerationStream, *, show: bool) -> Generation:
    """Print an answer as it comes: its reasoning dimmed on a terminal, everything as it is elsewhere."""
    dims = isinstance(reply, Reply) and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    splitter = ReasoningSplitter(inside=reply.inside) if isinstance(reply, Reply) and dims else None
    for step in reply:
        if show:
            print(step.text if splitter is None else _dimmed(splitter.push(step.text)), end="", flush=True)
    if show:
        print("" if splitter is None else _dimmed(splitter.flush()))
    return reply.result


def _dimmed(part: Split) -> str:
    return (f"\x1b[2m{part.reasoning}\x1b[0m" if part.reasoning else "") + part.text


def _chat(conversation: Conversation, options: GenerateOptions, chosen: ChosenAdapter) -> None:
    chosen.prepare()
    facts = conversation.engine.facts
    print(f"{facts.model_path} on {facts.engine} ({facts.precision}), window {facts.window} tokens.")
    print("Ctrl-C ends an answer; Ctrl-D or /bye ends the chat; /adapter NAME lets an adapter write.")
    if conversation.messages:
        print(f"(going on after {len(conversation.messages) // 2} answers)")
    while True:
        try:
            text = input("> ")
        except EOFError:
            print()
            return
        if text.strip() == "/bye":
            return
        if not text.strip():
            continue
        try:
            told = chosen.command(text)
            if told is not None:
                print(told)
                continue
            result, _ = _write(conversation, text, options, show=True)
        except KeyboardInterrupt:
            print("\n(stopped)")
            continue
        except HomespunError as error:  # one message that cannot be answered does not end the chat
            print(f"homespun: {error.sentence()}", file=sys.stderr)
            continue
        if conversation.n_dropped:
            print(f"(the oldest {conversation.n_dropped} turns no longer fit the window and were left out)")
        if result.finish == "length":
            is_limit = len(result.token_ids) >= options.max_new_tokens
            print(f"(cut at the {'token limit; --max-new-tokens raises it' if is_limit else 'window'})")


def _figures(result: Generation) -> str:
    speed = (len(result.steps) - 1) / result.write_s if result.write_s else 0.0
    cost = "" if result.cost_usd is None else f", {result.cost_usd:.6f} US dollars"
    return (
        f"[{result.n_prompt_tokens} tokens read in {result.read_s:.2f} s, "
        f"{len(result.token_ids)} written, {speed:.0f} tok/s, ended by {result.finish}{cost}]"
    )


def _as_json(result: Generation, answer: Answer, conversation: Conversation) -> dict[str, Any]:
    return {
        "text": answer.text,
        "adapter": conversation.adapter,
        "reasoning": answer.reasoning or None,
        "tool_calls": answer.tool_calls if conversation.tools else None,
        "tool_errors": answer.tool_errors if conversation.tools else None,
        "n_dropped": conversation.n_dropped,
        "finish": result.finish,
        "seed": result.seed,
        "tokens": {
            "prompt": result.n_prompt_tokens,
            "cached": result.n_cached_tokens,
            "written": len(result.token_ids),
        },
        "cost_usd": result.cost_usd,
        "timings": {"read_s": result.read_s, "write_s": result.write_s},
        "steps": result.steps if any(step.best for step in result.steps) else None,
        "engine": conversation.engine.facts,
    }
