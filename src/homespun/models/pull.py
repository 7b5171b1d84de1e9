"""`hf:owner/repo[:file]` and `ollama:name[:tag]`: which files that means, and their way into the home."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from homespun.models.errors import FetchError
from homespun.models.folder import read_folder
from homespun.models.home import Home, RegisteredModel
from homespun.models.hub import HubFile, HubRepo, fetch_checked, fetch_file, read_repo
from homespun.models.ollama_registry import find_layer
from homespun.models.storage import check_free_space, locked
from homespun.progress import Progress, no_progress

_SPLIT = re.compile(r"-\d{5}-of-(\d{5})(?=\.gguf$)", re.IGNORECASE)
# A folder's data, by name: programs and pickled weights are in no list and are never fetched.
_FOLDER_NAMES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "added_tokens.json",
    "chat_template.jinja",
    "model.safetensors.index.json",
    "spiece.model",
    "tokenizer.model",
)
# Of the machine's memory, for weights; the rest is for the window and everything else.
_MEMORY_SHARE = 0.75


@dataclass(frozen=True)
class PullOptions:
    """How a model is fetched."""

    name: str | None = field(default=None, metadata={"help": "what to call the model here"})
    revision: str = field(default="main", metadata={"help": "branch, tag or commit of a hub repository"})


@dataclass(frozen=True)
class PulledModel:
    """What `pull_model` brought.

    Attributes:
        path: the GGUF file (the first one of a split model) or the folder.
        model: its entry in the home; None for a folder, which is named by its path.
        licence: as its source says, or None.
        source: where it came from, with the commit or checksum.
    """

    path: Path
    model: RegisteredModel | None
    licence: str | None
    source: str


def pull_model(
    home: Home, name: str, options: PullOptions = PullOptions(), progress: Progress = no_progress
) -> PulledModel:
    """Fetch a model by name, check it and register it; what an earlier try fetched is kept.

    Args:
        home: where it goes.
        name: `hf:owner/repo`, `hf:owner/repo:file` (or a format such as Q8_0 for the file), `ollama:name:tag`.
        options: what to call it, and of which revision.
        progress: told the bytes fetched.

    Raises:
        FetchError: no such model, closed, cut, wrong bytes, or several files to choose from.
        HomeError: the disk is full or refuses.
        ModelFileError: what came is no whole, well-formed model.
    """
    kind, _, rest = name.partition(":")
    if kind == "hf" and rest:
        return _pull_from_hub(home, rest, options, progress)
    if kind == "ollama" and rest:
        return _pull_from_ollama(home, rest, options, progress)
    raise FetchError(
        f"{name!r} does not say where the model is", remedy="Write hf:owner/repo[:file] or ollama:name[:tag]."
    )


def _pull_from_hub(home: Home, name: str, options: PullOptions, progress: Progress) -> PulledModel:
    repo_name, _, wanted = name.partition(":")
    repo = read_repo(repo_name, options.revision)
    files = choose_files(repo, wanted or None)
    folder = home.models_path / repo_name.replace("/", "--")
    with locked(home.cache_path / f".{folder.name}.lock"):
        missing = sum(_missing_bytes(folder / file.path, file) for file in files)
        check_free_space(home.models_path, missing)
        for file in files:
            fetch_file(repo, file, folder / file.path, progress)
    source = f"hf:{repo.name}@{repo.commit}"
    if not files[0].path.lower().endswith(".gguf"):
        read_folder(folder)
        return PulledModel(folder, None, repo.licence, source)
    model = home.add_model(folder / files[0].path, options.name, progress=progress)
    return PulledModel(model.path, model, repo.licence, source)


def _pull_from_ollama(home: Home, name: str, options: PullOptions, progress: Progress) -> PulledModel:
    layer = find_layer(name)
    short = f"{layer.model.removeprefix('library/').replace('/', '--')}-{layer.tag}"
    target = home.models_path / f"ollama--{short}" / f"{short}.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    with locked(home.cache_path / f".ollama--{short}.lock"):
        check_free_space(home.models_path, layer.size_bytes if not target.is_file() else 0)
        fetch_checked(layer.url, target, layer.sha256, f"the Ollama model {name}", progress)
    model = home.add_model(target, options.name, progress=progress)
    return PulledModel(model.path, model, None, f"ollama:{name}@sha256:{layer.sha256}")


def choose_files(repo: HubRepo, wanted: str | None) -> list[HubFile]:
    """The files of the one model that a name means.

    Args:
        repo: what there is.
        wanted: a file's name, or a part of it such as "Q8_0"; None: the only one, or the Q4_K_M.

    Raises:
        FetchError: nothing to read, nothing of that name, or several; these are listed with their sizes.
    """
    models = _gguf_models(repo)
    if not models and wanted is None:
        return _folder_files(repo)
    if wanted is not None:
        exact = [files for files in models.values() if any(_is_named(file, wanted) for file in files)]
        found = exact or [files for key, files in models.items() if wanted.lower() in key.lower()]
    else:
        found = list(models.values())
        if len(found) > 1:
            found = [files for key, files in models.items() if "q4_k_m" in key.lower()]
    if len(found) != 1:
        what = (
            f"{repo.name} has no one GGUF model {wanted!r}" if wanted else f"{repo.name} has several models"
        )
        raise FetchError(f"{what}: {_choices(models)}", remedy=f"Name one: homespun pull hf:{repo.name}:FILE")
    return found[0]


def _gguf_models(repo: HubRepo) -> dict[str, list[HubFile]]:
    """Models by file name; the parts of a split one together, in order. Vision parts are no models."""
    groups: dict[str, list[HubFile]] = defaultdict(list)
    n_parts: dict[str, int] = {}
    for path, file in sorted(repo.files.items()):
        name = PurePosixPath(path).name.lower()
        if not name.endswith(".gguf") or name.startswith("mmproj") or file.sha256 is None:
            continue
        key = _SPLIT.sub("", path)
        part = _SPLIT.search(path)
        n_parts[key] = int(part[1]) if part else 1
        groups[key].append(file)
    return {key: files for key, files in groups.items() if len(files) == n_parts[key]}


def _folder_files(repo: HubRepo) -> list[HubFile]:
    weights = [file for path, file in repo.files.items() if path.endswith(".safetensors") and "/" not in path]
    if not weights:
        raise FetchError(
            f"{repo.name} has neither GGUF nor safetensors files",
            remedy="Pickled weights (.bin, .pt) can run code and are never fetched; "
            "look for a repository that has the model as GGUF.",
        )
    return [*(repo.files[name] for name in _FOLDER_NAMES if name in repo.files), *weights]


def _is_named(file: HubFile, wanted: str) -> bool:
    return file.path == wanted or PurePosixPath(file.path).name == wanted


def _choices(models: dict[str, list[HubFile]]) -> str:
    room_bytes = _MEMORY_SHARE * memory_bytes()
    lines = []
    for key, files in sorted(models.items(), key=lambda item: _total(item[1])):
        fits = "fits here" if _total(files) <= room_bytes else "too large for this machine's memory"
        lines.append(f"{key} ({_total(files) / 1e9:.2f} GB, {fits})")
    return "; ".join(lines) or "none"


def memory_bytes() -> int:
    """The machine's memory; a very large number where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 1 << 60


def _total(files: Sequence[HubFile]) -> int:
    return sum(file.size_bytes for file in files)


def _missing_bytes(target: Path, file: HubFile) -> int:
    if target.is_file():
        return 0
    part_path = target.with_name(f"{target.name}.{(file.sha256 or '')[:12]}.part")
    return max(0, file.size_bytes - (part_path.stat().st_size if part_path.is_file() else 0))
