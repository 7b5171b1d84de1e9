"""How long a search takes in a large library, by stage: the first one after opening, and the 50th and 95th percentile.

    python bench/search_speed.py DATA [--passages 50000] [--queries 200] [--keep FOLDER] [--json]

DATA holds documents and questions.jsonl. Passages are sentences of the documents, put together anew at
random; vectors are those of a sample of passages with noise, so that they lie as real ones do. With
--keep the library is left there and used again.
"""

import argparse
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from homespun.documents.split import Passage
from homespun.engines.processor import processor_name
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.retrieval.embedder import Embedder, open_embedder
from homespun.retrieval.keywords import passage_keywords
from homespun.retrieval.library import Library
from homespun.retrieval.search import SearchOptions, search
from homespun.retrieval.store import Group

PASSAGES_OF_A_DOCUMENT = 50
SENTENCES_OF_A_PASSAGE = 6
SAMPLE = 500
#: Noise of the copies: the cosine of a copy to its original is about 0.87.
NOISE = 0.57
STAGES = {"keywords": "keyword_hits", "vectors": "vector_hits", "other products": "products", "texts": "rows"}


def sentences_of(data: Path) -> list[str]:
    """Sentences of the documents, 30 to 400 characters long."""
    files = sorted(path for path in (data / "documents").rglob("*") if path.suffix in (".txt", ".md"))
    found = [re.split(r"(?<=[.!?])\s+", path.read_text("utf-8")) for path in files]
    return [sentence for sentences in found for sentence in sentences if 30 < len(sentence) < 400]


def fill(library: Library, sentences: list[str], n_passages: int) -> None:
    """Write passages into a library without reading files."""
    draw = random.Random(0)
    rng = np.random.default_rng(0)
    sample = [" ".join(draw.choices(sentences, k=SENTENCES_OF_A_PASSAGE)) for _ in range(SAMPLE)]
    known = np.asarray(library.embedder.embed([text[:400] for text in sample], "passage"))
    for first in range(0, n_passages, 50 * PASSAGES_OF_A_DOCUMENT):
        documents, texts, passages = [], [], []
        for start in range(
            first, min(n_passages, first + 50 * PASSAGES_OF_A_DOCUMENT), PASSAGES_OF_A_DOCUMENT
        ):
            content = f"{start:032x}"
            rows = []
            for number in range(PASSAGES_OF_A_DOCUMENT):
                text = " ".join(draw.choices(sentences, k=SENTENCES_OF_A_PASSAGE))
                noise = rng.standard_normal(known.shape[1]).astype(np.float32)
                vector = known[draw.randrange(SAMPLE)] + NOISE * noise / np.linalg.norm(noise)
                rows.append(_passage_row(content, number, text, vector / np.linalg.norm(vector)))
            passages += rows
            texts.append(
                {
                    "content_id": content,
                    "text": "\n".join(r["text"] for r in rows),
                    "places": "[]",
                    "pages": "[]",
                }
            )
            documents.append(_document_row(content, len(rows)))
        library.tables.write(Group(documents, texts, passages))
    library.tables.tidy()


def _passage_row(content: str, number: int, text: str, vector: np.ndarray) -> dict[str, Any]:
    place = {"start": number, "end": number + len(text), "page": None, "headings": ["A heading"]}
    return {
        "content_id": content,
        "number": number,
        **place,
        "text": text,
        "keywords": passage_keywords("", Passage("", 0, len(text), text, None, ("A heading",))),
        "vector": vector,
    }


def _document_row(content: str, n_passages: int) -> dict[str, Any]:
    sizes = {"size_bytes": 1, "n_chars": 1, "n_passages": n_passages, "n_pages": 0}
    name = f"{content[-8:]}.txt"
    row = {"source": f"/{name}", "root": "/", "name": name, "digest": content, "content_id": content}
    return {**row, "made": "", "status": "read", "reason": "", "title": name, **sizes}


class Stopwatch:
    """Milliseconds by stage, of calls that it wraps."""

    def __init__(self) -> None:
        self.ms: dict[str, list[float]] = {}

    def wrap(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.timing(name):
                return call(*args, **kwargs)

        return timed

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.ms.setdefault(name, []).append((time.perf_counter() - started) * 1e3)


def measure(library: Library, queries: list[str], options: SearchOptions) -> dict[str, dict[str, float]]:
    """Times of the queries by stage: first, p50 and p95 of the others, in milliseconds."""
    watch = Stopwatch()
    for name, method in STAGES.items():
        setattr(library.tables, method, watch.wrap(name, getattr(library.tables, method)))
    library.embedder.embed = watch.wrap("embedding", library.embedder.embed)  # type: ignore[method-assign]
    for query in queries:
        with watch.timing("whole search"):
            search(library, query, options)
    return {
        name: {
            "first": round(times[0], 2),
            "p50": round(float(np.percentile(times[1:], 50)), 2),
            "p95": round(float(np.percentile(times[1:], 95)), 2),
        }
        for name, times in watch.ms.items()
    }


def _library(home: Home, embedder: Embedder, data: Path, n_passages: int) -> Library:
    library = Library.open(home, "speed", embedder, create=True)
    if library.tables.n_passages() != n_passages:
        started = time.perf_counter()
        fill(library, sentences_of(data), n_passages)
        print(f"{n_passages} passages written in {time.perf_counter() - started:.0f} s")
    return Library.open(home, "speed", embedder)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--passages", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--embedder", type=Path)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    embedder = open_embedder(given.embedder or fetch_starter_embedder(Home.open()))
    lines = (given.data / "questions.jsonl").read_text("utf-8").splitlines()
    queries = [json.loads(line)["question"] for line in lines][: given.queries]
    with tempfile.TemporaryDirectory() as folder:
        home = Home.open(given.keep or Path(folder))
        library = _library(home, embedder, given.data, given.passages)
        times = measure(library, queries, SearchOptions())
    if given.json:
        print(json.dumps({"processor": processor_name(), "passages": given.passages, "ms": times}))
        return
    print(f"{given.passages} passages, {len(queries)} queries, {processor_name()}; milliseconds")
    print(f"{'stage':<16}{'first':>9}{'p50':>9}{'p95':>9}")
    for name, row in times.items():
        print(f"{name:<16}{row['first']:>9}{row['p50']:>9}{row['p95']:>9}")


if __name__ == "__main__":
    main()
