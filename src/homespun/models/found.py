"""Models that other programs already keep on this machine: Ollama's and LM Studio's, used where they lie.

Nothing is copied, changed or fetched. Ollama keeps a manifest for each name, which points to a blob by its
SHA-256 (`OLLAMA_MODELS` names another folder); LM Studio keeps GGUF files as owner/repository/file.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from homespun.models.errors import UnknownModelError

Source = Literal["ollama", "lmstudio"]

_MODEL_LAYER = "application/vnd.ollama.image.model"
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_PUBLIC_REGISTRY = "registry.ollama.ai"
_LATER_PART = re.compile(r"-(?!00001-of-)\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)
_MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True)
class FoundModel:
    """A model of another program.

    Attributes:
        name: what `--model` takes: `ollama:name:tag` or `lmstudio:owner/file`.
        source: whose it is.
        path: the GGUF file; one of Ollama has no ending.
        size_bytes: of the file.
    """

    name: str
    source: Source
    path: Path
    size_bytes: int


def found_models() -> list[FoundModel]:
    """The models in the folders of Ollama and LM Studio, by name; a file counts once."""
    seen: dict[str, FoundModel] = {}
    paths: set[Path] = set()
    for model in (*_ollama_models(), *_lm_studio_models()):
        resolved = model.path.resolve()
        if model.source == "lmstudio" and resolved in paths:
            continue
        paths.add(resolved)
        seen.setdefault(model.name, model)
    return [seen[name] for name in sorted(seen)]


def found_model(name: str) -> Path | None:
    """The file of a model by its name here, such as `ollama:smollm2:135m`; None for a name of another form.

    Raises:
        UnknownModelError: such a name, and no such model.
    """
    source, _, rest = name.partition(":")
    if source not in ("ollama", "lmstudio") or not rest:
        return None
    wanted = {name.lower(), f"{name}:latest".lower(), f"{name}.gguf".lower()}
    models = [model for model in found_models() if model.source == source]
    for model in models:
        if model.name.lower() in wanted:
            return model.path
    there = ", ".join(model.name for model in models) or "none"
    raise UnknownModelError(
        f"there is no model {name!r} on this machine (there: {there})",
        remedy=f"Fetch it with `homespun pull {name}`." if source == "ollama" else None,
    )


def _ollama_models() -> Iterator[FoundModel]:
    given = os.environ.get("OLLAMA_MODELS", "").strip()
    folders = (
        [_in_home(given)]
        if given
        else [_in_home("~/.ollama/models"), Path("/usr/share/ollama/.ollama/models")]
    )
    for folder in folders:
        manifests = folder / "manifests"
        for manifest in _files(manifests):
            parts = manifest.relative_to(manifests).parts  # registry, owner, model, tag
            path = _ollama_weights(manifest, folder / "blobs")
            if path is None or len(parts) < 3:
                continue
            *before, model, tag = parts
            # As Ollama itself prints them: without its own registry and without the owner "library".
            name = "/".join([*(part for part in before if part not in ("library", _PUBLIC_REGISTRY)), model])
            yield FoundModel(f"ollama:{name}:{tag}", "ollama", path, path.stat().st_size)


def _ollama_weights(manifest: Path, blobs: Path) -> Path | None:
    """The one file of weights that a manifest points to, if it is there and whole."""
    try:
        if manifest.stat().st_size > _MAX_MANIFEST_BYTES:
            return None
        layers: Any = json.loads(manifest.read_text(encoding="utf-8"))["layers"]
        weights = [layer for layer in layers if layer["mediaType"] == _MODEL_LAYER]
        digest = _DIGEST.fullmatch(str(weights[0]["digest"])) if len(weights) == 1 else None
        if digest is None:
            return None
        path = blobs / f"sha256-{digest[1]}"
        return path if _is_gguf(path) and path.stat().st_size == int(weights[0]["size"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lm_studio_models() -> Iterator[FoundModel]:
    for folder in (_in_home("~/.lmstudio/models"), _in_home("~/.cache/lm-studio/models")):
        for path in _files(folder):
            is_model = path.name.lower().endswith(".gguf") and not path.name.lower().startswith("mmproj")
            if not is_model or _LATER_PART.search(path.name) or not _is_gguf(path):
                continue
            owner = path.relative_to(folder).parts[0]
            name = path.name if owner == path.name else f"{owner}/{path.name}"
            yield FoundModel(f"lmstudio:{name}", "lmstudio", path, path.stat().st_size)


def _in_home(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 (pathlib's fails for a user without a folder)


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, in order; none where it is not there or closed to us."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent) / name for name in sorted(names) if not name.startswith("."))


def _is_gguf(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"GGUF"
    except OSError:
        return False
