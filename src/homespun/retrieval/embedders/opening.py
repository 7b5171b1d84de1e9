"""From a registered embedder to an open one, whatever its kind."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homespun.models.home import Home
from homespun.models.registry import RegisteredEmbedder
from homespun.retrieval.embedder import Embedder, open_embedder
from homespun.retrieval.errors import EmbedderError

if TYPE_CHECKING:
    from homespun.engines.openvino.encoder import EmbedderOptions

#: In the folder of an embedder that is not a sentence-transformers folder: its kind and settings.
DESCRIPTION_FILE = "embedder.json"


def open_registered(
    home: Home, registered: RegisteredEmbedder, options: "EmbedderOptions | None" = None
) -> Embedder:
    """Open an embedder of a home. Nothing is sent anywhere by that.

    Raises:
        EmbedderError, EngineError, RemoteError: it cannot be opened, and why.
    """
    path, name = registered.path, registered.name
    stated = description(path)
    prefixes = (str(stated.get("query_prefix", "")), str(stated.get("passage_prefix", "")))
    try:
        if stated["kind"] == "folder":
            return open_embedder(path, options, cache_path=home.cache_path / "openvino", name=name)
        if stated["kind"] == "remote":
            from homespun.retrieval.embedders.remote import RemoteEmbedder

            return RemoteEmbedder(
                name, stated["model"], stated["probe_vector"], int(stated["max_tokens"]), prefixes
            )
        if stated["kind"] == "gguf":
            from homespun.retrieval.embedders.gguf import GGUFEmbedder

            return GGUFEmbedder(name, path / stated["file"], prefixes)
        if stated["kind"] == "spacy":
            from homespun.retrieval.embedders.spacy_vectors import SpacyEmbedder

            return SpacyEmbedder(name, path, str(stated.get("language", "")))
        if stated["kind"] == "fake":
            from homespun.retrieval.embedders.fake import HashEmbedder

            return HashEmbedder(name, int(stated["dimensions"]))
    except (KeyError, TypeError, ValueError) as error:
        raise EmbedderError(f"{DESCRIPTION_FILE} lacks or misstates {error}.", where=str(path)) from error
    raise EmbedderError(f"The kind {stated['kind']!r} of this embedder is not known.", where=str(path))


def description(path: Path) -> dict[str, Any]:
    """What an embedder's folder says of its kind; `{"kind": "folder"}` where it says nothing.

    Raises:
        EmbedderError: the description is damaged.
    """
    try:
        stated = json.loads((path / DESCRIPTION_FILE).read_text("utf-8"))
        if isinstance(stated, dict) and "kind" in stated:
            return stated
    except FileNotFoundError:
        return {"kind": "folder"}
    except (OSError, ValueError):
        pass
    raise EmbedderError(
        f"{DESCRIPTION_FILE} cannot be read.", where=str(path), remedy="Remove the embedder and add it again."
    )


def open_local(home: Home, name: str | None = None) -> Embedder | None:
    """The embedder of this name; without one the home's default, unless it would send texts away.

    Returns:
        None: none is named, and the home has none that runs on this machine.

    Raises:
        UnknownModelError: no embedder of that name.
        EmbedderError, EngineError, RemoteError: it cannot be opened, and why.
    """
    if name is None and not home.default_embedder:
        return None
    registered = home.embedder(name)
    if name is None and description(registered.path)["kind"] == "remote":
        return None
    return open_registered(home, registered)
