"""Whether the right passage is found, and what each stage of the search adds, where the place is known.

    python bench/retrieval.py DATA... [--split test] [--questions N] [--stages late,model] [--json]

DATA holds documents and questions.jsonl with rows of `question`, `document` and either `start` and `end`
(the answer's span, in code points) or `section` (the heading it stands under). Sets without a split get one
by the document's name. A span counts where all of it is among the first 900 or 180 words returned, so that
longer passages gain nothing; a section where a passage of it is among the first 1 or 5. Weights and rules
are to be chosen on `train`. Libraries are kept in the cache folder, so that a second run takes seconds.
"""

import argparse
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from homespun.documents.split import SplitOptions
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.retrieval.embedder import Embedder, open_embedder
from homespun.retrieval.library import Library
from homespun.retrieval.rerank import Reranker
from homespun.retrieval.search import Hit, SearchOptions, search
from homespun.retrieval.sync import IngestOptions, ingest

_HITS = 30
_PLAIN = SearchOptions(n_hits=_HITS, exact=False, collapse=False)
STAGES: dict[str, SearchOptions] = {
    "keywords (BM25)": replace(_PLAIN, keyword_weight=1),
    "vectors": replace(_PLAIN, keyword_weight=0),
    "both": _PLAIN,
    "+ exact codes first": replace(_PLAIN, exact=True),
    "+ copies once": replace(_PLAIN, exact=True, collapse=True),
}


def questions(data: Path, split: str, n_max: int) -> list[dict[str, Any]]:
    """The questions of one split, or of all."""
    rows = [json.loads(line) for line in (data / "questions.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        digest = hashlib.sha256(Path(row["document"]).name.encode()).digest()
        row.setdefault("split", "test" if digest[0] % 2 else "train")
    rows = [row for row in rows if split in ("all", row["split"])]
    if n_max and len(rows) > n_max:
        rows = [rows[place] for place in sorted(np.random.default_rng(0).permutation(len(rows))[:n_max])]
    return rows


def words_until(hits: Sequence[Hit], row: dict[str, Any], text: str) -> float:
    """How many words are returned until the whole span was; words that were returned before are not new."""
    wanted = {match.start() + row["start"] for match in re.finditer(r"\S+", text[row["start"] : row["end"]])}
    seen: set[tuple[str, int]] = set()
    for hit in hits:
        for match in re.finditer(r"\S+", hit.passage.text):
            place = hit.passage.start + match.start()
            if (hit.passage.document, place) in seen:
                continue
            seen.add((hit.passage.document, place))
            if row["document"].endswith(hit.passage.document):
                wanted.discard(place)
                if not wanted:
                    return len(seen)
    return float("inf")


def section_rank(hits: Sequence[Hit], row: dict[str, Any]) -> float:
    """The place of the first passage of the right section, from 1."""
    for place, hit in enumerate(hits, 1):
        if row["document"].endswith(hit.passage.document) and row["section"] in hit.passage.headings:
            return place
    return float("inf")


def interval(found: Sequence[bool]) -> tuple[float, float]:
    """95% of the means of 2,000 samples with replacement."""
    values = np.array(found, float)
    places = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.quantile(values[places].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def measure(
    library: Library,
    data: Path,
    rows: list[dict[str, Any]],
    options: SearchOptions,
    rerankers: list[Reranker],
) -> dict[str, Any]:
    """One way of searching: shares with their intervals, and milliseconds a question."""
    is_span = "section" not in rows[0]
    cuts = (900, 180) if is_span else (5, 1)
    found = []
    seconds = 0.0
    texts: dict[str, str] = {}
    for row in rows:
        started = time.perf_counter()
        hits = search(library, row["question"], options, rerankers=rerankers)
        seconds += time.perf_counter() - started
        if is_span:
            text = texts.setdefault(row["document"], library.text(Path(row["document"]).name))
            found.append(words_until(hits, row, text))
        else:
            found.append(section_rank(hits, row))
    shares = {}
    for cut in cuts:
        inside = [value <= cut for value in found]
        shares[f"{cut} words" if is_span else f"hit@{cut}"] = (sum(inside) / len(inside), *interval(inside))
    return {"shares": shares, "ms_per_question": seconds / len(rows) * 1e3}


def open_bench_library(cache: Path, data: Path, embedder: Embedder, target_tokens: int) -> Library:
    """The set's library in the cache, made when it is not there."""
    home = Home.open(cache)
    split = SplitOptions(target_tokens=target_tokens)
    library = Library.open(home, f"{data.name}-{target_tokens}", embedder, create=True, split=split)
    ingest(library, [data / "documents"], IngestOptions(split=split))
    return library


def table(report: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [
        f"{report['processor']}; {report['data']} {report['split']}: {report['n_questions']} questions, "
        f"passages of at most {report['target_tokens']} tokens"
    ]
    for name, result in report["stages"].items():
        cells = "".join(
            f"  {cut} {share:.3f} ({low:.3f} to {high:.3f})"
            for cut, (share, low, high) in result["shares"].items()
        )
        lines.append(f"{name:<28}{cells}  {result['ms_per_question']:8.1f} ms")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--embedder", type=Path, help="its folder; default: the starter embedder")
    parser.add_argument("--model", type=Path, help="a GGUF file, for the stage `model`")
    parser.add_argument("--stages", default="", help="rerankers after the search: late, model")
    parser.add_argument("--split", default="test", help="train, test or all")
    parser.add_argument("--target-tokens", type=int, default=SplitOptions().target_tokens)
    parser.add_argument("--questions", type=int, default=0, help="so many by chance; 0: all")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "homespun-bench-retrieval"
    )
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    path = arguments.embedder or fetch_starter_embedder(Home.open())
    embedder = open_embedder(path)
    for data in arguments.data:
        rows = questions(data, arguments.split, arguments.questions)
        library = open_bench_library(arguments.cache, data, embedder, arguments.target_tokens)
        stages = {name: measure(library, data, rows, options, []) for name, options in STAGES.items()}
        with ExitStack() as opened:
            rerankers: list[Reranker] = []
            for kind in filter(None, arguments.stages.split(",")):
                rerankers.append(_reranker(kind, path, arguments.model, opened))
                last = replace(_PLAIN, exact=True, collapse=True)
                stages[f"+ rerank: {kind}"] = measure(library, data, rows, last, rerankers)
        report = {
            "processor": processor_name(),
            "data": data.name,
            "split": arguments.split,
            "n_questions": len(rows),
            "target_tokens": arguments.target_tokens,
            "stages": stages,
        }
        print(json.dumps(report, indent=1) if arguments.json else table(report), flush=True)


def _reranker(kind: str, embedder: Path, model: Path | None, opened: ExitStack) -> Reranker:
    if kind == "late":
        from homespun.retrieval.rerank_late import LateInteraction

        return LateInteraction.open(embedder)
    from homespun.engines.choose import open_engine
    from homespun.retrieval.rerank_model import QueryLikelihood

    if model is None:
        raise SystemExit("The stage `model` needs --model FILE.gguf.")
    return QueryLikelihood(opened.enter_context(open_engine(model)))


if __name__ == "__main__":
    main()
