"""The `homespun` command: finds the command that was asked for, loads only that, and is the one who exits.

A failure that the user can act on is one sentence on standard error (a JSON object with `--json`) and exit
code 2; an interruption is code 130.
"""

import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

#: Each command's module and the first line of its help, so that `homespun --help` loads none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "build": (
        "homespun.cli.build",
        "Read documents, compare the ways of answering, tune, compare again, and let the winner answer.",
    ),
    "ingest": ("homespun.cli.ingest", "Read documents into a library."),
    "ask": ("homespun.cli.ask", "Answer a question from a library, with citations."),
    "search": ("homespun.cli.search", "Find the passages of a library that fit a query."),
    "run": ("homespun.cli.run", "Let a model write: one prompt, or a chat."),
    "tokens": (
        "homespun.cli.tokens",
        "Show a text as a model's tokenizer cuts it; several models side by side.",
    ),
    "next": (
        "homespun.cli.next",
        "Show the most probable next tokens, and what each option makes of them.",
    ),
    "steps": (
        "homespun.cli.steps",
        "Follow a text through a model in three steps: tokenize, represent, decode.",
    ),
    "trace": (
        "homespun.cli.trace",
        "Show an answer token by token: odds, hesitations, and what each passage changed.",
    ),
    "strategies": (
        "homespun.cli.strategies",
        "Measure the strategies of writing on your prompts: diversity, speed, likelihood, coherence, repetition.",
    ),
    "embed": (
        "homespun.cli.embed",
        "Show texts as embedders see them: vectors, similarities, groups, a map, and what fewer dimensions lose.",
    ),
    "tune": (
        "homespun.cli.tune",
        "Tune a model on examples: an adapter that is live at once, with a receipt.",
    ),
    "data": ("homespun.cli.data", "Check examples to learn from, import them, propose them from documents."),
    "verify": (
        "homespun.cli.verify",
        "Hold each sentence of a text against a library: what it says, says otherwise, or does not say.",
    ),
    "judge": (
        "homespun.cli.judge",
        "Let a model judge a kept comparison, and see how far it agrees with your own marks.",
    ),
    "questions": (
        "homespun.cli.questions",
        "Show, check, divide and propose question sets to measure with.",
    ),
    "compare": (
        "homespun.cli.compare",
        "Compare ways of answering on your own questions: scores, a verdict with intervals, causes of wrong answers.",
    ),
    "chats": ("homespun.cli.chats", "List, show and remove kept chats."),
    "models": ("homespun.cli.models", "List, show, add and remove models."),
    "adapters": (
        "homespun.cli.adapters",
        "List, show, compare, combine, check and export adapters.",
    ),
    "embedders": ("homespun.cli.embedders", "List, show, add and remove embedders."),
    "keys": ("homespun.cli.keys", "Keep, list and remove keys of remote servers."),
    "pull": (
        "homespun.cli.pull",
        "Fetch a model, check it and register it; a cut download goes on where it stopped.",
    ),
    "plan": (
        "homespun.cli.plan",
        "Say before a download what a model takes, what fits on this machine, and what is not known.",
    ),
    "costs": (
        "homespun.cli.costs",
        "Work out what answering costs: hosted by the token, rented by the month, or on the own machine.",
    ),
    "advise": (
        "homespun.cli.advise",
        "Advise by what matters to you and your own numbers: hosted or own, and the rule behind each line.",
    ),
    "convert": (
        "homespun.cli.convert",
        "Convert a Hugging Face folder to a GGUF file and measure what the format loses.",
    ),
    "quantize": (
        "homespun.cli.quantize",
        "Write a model in other formats, measure what each loses, and say which to take.",
    ),
    "quantization": (
        "homespun.cli.quantization",
        "Show what quantizing does to numbers: outliers, blocks, LLM.int8, NF4, on a layer of your model too.",
    ),
    "precision": (
        "homespun.cli.precision",
        "Show what float32, bf16, fp16, tf32 and fp8 can hold, and how fast each is on this machine.",
    ),
    "libraries": (
        "homespun.cli.libraries",
        "List, show, check, purge and remove libraries; print their documents' text.",
    ),
    "home": ("homespun.cli.home", "Back up, restore and check the folder that holds everything."),
    "doctor": ("homespun.cli.doctor", "Say what this machine is, what is installed, and what would run."),
}


class LazyGroup(TyperGroup):
    """A group that imports a command's module when that command is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The list of commands, from the table alone."""
        formatter.write_usage("homespun", "COMMAND [OPTIONS] ...")
        formatter.write_paragraph()
        formatter.write_text(
            "Run, ground and fine-tune language models on your own machine, with your own data, "
            "and measure which of the three your data needs."
        )
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])
        with formatter.section("Everywhere"):
            formatter.write_dl(
                [
                    ("COMMAND --help", "what a command takes"),
                    ("--json", "one JSON object instead of text"),
                    ("HOMESPUN_HOME", "the folder that holds everything (default ~/.homespun)"),
                ]
            )
        formatter.write_paragraph()
        formatter.write_text("Start with: homespun ingest FOLDER, then homespun ask 'QUESTION'")


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def _root() -> None:
    """Homespun."""


def run() -> None:
    """Entry point: runs a command and turns its failure into a sentence and an exit code."""
    if sys.argv[1:] == ["--version"]:
        from homespun import __version__

        print(f"homespun {__version__}")
        return
    _write_any_text()
    sys.exit(exit_code(sys.argv[1:]))


def _write_any_text() -> None:
    """No character of a document or a file name ends a command: pipes get UTF-8, terminals an escape."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        errors = "replace" if stream is sys.stdin else "backslashreplace"
        if stream is not None:
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors=errors)  # type: ignore[union-attr]


def exit_code(arguments: list[str]) -> int:
    """Run one command line; 0 success, 2 a failure told in one sentence, 130 interrupted."""
    from homespun.errors import HomespunError

    try:
        result = app(arguments, standalone_mode=False)
        if result == 130:  # how typer tells of an interruption
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except HomespunError as error:
        return _told(error.sentence(), error, arguments)
    except KeyboardInterrupt:
        print("Interrupted; what was finished before is kept.", file=sys.stderr)
        return 130
    except Exception as error:
        return _other(error, arguments)


def _other(error: Exception, arguments: list[str]) -> int:
    """Usage mistakes, and what nobody foresaw."""
    show = getattr(error, "format_message", None)
    if type(error).__name__ in ("Abort", "Exit"):
        code = getattr(error, "exit_code", 130)
        return int(code)
    if show is not None:
        return _told(f"{show().rstrip('.')}. See `homespun --help`.", error, arguments)
    if os.environ.get("HOMESPUN_DEBUG"):
        raise error
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return _told(f"{where}{error.strerror or error}.", error, arguments)
    sentence = f"{type(error).__name__}: {error}. This is a fault of Homespun; HOMESPUN_DEBUG=1 shows where."
    return _told(" ".join(sentence.split()), error, arguments)


def _told(sentence: str, error: BaseException, arguments: list[str]) -> int:
    if "--json" in arguments:
        import json

        print(json.dumps({"error": {"kind": type(error).__name__, "message": sentence}}, ensure_ascii=False))
    print(f"homespun: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    run()
