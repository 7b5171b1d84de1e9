"""Documents into a library by name: opens or makes the library, and splits for all who will read it."""

from collections.abc import Sequence
from pathlib import Path

from homespun.documents.split import TokenLimit
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.open import open_library
from homespun.retrieval.report import IngestReport
from homespun.retrieval.sync import IngestOptions, ingest

#: No passage takes more of the model's window than this, whatever the embedder's tokenizer makes of it.
MODEL_PASSAGE_TOKENS = 512


def ingest_paths(
    home: Home,
    library: str,
    paths: Sequence[Path],
    options: IngestOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> IngestReport:
    """Make a library hold what the files under the paths hold now; see `homespun.retrieval.sync.ingest`.

    Raises:
        RetrievalError: none of the paths exists.
        LibraryError, LibraryBusyError, EmbedderError: as `open_library` and `ingest` say.
    """
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise RetrievalError(f"there is no such file or folder: {', '.join(missing)}")
    opened = open_library(home, library, create=True)
    return ingest(opened, paths, options, limits=model_limits(home), progress=progress)


def model_limits(home: Home) -> list[TokenLimit]:
    """The bound that the home's default model sets on a passage; none where there is no model yet."""
    if not home.models():
        return []
    tokenizer = Tokenizer.from_gguf(read_gguf(home.model().path))

    def offsets(text: str) -> list[tuple[int, int]]:
        return tokenizer.encode_with_offsets(text)[1]

    return [TokenLimit(offsets, MODEL_PASSAGE_TOKENS)]
