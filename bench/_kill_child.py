"""An ingest that is to be killed: `python bench/_kill_child.py HOME FOLDER SECONDS_A_PASSAGE`.

Says "started" when the work begins. The embedder is one without a model that takes its time, so that kills
meet reading, embedding, writing and tidying alike, and vectors can be compared to the bit.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from homespun.models.home import Home
from homespun.progress import Progress, no_progress
from homespun.retrieval import groups
from homespun.retrieval.embedders.counted import FloatArray
from homespun.retrieval.embedders.fake import HashEmbedder
from homespun.retrieval.library import Library
from homespun.retrieval.sync import IngestOptions, ingest

#: Small groups, so that many commits can be cut.
GROUP_DOCUMENTS = 3


class SlowEmbedder(HashEmbedder):
    """Sleeps for each passage."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def embed(self, texts: Sequence[str], kind: str, progress: Progress = no_progress) -> FloatArray:
        """As its base, and slowly."""
        time.sleep(self.seconds * len(texts))
        return super().embed(texts, kind, progress)  # type: ignore[arg-type]


def main() -> None:
    home, folder, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    groups.GROUP_DOCUMENTS = GROUP_DOCUMENTS
    library = Library.open(Home.open(home), "kills", SlowEmbedder(seconds), create=True)
    print("started", flush=True)
    ingest(library, [folder], IngestOptions(n_workers=2))
    print("finished", flush=True)


if __name__ == "__main__":
    main()
