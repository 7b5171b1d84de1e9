"""How long it takes to bring 1,000 mixed files into a new library, against embedding their passages alone.

    python bench/ingest.py [--files N] [--embedder FOLDER] [--model FILE] [--workers N] [--rounds N] [--json]

Both sides run on all cores. Embedding alone gets all passages at once, tokenizing included. Also: the same
again with nothing changed, and with one file in a hundred changed.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from _mixed_files import write_mixed_files

from homespun.documents.split import TokenLimit
from homespun.engines.processor import processor_name
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.starter import fetch_starter_embedder
from homespun.models.tokenizer import Tokenizer
from homespun.retrieval.embedder import FolderEmbedder, open_embedder
from homespun.retrieval.groups import embedded_text
from homespun.retrieval.intake import MODEL_PASSAGE_TOKENS
from homespun.retrieval.library import Library
from homespun.retrieval.sync import IngestOptions, ingest


def measure(embedder: FolderEmbedder, n_files: int, model: Path | None, n_workers: int) -> dict[str, Any]:
    """One round with files and a home of its own."""
    limits = []
    if model:
        tokenizer = Tokenizer.from_gguf(read_gguf(model))
        limits = [TokenLimit(lambda text: tokenizer.encode_with_offsets(text)[1], MODEL_PASSAGE_TOKENS)]
    options = IngestOptions(n_workers=n_workers)
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "files"
        write_mixed_files(folder, n_files)
        library = Library.open(Home.open(Path(top) / "home"), "bench", embedder, create=True)
        report = ingest(library, [folder], options, limits=limits)
        again = ingest(library, [folder], options, limits=limits)
        changed = sorted(path for path in folder.rglob("*.md"))[: max(1, n_files // 100)]
        for path in changed:
            path.write_text(path.read_text("utf-8") + "\n\nOne more line.\n", "utf-8")
        few = ingest(library, [folder], options, limits=limits)
        texts = [
            embedded_text(passage, embedder.token_limit)
            for document in library.documents()
            for passage in library.passages(document.name)
        ]
        started = time.monotonic()
        embedder.embed(texts, "passage")
        embedding_s = time.monotonic() - started
    statuses = Counter(read=len(report.added), not_read=len(report.not_read), partly=len(report.partly_read))
    return {
        "files": n_files,
        "passages": report.n_passages,
        "ingest_s": report.seconds,
        "embedding_s": embedding_s,
        "ratio": report.seconds / embedding_s,
        "unchanged_s": again.seconds,
        "one_in_a_hundred_s": few.seconds,
        "status": dict(statuses),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--embedder", type=Path, help="a folder; the starter embedder by default")
    parser.add_argument("--model", type=Path, help="a GGUF file whose tokenizer bounds the passages too")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    embedder = open_embedder(arguments.embedder or fetch_starter_embedder(Home.open()))
    embedder.embed(["warm"] * 64, "passage")
    rounds = [
        measure(embedder, arguments.files, arguments.model, arguments.workers)
        for _ in range(arguments.rounds)
    ]
    middle = {
        name: statistics.median(one[name] for one in rounds)
        for name in ("ingest_s", "embedding_s", "ratio", "unchanged_s", "one_in_a_hundred_s")
    }
    result = {"processor": processor_name(), "median": middle, "rounds": rounds}
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(
        f"{result['processor']}: {arguments.files} files, {rounds[0]['passages']} passages, {rounds[0]['status']}"
    )
    for name, value in middle.items():
        print(f"{name:20} {value:8.2f}")


if __name__ == "__main__":
    main()
