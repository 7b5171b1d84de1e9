"""The home's embedders: adding one of any kind, describing and removing it."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homespun.engines.providers import remote_model
from homespun.models.digest import file_digest, hash_file
from homespun.models.home import Home
from homespun.models.registry import RegisteredEmbedder, checked_name
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedders.opening import DESCRIPTION_FILE, description, open_registered
from homespun.retrieval.errors import EmbedderError
from homespun.retrieval.facts import read_facts

#: What of a sentence-transformers folder is copied: everything that decides vectors, and the card.
_COPIED = ("*.json", "*.safetensors", "README.md", "*_Pooling/*", "*_Dense/*", "vocab.txt", "*.model")


@dataclass(frozen=True)
class AddEmbedderOptions:
    """How an embedder is added."""

    query_prefix: str = field(
        default="", metadata={"help": "text before each query, for servers and GGUF files"}
    )
    passage_prefix: str = field(
        default="", metadata={"help": "text before each passage, for servers and GGUF files"}
    )
    max_tokens: int = field(default=512, metadata={"help": "tokens that a server's model reads at most"})


@dataclass(frozen=True)
class EmbedderFacts:
    """An embedder of the home.

    Attributes:
        kind: folder, gguf, remote, spacy or fake.
        dimensions, max_tokens, identity: see `Embedder`; 0 and empty in a list, which opens none.
        precision: of its products; empty where that is not ours to say.
        sends_to: the server that texts go to; empty where nothing leaves this machine.
        languages: that it was made for; () where that is not known.
        libraries: that were made with it.
    """

    name: str
    kind: str
    path: Path
    size_bytes: int
    is_default: bool
    libraries: tuple[str, ...]
    sends_to: str = ""
    dimensions: int = 0
    max_tokens: int = 0
    identity: str = ""
    precision: str = ""
    languages: tuple[str, ...] = ()


def list_embedders(home: Home) -> list[EmbedderFacts]:
    """All embedders of a home by name; none is opened."""
    return [_facts(home, registered) for registered in home.embedders()]


def describe_embedder(home: Home, name: str | None = None) -> EmbedderFacts:
    """One embedder (the default one without a name), opened to say what it is. Nothing is sent by that.

    Raises:
        UnknownModelError: no such embedder.
        EmbedderError, EngineError: it cannot be opened.
    """
    from dataclasses import replace

    registered = home.embedder(name)
    opened = open_registered(home, registered)
    return replace(
        _facts(home, registered),
        dimensions=opened.dimensions,
        max_tokens=opened.max_tokens,
        identity=opened.identity,
        precision=getattr(getattr(opened, "encoder", None), "precision", ""),
        languages=getattr(opened, "languages", ()),
    )


def add_embedder(
    home: Home,
    source: str,
    name: str | None = None,
    options: AddEmbedderOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> EmbedderFacts:
    """Bring an embedder into the home, try it, and register it.

    Args:
        home: where it goes.
        source: a folder (sentence-transformers, Hugging Face or a spaCy pipeline), a GGUF file, or a server as
            `PROVIDER:MODEL` or `http://ADDRESS/v1#MODEL`. A server is sent one sentence, to see that it answers.
        name: what to call it; by default the last part of the source.
        options: prefixes and window, for sources that do not state them.
        progress: told what is done.

    Raises:
        EmbedderError: nothing that can be used there, or the name is taken.
        EngineError, RemoteError, ModelFileError: it does not run, and why.
    """
    options = options or AddEmbedderOptions()
    path = Path(source).expanduser()
    remote = None if path.exists() else remote_model(source)
    if remote is None and not path.exists():
        raise EmbedderError("There is no such folder, GGUF file or server.", where=source)
    default_name = (remote.model or "server").rpartition("/")[2] if remote else path.resolve().stem
    chosen = checked_name(name or default_name)
    if chosen in {one.name for one in home.embedders()}:
        raise EmbedderError(
            f"There is an embedder {chosen!r} already.", remedy="Give this one another name with --name."
        )
    target = home.embedders_path / chosen
    if target.exists():
        raise EmbedderError("A folder of that name is in the way.", where=str(target))
    try:
        if remote:
            _describe(target, _remote_description(source, options))
        elif path.is_dir():
            _copy_folder(path, target, progress)
        else:
            _copy_gguf(path, target, options, progress)
        trial = RegisteredEmbedder(chosen, target, "", 0)
        open_registered(home, trial)  # what cannot be opened is not registered
        home.register_embedder(chosen, target, _digest(target))
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    return describe_embedder(home, chosen)


def remove_embedder(home: Home, name: str) -> EmbedderFacts:
    """Forget an embedder and delete its copy in the home.

    Raises:
        UnknownModelError: no such embedder.
        EmbedderError: libraries were made with it and could not be searched any more.
    """
    facts = _facts(home, home.embedder(name))
    if facts.libraries:
        raise EmbedderError(
            f"The libraries {', '.join(facts.libraries)} were made with {facts.name} and need it.",
            remedy="Remove them first with `homespun libraries remove`.",
        )
    home.remove_embedder(facts.name)
    return facts


def _facts(home: Home, registered: RegisteredEmbedder) -> EmbedderFacts:
    stated = description(registered.path) if registered.path.is_dir() else {"kind": "gone"}
    remote = remote_model(str(stated.get("model", ""))) if stated["kind"] == "remote" else None
    made = [path.parent for path in sorted(home.libraries_path.glob("*/library.json"))]
    return EmbedderFacts(
        name=registered.name,
        kind=str(stated["kind"]),
        path=registered.path,
        size_bytes=registered.size_bytes,
        is_default=registered.name == home.default_embedder,
        libraries=tuple(path.name for path in made if read_facts(path).embedder_name == registered.name),
        sends_to=remote.provider.base_url if remote else "",
    )


def _remote_description(source: str, options: AddEmbedderOptions) -> dict[str, Any]:
    from homespun.retrieval.embedders.remote import probe_vector

    return {
        "kind": "remote",
        "model": source,
        "probe_vector": probe_vector(source),
        "max_tokens": options.max_tokens,
        **_prefixes(options),
    }


def _prefixes(options: AddEmbedderOptions) -> dict[str, str]:
    return {"query_prefix": options.query_prefix, "passage_prefix": options.passage_prefix}


def _copy_folder(path: Path, target: Path, progress: Progress) -> None:
    from homespun.retrieval.embedders.spacy_vectors import vectors_folder

    vectors = vectors_folder(path)
    if vectors is not None:
        meta = vectors.parent / "meta.json"
        language = json.loads(meta.read_text("utf-8")).get("lang", "") if meta.is_file() else ""
        _copy([vectors / "vectors", vectors / "key2row"], vectors.parent, target, progress)
        _describe(target, {"kind": "spacy", "language": language})
        return
    if not (path / "config.json").is_file():
        raise EmbedderError("This folder holds no embedder (there is no config.json).", where=str(path))
    files = sorted({file for pattern in _COPIED for file in path.glob(pattern) if file.is_file()})
    _copy([file for file in files if file.name != DESCRIPTION_FILE], path, target, progress)


def _copy_gguf(path: Path, target: Path, options: AddEmbedderOptions, progress: Progress) -> None:
    from homespun.models.gguf import read_gguf

    file = read_gguf(path).path
    _copy([file], file.parent, target, progress)
    _describe(target, {"kind": "gguf", "file": file.name, **_prefixes(options)})


def _copy(files: list[Path], root: Path, target: Path, progress: Progress) -> None:
    from homespun.models.copying import copy_verified

    total, done = sum(file.stat().st_size for file in files), 0

    def count(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress("copying the embedder", min(done, total), total)

    ignore: Callable[[int], None] = lambda n_bytes: None  # noqa: E731
    for file in files:
        copy_verified(file, target / file.relative_to(root), hash_file(file, ignore), count)


def _describe(target: Path, stated: dict[str, Any]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    (target / DESCRIPTION_FILE).write_text(json.dumps(stated, indent=1) + "\n", "utf-8")


def _digest(target: Path) -> str:
    """SHA-256 over the digests of all files, as the check of a home makes it."""
    files = sorted(file for file in target.rglob("*") if file.is_file())
    lines = "".join(f"{file_digest(file)}  {file.relative_to(target).as_posix()}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()
