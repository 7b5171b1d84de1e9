"""Fetches the model layer of a name in Ollama's registry: a manifest, then one file by its SHA-256.

`HOMESPUN_OLLAMA_REGISTRY` names another registry.
"""

import os
import re
from dataclasses import dataclass

from homespun.models.errors import FetchError
from homespun.models.hub import fetch_json

_PUBLIC_REGISTRY = "https://registry.ollama.ai"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_MODEL_LAYER = "application/vnd.ollama.image.model"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TAG = re.compile(r"[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class OllamaLayer:
    """The weights of a name.

    Attributes:
        model: owner/name; `library` owns what has no owner.
        tag: which of its versions.
        sha256: of the GGUF file.
        size_bytes: of the GGUF file.
        url: where it is.
    """

    model: str
    tag: str
    sha256: str
    size_bytes: int
    url: str


def split_ollama_name(name: str) -> tuple[str, str]:
    """`name[:tag]` or `owner/name[:tag]` as (owner/name, tag).

    Raises:
        FetchError: it is none.
    """
    model, _, tag = name.partition(":")
    tag = tag or "latest"
    if not _NAME.fullmatch(model) or not _TAG.fullmatch(tag):
        raise FetchError(f"{name!r} is no name of an Ollama model", remedy="It is written name:tag.")
    return (model if "/" in model else f"library/{model}"), tag


def find_layer(name: str) -> OllamaLayer:
    """The weights that a name stands for now.

    Raises:
        FetchError: no such model, or the registry cannot be reached.
    """
    model, tag = split_ollama_name(name)
    registry = os.environ.get("HOMESPUN_OLLAMA_REGISTRY", "").strip() or _PUBLIC_REGISTRY
    base = f"{registry.rstrip('/')}/v2/{model}"
    manifest = fetch_json(f"{base}/manifests/{tag}", f"the Ollama model {name}", accept=_MANIFEST)
    try:
        layers = [layer for layer in manifest["layers"] if layer["mediaType"] == _MODEL_LAYER]
        digests = [(str(layer["digest"]).removeprefix("sha256:"), int(layer["size"])) for layer in layers]
    except (KeyError, TypeError, ValueError) as error:
        raise FetchError(f"the manifest of {name} is not understood ({error})", where=base) from error
    if len(digests) != 1 or not re.fullmatch(r"[0-9a-f]{64}", digests[0][0]):
        raise FetchError(
            f"{name} has {len(digests)} files of weights; Homespun takes models of one", where=base
        )
    sha256, size_bytes = digests[0]
    return OllamaLayer(model, tag, sha256, size_bytes, f"{base}/blobs/sha256:{sha256}")
