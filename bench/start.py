"""How long a person waits: `homespun --help`, and a cold `homespun ask` until its first words.

    python bench/start.py [--rounds N] [--json]

Each round is a fresh process on a home whose library and imported graph are there (second start). The first
words are the first piece of text that the answer gives, in both styles.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _measure import Spread

from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder, fetch_starter_model
from homespun.retrieval.intake import ingest_paths

CLINIC = Path(__file__).parents[1] / "examples" / "clinic" / "documents"
QUESTION = "Until what time of day can we clear up queries with the nurses of the homes?"
ASK = """
import sys
from homespun.models.home import Home
from homespun.rag.answer import AnswerOptions
from homespun.rag.desk import Desk
with Desk.open(Home.open(), "clinic") as desk:
    desk.ask(sys.argv[2], AnswerOptions(style=sys.argv[1]), on_text=lambda text: print(text, flush=True))
"""


def seconds_to_first_line(arguments: list[str], environment: dict[str, str]) -> float:
    """From the start of the process to its first line of output."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    seconds = time.perf_counter() - started
    process.communicate()
    if process.returncode or not line:
        raise RuntimeError(f"{arguments[0]} ended with {process.returncode}")
    return seconds


def measure(rounds: int) -> dict[str, Any]:
    """All figures in seconds, as one JSON object."""
    commands = {
        "help_s": ["-m", "homespun.cli.main", "--help"],
        "ask_quote_first_words_s": ["-c", ASK, "quote", QUESTION],
        "ask_write_first_words_s": ["-c", ASK, "write", QUESTION],
    }
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "HOMESPUN_HOME": folder}
        home = Home.open(Path(folder))
        fetch_starter_model(home)
        fetch_starter_embedder(home)
        ingest_paths(home, "clinic", [CLINIC])
        first = seconds_to_first_line(commands["ask_write_first_words_s"], environment)
        values: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, arguments in commands.items():
                values[name].append(seconds_to_first_line(arguments, environment))
    return {
        "processor": processor_name(),
        "rounds": rounds,
        "first_ask_s": first,
        **{name: vars(Spread.of(seconds)) for name, seconds in values.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    report = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{report['processor']}; median of {report['rounds']} fresh processes [range], seconds")
    print(f"{'first ask ever (imports, measures precisions)':<48}{report['first_ask_s']:.1f}")
    for name, label in (
        ("help_s", "homespun --help"),
        ("ask_quote_first_words_s", "homespun ask --style quote, first words"),
        ("ask_write_first_words_s", "homespun ask --style write, first words"),
    ):
        spread = report[name]
        print(f"{label:<48}{spread['median']:.2f} [{spread['low']:.2f}, {spread['high']:.2f}]")


if __name__ == "__main__":
    main()
