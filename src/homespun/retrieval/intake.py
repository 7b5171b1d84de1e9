"""Documents into a library by name: opens or makes the library, and splits for all who will read it."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from homespun.documents.fetch import FetchOptions, is_url
from homespun.documents.split import TokenLimit
from homespun.documents.walk import expand_patterns
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.retrieval.errors import RetrievalError
from homespun.retrieval.open import open_library
from homespun.retrieval.report import IngestReport
from homespun.retrieval.sync import IngestOptions, ingest
from homespun.retrieval.web_pages import fetch_pages

#: No passage takes more of the model's window than this, whatever the embedder's tokenizer makes of it.
MODEL_PASSAGE_TOKENS = 512


def ingest_paths(
    home: Home,
    library: str,
    paths: Sequence[Path | str],
    options: IngestOptions | None = None,
    fetch: FetchOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> IngestReport:
    """Make a library hold what the files under the paths hold now; see `homespun.retrieval.sync.ingest`.

    Args:
        home: where the library is.
        library: its name; it is made if it is not there.
        paths: files, folders, patterns such as "notes/**/*.md", and addresses of web pages (as text).
        options: how files are brought in.
        fetch: how web pages are fetched.
        progress: told how far it is.

    Raises:
        RetrievalError: one of the paths does not exist.
        LibraryError, LibraryBusyError, EmbedderError: as `open_library` and `ingest` say.
    """
    urls = [path for path in paths if isinstance(path, str) and is_url(path)]
    files = [Path(path) for path in paths if not (isinstance(path, str) and is_url(path))]
    check_there(files)
    opened = open_library(home, library, create=True)
    with tempfile.TemporaryDirectory(prefix="homespun-") as folder:
        pages = fetch_pages(urls, Path(folder), fetch, progress=progress)
        limits = model_limits(home)
        return ingest(opened, files, options, limits=limits, pages=pages, progress=progress)


def check_there(paths: Sequence[Path]) -> None:
    """Refuse paths that lead nowhere, and patterns that match nothing.

    Raises:
        RetrievalError: naming all of them.
    """
    missing = [str(path) for path in expand_patterns(paths) if not path.expanduser().exists()]
    if missing:
        raise RetrievalError(f"there is no such file or folder: {', '.join(missing)}")


def model_limits(home: Home) -> list[TokenLimit]:
    """The bound that the home's default model sets on a passage; none where there is no model yet."""
    if not home.models():
        return []
    tokenizer = Tokenizer.from_gguf(read_gguf(home.model().path))

    def offsets(text: str) -> list[tuple[int, int]]:
        return tokenizer.encode_with_offsets(text)[1]

    return [TokenLimit(offsets, MODEL_PASSAGE_TOKENS)]
