"""`homespun run`: one prompt, or a chat with history."""

import sys
from typing import Annotated, Any

import typer

from homespun.cli.flags import EngineName, Json, ModelName, OptionError, flags
from homespun.cli.render import print_json, shown_progress
from homespun.engines.conversation import Conversation, Reply
from homespun.engines.engine import EngineOptions, GenerateOptions, Generation, GenerationStream, Request
from homespun.engines.reasoning import split_reasoning
from homespun.errors import HomespunError

app = typer.Typer()


@app.command()
@flags
def run(
    engine_options: EngineOptions,
    options: GenerateOptions,
    prompt: Annotated[
        str | None, typer.Argument(help="what to say; - reads it from input; none: a chat")
    ] = None,
    model: ModelName = None,
    engine: EngineName = "auto",
    system: Annotated[str | None, typer.Option(help="instructions that the model gets first")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="continue the prompt as it is, without a chat")] = False,
    as_json: Json = False,
) -> None:
    """Let a model write: one prompt, or a chat."""
    from homespun.engines.constraint import with_files_read
    from homespun.engines.load import load_engine
    from homespun.models.home import Home

    if raw and system is not None:
        raise OptionError("--raw takes no --system: nothing but the prompt is read")
    options = with_files_read(options)
    with shown_progress() as progress:
        loaded = load_engine(Home.open(), model, engine_options, engine=engine, progress=progress)
    try:
        conversation = Conversation(loaded, system)
        if prompt is None and sys.stdin.isatty() and not raw:
            _chat(conversation, options)
            return
        text = sys.stdin.read() if prompt in (None, "-") else prompt
        assert text is not None
        if raw:
            result = _shown(_continued(conversation, text, options), show=not as_json)
        else:
            result = _write(conversation, text, options, show=not as_json)
        if as_json:
            print_json(_as_json(result, conversation))
        elif sys.stderr.isatty():
            print(_figures(result), file=sys.stderr)
    finally:
        loaded.close()


def _write(conversation: Conversation, text: str, options: GenerateOptions, *, show: bool) -> Generation:
    return _shown(conversation.ask(text, options), show=show)


def _continued(conversation: Conversation, text: str, options: GenerateOptions) -> GenerationStream:
    engine = conversation.engine
    begin = [engine.tokenizer.bos_id] if engine.tokenizer.add_bos else []
    ids = [token_id for token_id in begin if token_id is not None] + engine.tokenizer.encode(text)
    return engine.stream(Request(tuple(ids), options, conversation.adapter))


def _shown(reply: Reply | GenerationStream, *, show: bool) -> Generation:
    for step in reply:
        if show:
            print(step.text, end="", flush=True)
    if show:
        print()
    return reply.result


def _chat(conversation: Conversation, options: GenerateOptions) -> None:
    facts = conversation.engine.facts
    print(f"{facts.model_path} on {facts.engine} ({facts.precision}), window {facts.window} tokens.")
    print("Ctrl-C ends an answer; Ctrl-D or /bye ends the chat.")
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
            result = _write(conversation, text, options, show=True)
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
    return (
        f"[{result.n_prompt_tokens} tokens read in {result.read_s:.2f} s, "
        f"{len(result.token_ids)} written, {speed:.0f} tok/s, ended by {result.finish}]"
    )


def _as_json(result: Generation, conversation: Conversation) -> dict[str, Any]:
    split = split_reasoning(result.text)
    return {
        "text": split.text,
        "reasoning": split.reasoning or None,
        "finish": result.finish,
        "seed": result.seed,
        "tokens": {
            "prompt": result.n_prompt_tokens,
            "cached": result.n_cached_tokens,
            "written": len(result.token_ids),
        },
        "timings": {"read_s": result.read_s, "write_s": result.write_s},
        "steps": result.steps if any(step.best for step in result.steps) else None,
        "engine": conversation.engine.facts,
    }
