"""The main job on a bare machine: fetch a small model, read a handbook, answer with sources.

Run by `make demo`. Everything goes to the home folder (HOMESPUN_HOME, default ~/.homespun).
"""

import sys
import time
from pathlib import Path

from homespun.cli.ask import render_answer
from homespun.cli.render import shown_progress
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder, fetch_starter_model
from homespun.rag.answer import AnswerOptions
from homespun.rag.desk import Desk
from homespun.rag.result import Answer
from homespun.retrieval.intake import ingest_paths

CLINIC = Path(__file__).parent / "clinic"
LIBRARY = "clinic"
WIDTH = 78
#: Of the clinic's test set: a sentence, a table row of a Word file, and one that the model also writes well.
#: They were picked to show the styles; how often each is right is measured by bench/answers.py.
QUESTIONS = (
    "Cellulitis in a man above 100 kg: how much flucloxacillin?",
    "A worker's asbestos file: for how many years do we hold on to it?",
    "How far ahead is the rota published?",
)
UNANSWERABLE = "Can I get IVF treatment through the clinic?"


def tell(question: str, style: str, answer: Answer, seconds: float) -> None:
    """One answer."""
    print(f"--- {style} " + "-" * (WIDTH - len(style) - 5))
    print(render_answer(answer))
    if answer.style == "write" and not answer.abstained:
        speed = answer.tokens.written / max(answer.timings.get("write_s", 0), 1e-9)
        print(f"{answer.tokens.written} tokens written at {speed:.0f} tok/s")
    print(f"({seconds:.2f} s)")


def main() -> None:
    started = time.perf_counter()
    home = Home.open()
    with shown_progress() as progress:
        print("1. The starter model and embedder (fetched once)", flush=True)
        fetch_starter_model(home, progress)
        fetch_starter_embedder(home, progress)
        print("2. The handbook of a clinic into a library", flush=True)
        report = ingest_paths(home, LIBRARY, [CLINIC / "documents"], progress=progress)
        print(f"   {report.n_passages} passages in {report.seconds:.1f} s")
        for item in report.partly_read:
            print(f"   partly read: {item.name}: {item.reason}")
        print("3. Questions", flush=True)
        desk = Desk.open(home, LIBRARY, progress=progress)
    with desk:
        for question in QUESTIONS:
            print("\n" + "=" * WIDTH + f"\n{question}")
            for style in ("quote", "write"):
                begin = time.perf_counter()
                answer = desk.ask(question, AnswerOptions(style=style))
                tell(question, style, answer, time.perf_counter() - begin)
        print("\n" + "=" * WIDTH + f"\n{UNANSWERABLE}   (the handbook does not say)")
        print(desk.ask(UNANSWERABLE).answer)
        facts = desk.engine.facts
        print("\n" + "=" * WIDTH)
        print(f"Ran on {facts.processor}, {facts.threads} threads: {Path(facts.model_path).name}")
        print(
            f"by {facts.engine} {facts.version}, {facts.precision}, cache {facts.cache_precision};", end=" "
        )
        if facts.loss_nats is not None:
            print(f"measured loss to exact mode {facts.loss_nats:.1e} nats a token;", end=" ")
        print(f"all in {time.perf_counter() - started:.0f} s.")
    command = ".venv/bin/homespun" if Path(sys.prefix).name == ".venv" else "homespun"
    print(
        "\nNext:\n"
        f'  {command} ask "Can my son get his jab after four?" --library {LIBRARY}\n'
        f"  {command} ask --chat --library {LIBRARY}\n"
        f"  {command} ingest YOUR_FOLDER --library mine"
    )


if __name__ == "__main__":
    main()
