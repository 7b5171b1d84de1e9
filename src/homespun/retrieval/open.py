"""From a library's name to an open library, with the embedder that made it."""

from homespun.models.home import Home
from homespun.models.registry import RegisteredEmbedder
from homespun.retrieval.embedder import open_embedder
from homespun.retrieval.errors import EmbedderError
from homespun.retrieval.library import Library, library_names


def open_library(home: Home, name: str, *, create: bool = False) -> Library:
    """Open a library for searching and ingesting.

    Args:
        home: where libraries and embedders are.
        name: of the library.
        create: make it if it is not there, then with the home's default embedder.

    Raises:
        LibraryError: no such library.
        EmbedderError: the home has no embedder yet, or not the one that made the library.
    """
    is_new = create and name not in library_names(home)
    known = None if is_new else Library.open(home, name).facts.embedder_name
    registered = find_embedder(home, known)
    embedder = open_embedder(registered.path, cache_path=home.cache_path / "openvino", name=registered.name)
    return Library.open(home, name, embedder, create=create)


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
