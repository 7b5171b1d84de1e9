"""A digest of everything that can change an answer, so that no stored answer is another way's."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import homespun
from homespun.engines.engine import Engine
from homespun.evaluation.questions import Question
from homespun.evaluation.way_options import ORACLES, WayOptions
from homespun.models.digest import file_digest
from homespun.retrieval.library import Library

#: Rooms and files whose code makes answers; what only scores or shows them is not here.
_ROOMS = ("models", "engines", "documents", "retrieval", "rag")
_FILES = ("evaluation/way_*.py", "evaluation/gold.py", "evaluation/refusals.py")
_PACKAGES = ("openvino", "openvino-genai", "xllamacpp", "torch", "numpy", "tokenizers", "lancedb")


def way_digest(
    options: WayOptions,
    *,
    engine: Engine | None,
    adapter: Path | None = None,
    library: Library | None = None,
    shots: Sequence[Question] = (),
    prompts: Sequence[str] = (),
) -> str:
    """SHA-256 (hex) of a way.

    Args:
        options: of the way; names in it count too.
        engine: the model that writes; None: none does.
        adapter: the folder of its adapter.
        library: what is searched.
        shots: answered questions in the prompt.
        prompts: words of Homespun's own in it.
    """
    parts: dict[str, Any] = {
        "options": asdict(options),
        "code": code_digest(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "prompts": list(prompts),
        "shots": [[shot.question, *shot.answers[:1]] for shot in shots],
    }
    if engine is not None:
        facts = asdict(engine.facts)
        for name in ("notes", "loss_nats", "checked_nats"):  # what is said of it, not what it is
            facts.pop(name)
        parts |= {"engine": facts, "model": _model_digest(Path(engine.facts.model_path))}
    if adapter is not None:
        parts["adapter"] = _folder_digest(
            adapter, ("adapter_*.safetensors", "adapter_config.json", "tuning.json")
        )
    if library is not None:
        parts["library"] = library_digest(library)
    return _sha256(json.dumps(parts, sort_keys=True, default=str))


def library_digest(library: Library) -> str:
    """SHA-256 (hex) of what a library holds and how it was made: documents, splitting, vectors."""
    rows = [(document.name, document.content_id, document.made) for document in library.documents()]
    facts = library.facts
    return _sha256(json.dumps([rows, facts.embedder_identity, asdict(facts.split)], sort_keys=True))


def question_key(options: WayOptions, question: Question) -> str:
    """What of a question a way sees: the id alone would keep answers of a question that was reworded."""
    seen: list[Any] = [question.question, list(question.choices)]
    if options.kind in ORACLES:
        seen += [[asdict(source) for source in question.sources], list(question.answers)]
    return _sha256(json.dumps(seen))[:24]


@cache
def code_digest() -> str:
    """SHA-256 (hex) of the code that makes answers."""
    root = Path(homespun.__file__).parent
    paths = [path for room in _ROOMS for path in (root / room).rglob("*.py")]
    paths += [path for pattern in _FILES for path in root.glob(pattern)]
    sha256 = hashlib.sha256()
    for path in sorted(paths):
        sha256.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return sha256.hexdigest()


def _model_digest(path: Path) -> str:
    if path.is_file():
        from homespun.models.gguf import read_gguf

        return read_gguf(path).digest
    if path.is_dir():
        return _folder_digest(path, ("*.safetensors", "*.json", "*.model", "*.jinja"))
    return str(path)  # a server's model: its name is all that is known


def _folder_digest(path: Path, patterns: Iterable[str]) -> str:
    found = sorted({item for pattern in patterns for item in path.glob(pattern)})
    return _sha256("\n".join(f"{item.name} {file_digest(item)}" for item in found))


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
