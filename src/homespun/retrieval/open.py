"""From a library's name to an open library, with the embedder that made it."""

from homespun.models.home import Home
from homespun.models.registry import RegisteredEmbedder
from homespun.retrieval.embedders.opening import open_registered
from homespun.retrieval.errors import EmbedderError
from homespun.retrieval.library import Library, library_names
from homespun.retrieval.reindex import other_embedder


def open_library(
    home: Home, name: str, *, create: bool = False, embedder: str | None = None, store: str = ""
) -> Library:
    """Open a library for searching and ingesting.

    Args:
        home: where libraries and embedders are.
        name: of the library.
        create: make it if it is not there.
        store: the address where a new library keeps its rows (see `open_store`).
        embedder: of a new library, by name; the home's default one if None. An old library has its own.

    Raises:
        LibraryError: no such library, or one of another embedder; with what another one would cost.
        EmbedderError: the home has no embedder yet, or not the one that made the library.
    """
    if create and name not in library_names(home):
        chosen = home.embedder(embedder) if embedder else find_embedder(home)
        return Library.open(home, name, open_registered(home, chosen), create=True, store=store)
    library = Library.open(home, name)
    opened = open_registered(home, find_embedder(home, embedder or library.facts.embedder_name))
    if opened.identity != library.facts.embedder_identity:
        raise other_embedder(library, opened)
    return Library.open(home, name, opened)


def find_embedder(home: Home, name: str | None = None) -> RegisteredEmbedder:
    """A registered embedder by name; without one (or with one that is gone), the default.

    Raises:
        EmbedderError: there is none yet.
    """
    if not home.embedders():
        raise EmbedderError(
            "This home has no embedder yet",
            where=str(home.root),
            remedy="Fetch the starter embedder (and model) with `homespun models add starter`.",
        )
    names = {embedder.name for embedder in home.embedders()}
    return home.embedder(name if name in names else None)
