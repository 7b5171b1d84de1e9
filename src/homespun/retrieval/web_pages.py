"""Web pages that a person asked for, into files that are read like all others."""

from collections.abc import Sequence
from pathlib import Path

from homespun.documents.fetch import FetchOptions, fetch_page
from homespun.errors import HomespunError
from homespun.progress import Progress, no_progress
from homespun.retrieval.plan import WebPage


def fetch_pages(
    urls: Sequence[str],
    folder: Path,
    options: FetchOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> list[WebPage]:
    """Fetch each address into a file of `folder`; one that cannot be fetched gives the reason instead."""
    found = []
    for number, url in enumerate(urls):
        progress("Fetching pages", number, len(urls))
        try:
            fetched = fetch_page(url, options)
        except HomespunError as error:
            found.append(WebPage(url, folder / str(number), error.sentence()))
            continue
        path = folder / f"{number}{Path(fetched.name).suffix.lower()}"
        path.write_bytes(fetched.data)
        found.append(WebPage(url, path))
    return found
