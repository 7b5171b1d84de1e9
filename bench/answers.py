"""How good answers are: retrieval, token F1 and seconds of prompt, quote and write; and when `ask` abstains.

    python bench/answers.py [--sample N] [--model FILE] [--embedder FOLDER] [--covidqa FOLDER] [--record] [--json]

COVID-QA's test questions are used where FOLDER has that set. prompt: the model alone; quote: sentences of
the passages; write: the model with passages. None may abstain there. The clinic's test questions then show
how often an answer is withheld, rightly and wrongly. Intervals: 95%, percentile bootstrap over questions.
`--record` keeps the means in the home, where `ask` looks which style is better for the model.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.engine import Engine, EngineOptions, GenerateOptions
from homespun.engines.processor import processor_name
from homespun.evaluation.metrics import RULES, token_f1
from homespun.models.digest import file_digest
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder, fetch_starter_model
from homespun.rag.abstain import THRESHOLD, judge_relevance
from homespun.rag.answer import AnswerOptions, answer
from homespun.rag.evidence import gather_evidence
from homespun.rag.library_words import library_word_weights
from homespun.rag.prompt import fit_prompt
from homespun.rag.style import StyleMeasurement, record_measurement
from homespun.rag.write import write_answer
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.sync import ingest

HERE = Path(__file__).parent
CLINIC = HERE.parent / "examples" / "clinic"
COVIDQA = HERE.parents[1] / "shared" / "data" / "covidqa"
ALONE_RULE = "Answer the question in one or two short sentences."
WAYS = ("prompt", "quote", "write")
CUTS = (1, 5, 10)


def measure_covidqa(folder: Path, home: Home, embedder: Any, engine: Engine, n: int) -> dict[str, Any]:
    """Retrieval, token F1 and seconds a question, each way, on test questions."""
    rows = [row for row in _read(folder / "questions.jsonl") if row["split"] == "test"]
    if n:
        rows = random.Random(0).sample(rows, min(n, len(rows)))
    library = _library(home, "covidqa", embedder, folder / "documents")
    hits = [_hit_rank(library, row) for row in rows]
    answering = {
        "prompt": lambda question: _prompt_alone(engine, question),
        "quote": lambda question: _answered(engine, library, question, "quote"),
        "write": lambda question: _answered(engine, library, question, "write"),
    }
    return {
        "n_questions": len(rows),
        "n_passages": sum(document.n_passages for document in library.documents()),
        "hit": {f"hit@{cut}": _mean_interval([float(rank <= cut) for rank in hits]) for cut in CUTS},
        "ways": {way: _measure_way(answering[way], rows) for way in WAYS},
    }


def measure_abstaining(home: Home, embedder: Any, split: str) -> dict[str, Any]:
    """How many questions of the clinic get no answer, by whether there is one."""
    library = _library(home, "clinic", embedder, CLINIC / "documents")
    weights = library_word_weights(library)
    texts = {document.name: library.text(document.name) for document in library.documents()}
    n_hits = AnswerOptions().n_passages
    n_abstained: dict[str, list[float]] = {"answerable": [], "near miss": [], "far off": []}
    for row in _read(CLINIC / f"{split}.jsonl"):
        passages = [hit.passage for hit in search(library, row["question"], SearchOptions(n_hits=n_hits))]
        evidence = gather_evidence(row["question"], passages, texts.__getitem__, embedder, weights)
        abstains = float(judge_relevance(evidence, embedder).probability < THRESHOLD)
        kind = "answerable"
        if row.get("unanswerable"):
            kind = "near miss" if row["near_miss"] else "far off"
        n_abstained[kind].append(abstains)
    n_abstained["unanswerable"] = n_abstained["near miss"] + n_abstained["far off"]
    return {
        kind: {"abstained": int(sum(values)), "of": len(values), **_mean_interval(values)}
        for kind, values in n_abstained.items()
    }


def _library(home: Home, name: str, embedder: Any, documents: Path) -> Library:
    library = Library.open(home, name, embedder, create=True)
    ingest(library, [documents])
    return library


def _hit_rank(library: Library, row: dict[str, Any]) -> int:
    hits = search(library, row["question"], SearchOptions(n_hits=CUTS[-1]))
    name = Path(row["document"]).name
    for place, hit in enumerate(hits, start=1):
        passage = hit.passage
        common = min(passage.end, row["end"]) - max(passage.start, row["start"])
        least = 0.5 * min(row["end"] - row["start"], passage.end - passage.start)
        if Path(passage.document).name == name and common >= least > 0:
            return place
    return 1_000_000


def _answered(engine: Engine, library: Library, question: str, style: Any) -> str:
    options = AnswerOptions(style=style, may_abstain=False, max_new_tokens=64)
    return answer(question, library, engine, options).answer


def _prompt_alone(engine: Engine, question: str) -> str:
    prompt = fit_prompt(engine, question, [], max_new_tokens=64, rule=ALONE_RULE)
    return write_answer(engine, prompt, GenerateOptions(max_new_tokens=64)).text


def _measure_way(answering: Callable[[str], str], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    scores, seconds = [], []
    for row in rows:
        started = time.perf_counter()
        text = answering(row["question"])
        seconds.append(time.perf_counter() - started)
        scores.append(token_f1(text, row["answers"]))
    return {"token_f1": _mean_interval(scores), "s_per_question": float(np.median(seconds))}


def _mean_interval(values: Sequence[float], n_draws: int = 1000) -> dict[str, float]:
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return {"mean": float("nan"), "low": float("nan"), "high": float("nan")}
    draws = np.random.default_rng(0).choice(array, (n_draws, len(array))).mean(axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return {"mean": float(array.mean()), "low": float(low), "high": float(high)}


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"{report['processor']}; {report['engine']}, {report['model']}"]
    covidqa = report["covidqa"]
    if covidqa is None:
        lines.append("COVID-QA is not here, so retrieval and the styles were not measured (--covidqa FOLDER)")
    else:
        lines.append(f"COVID-QA: {covidqa['n_questions']} test questions, {covidqa['n_passages']} passages")
        lines.extend(f"  {name:<8}{_shown(found)}" for name, found in covidqa["hit"].items())
        lines.append(f"  {'way':<8}{'token F1':<24}seconds a question (median)")
        for way, found in covidqa["ways"].items():
            lines.append(f"  {way:<8}{_shown(found['token_f1']):<24}{found['s_per_question']:.2f}")
    lines.append(f"Clinic, {report['split']} questions: share that gets no answer")
    for kind, found in report["abstained"].items():
        lines.append(f"  {kind:<14}{found['abstained']:>4} of {found['of']:<5}{_shown(found)}")
    lines.append("  aims: unanswerable at least 0.80, answerable at most 0.10")
    return "\n".join(lines)


def _shown(found: dict[str, float]) -> str:
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=Path, help="a GGUF file; default: the starter model")
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--covidqa", type=Path, default=COVIDQA)
    parser.add_argument(
        "--sample", type=int, default=80, help="COVID-QA questions, drawn with seed 0; 0: all"
    )
    parser.add_argument(
        "--split", default="test", choices=("train", "test"), help="of the clinic's questions"
    )
    parser.add_argument(
        "--home", type=Path, help="keep the libraries here; default: a folder that goes again"
    )
    parser.add_argument("--record", action="store_true", help="remember the better style for this model")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(arguments, Home.open(arguments.home or Path(folder)))
    print(json.dumps(report, indent=1) if arguments.json else table(report))


def run(arguments: argparse.Namespace, home: Home) -> dict[str, Any]:
    """All that is asked for."""
    from homespun.engines.openvino.engine import OpenVINOEngine

    model = arguments.model or fetch_starter_model(Home.open()).path
    embedder = open_embedder(arguments.embedder or fetch_starter_embedder(Home.open()))
    covidqa = None
    with OpenVINOEngine(model, EngineOptions(), cache_path=home.cache_path) as engine:
        if (arguments.covidqa / "questions.jsonl").is_file():
            covidqa = measure_covidqa(arguments.covidqa, home, embedder, engine, arguments.sample)
        name = f"{engine.facts.engine} {engine.facts.version} {engine.facts.mode} ({engine.facts.precision})"
    if arguments.record and covidqa is not None:
        quote, write = (covidqa["ways"][way]["token_f1"]["mean"] for way in ("quote", "write"))
        measured = StyleMeasurement(quote, write, covidqa["n_questions"], "COVID-QA")
        record_measurement(Home.open().cache_path / "styles.json", file_digest(model), measured)
    return {
        "processor": processor_name(),
        "engine": name,
        "model": model.name,
        "rules_of_token_f1": RULES,
        "covidqa": covidqa,
        "split": arguments.split,
        "abstained": measure_abstaining(home, embedder, arguments.split),
    }


if __name__ == "__main__":
    main()
