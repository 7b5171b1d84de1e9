"""Whether what a home lists is there, to the bit."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homespun.models.digest import hash_file
from homespun.models.home import Home
from homespun.models.split import joined_digest, part_paths
from homespun.progress import Progress, no_progress


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be, and what to do about it. Sentences."""

    where: str
    what: str
    remedy: str


@dataclass(frozen=True)
class ModelsCheck:
    """What was compared with its digest, and what was wrong. No problems: all is well."""

    n_models: int
    n_embedders: int
    n_bytes: int
    problems: tuple[Problem, ...]


def check_models(home: Home, *, progress: Progress = no_progress) -> ModelsCheck:
    """Read every model and embedder of a home again and compare it with the digest of when it was added.

    Raises:
        HomeError: the list of models itself cannot be read.
    """
    models, embedders = home.models(), home.embedders()
    total = sum(model.size_bytes for model in models) + sum(one.size_bytes for one in embedders)
    n_read = 0
    problems: list[Problem] = []

    def count(n_bytes: int) -> None:
        nonlocal n_read
        n_read += n_bytes
        progress("Checking models", min(n_read, total), total)

    for model in models:
        remedy = f"Remove it with `homespun models remove {model.name}` and add it again."
        try:
            # A changed first part may no longer say how many parts there are: then the digest differs.
            digest = joined_digest([hash_file(part, count) for part in part_paths(model.path)])
        except OSError as error:
            problems.append(
                Problem(
                    str(model.path), f"The model {model.name!r} cannot be read: {error.strerror}.", remedy
                )
            )
            continue
        if digest != model.digest:
            what = f"The model {model.name!r} is not the file that was added: its bytes changed."
            problems.append(Problem(str(model.path), what, remedy))
    for embedder in embedders:
        remedy = "Delete this folder and fetch the embedder again with `homespun models add starter`."
        if not embedder.path.is_dir():
            problems.append(Problem(str(embedder.path), f"The embedder {embedder.name!r} is gone.", remedy))
        elif _is_digest(embedder.digest) and _folder_digest(embedder.path, count) != embedder.digest:
            what = f"The embedder {embedder.name!r} is not what was added: a file of it changed or is gone."
            problems.append(Problem(str(embedder.path), what, remedy))
    return ModelsCheck(len(models), len(embedders), n_read, tuple(problems))


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _folder_digest(folder: Path, count: Callable[[int], None]) -> str:
    """As the starter's pinned files are joined: one over the digests and names of all files."""
    digests = {
        path.relative_to(folder).as_posix(): hash_file(path, count)
        for path in folder.rglob("*")
        if path.is_file()
    }
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
