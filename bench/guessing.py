"""Writing over passages: plain, guessing ahead always (on), and when it pays (auto), in interleaved rounds.

    python bench/guessing.py [MODEL.gguf] [--rounds N] [--questions N] [--mode fast|exact] [--draft FILE] [--json]

Questions about the clinic's documents, each with the passages that share most words with it, answered as
`ask --style write` does. Seconds are of writing alone (after the first token); ratios are paired by round.
"""

import argparse
import json
import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _measure import Spread

from homespun.documents.read import read_document
from homespun.documents.split import Passage, SplitOptions, TokenLimit, split_document
from homespun.documents.walk import find_files
from homespun.engines.engine import Engine, EngineOptions, GenerateOptions, Generation, Request
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_model
from homespun.rag.prompt import fit_prompt
from homespun.rag.write import PROMPT_BEGINNINGS

CLINIC = Path(__file__).parents[1] / "examples" / "clinic"
CACHE = Path.home() / ".cache" / "homespun-bench"
WAYS = ("off", "on", "auto")
N_PASSAGES = 5
N_TOKENS = 96


def prompts(engine: Engine, n_questions: int) -> list[tuple[int, ...]]:
    """What the model reads for each question, evenly taken from the test questions."""
    limit = TokenLimit(lambda text: engine.tokenizer.encode_with_offsets(text)[1], 512)
    passages = [
        passage
        for path in find_files([CLINIC / "documents"]).files
        for passage in split_document(read_document(Path(path)), SplitOptions(), [limit])
    ]
    rows = [json.loads(line) for line in (CLINIC / "test.jsonl").read_text().splitlines()]
    questions = [row["question"] for row in rows[:: len(rows) // n_questions][:n_questions]]
    return [
        fit_prompt(engine, question, _nearest(question, passages), max_new_tokens=N_TOKENS).token_ids
        for question in questions
    ]


def _nearest(question: str, passages: Sequence[Passage]) -> list[Passage]:
    """Passages that have most of the question's words, rare ones counting more."""
    asked = _words(question)
    n_with = {word: sum(word in _words(passage.text) for passage in passages) for word in asked}
    weight = {word: 1 / n for word, n in n_with.items() if n}
    scored = sorted(passages, key=lambda p: -sum(weight.get(w, 0) for w in asked & _words(p.text)))
    return scored[:N_PASSAGES]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w{3,}", text.casefold()))


def write_round(engine: Engine, reading: Sequence[tuple[int, ...]]) -> list[Generation]:
    """All answers one after the other; prompts are known after the first round."""
    stop = (*engine.template.stop_texts, *PROMPT_BEGINNINGS)
    options = GenerateOptions(max_new_tokens=N_TOKENS, temperature=0.0, seed=1, stop=stop)
    return [engine.generate([Request(ids, options)])[0] for ids in reading]


def measure(model: Path, options: dict[str, Any], rounds: int, n_questions: int) -> dict[str, Any]:
    """Tokens a second of each way, ratios to plain, and shares of accepted guesses."""
    engines = {
        way: OpenVINOEngine(model, EngineOptions(guess=way, **options), cache_path=CACHE) for way in WAYS
    }
    reading = prompts(engines["off"], n_questions)
    speeds: dict[str, list[float]] = {way: [] for way in WAYS}
    last: dict[str, list[Generation]] = {}
    for number in range(rounds + 1):
        for way, engine in engines.items():
            last[way] = write_round(engine, reading)
            if number:
                speeds[way].append(_tokens_per_s(last[way]))
    for engine in engines.values():
        engine.close()
    same = sum(a.token_ids == b.token_ids for a, b in zip(last["off"], last["auto"], strict=True))
    return {
        "processor": processor_name(),
        "model": model.name,
        "options": options,
        "rounds": rounds,
        "questions": n_questions,
        "prompt_tokens": statistics.median(len(ids) for ids in reading),
        "answer_tokens": statistics.median(len(answer.token_ids) for answer in last["off"]),
        "answers_equal": same,
        "ways": {
            way: {
                "tokens_per_s": vars(Spread.of(speeds[way])),
                "ratio": vars(Spread.of([a / b for a, b in zip(speeds[way], speeds["off"], strict=True)])),
                "guessed": sum(answer.n_guessed for answer in last[way]),
                "accepted": sum(answer.n_accepted for answer in last[way]),
                "written": sum(len(answer.steps) for answer in last[way]),
            }
            for way in WAYS
        },
    }


def _tokens_per_s(answers: Sequence[Generation]) -> float:
    """Tokens after each answer's first, in the time after it."""
    written = sum(len(answer.steps) - 1 for answer in answers)
    return written / sum(answer.write_s for answer in answers)


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f"{report['processor']}; {report['model']} {report['options']}",
        f"{report['questions']} questions, prompts of {report['prompt_tokens']:.0f} tokens, answers of "
        f"{report['answer_tokens']:.0f} (medians); {report['rounds']} interleaved rounds [range]",
        f"{'guess':<6}{'write tok/s':>24}{'ratio to off':>22}{'guessed':>9}{'accepted':>10}{'of tokens':>11}",
    ]
    for way, row in report["ways"].items():
        ratio = row["ratio"]
        share = f"{row['accepted'] / row['guessed']:.0%}" if row["guessed"] else "-"
        lines.append(
            f"{way:<6}{Spread(**row['tokens_per_s'])!s:>24}"
            f"{ratio['median']:>8.2f}x [{ratio['low']:.2f}, {ratio['high']:.2f}]"
            f"{row['guessed']:>9}{share:>10}{row['accepted'] / row['written']:>11.0%}"
        )
    lines.append(f"answers equal to plain ones: {report['answers_equal']} of {report['questions']}")
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=12)
    parser.add_argument("--mode", choices=("fast", "exact"), default="fast")
    parser.add_argument("--draft", default="")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    model = given.model or fetch_starter_model(Home.open()).path
    report = measure(model, {"mode": given.mode, "draft": given.draft}, given.rounds, given.questions)
    sys.stdout.write((json.dumps(report, indent=1) if given.json else table(report)) + "\n")


if __name__ == "__main__":
    main()
