"""The one folder that holds everything: models, embedders, libraries, adapters, caches.

`HOMESPUN_HOME` moves it; paths inside are stored relative to it, so the folder may be moved or
copied as a whole.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath
from typing import Any

from homespun.models.copying import copy_verified
from homespun.models.digest import hash_file, home_root, remember_digest
from homespun.models.errors import HomeError, ModelError, UnknownModelError
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.inspect import format_shares, short_name
from homespun.models.registry import (
    RegisteredEmbedder,
    RegisteredModel,
    Registry,
    RegistryState,
    checked_name,
    pick_entry,
)
from homespun.models.split import joined_digest, part_paths
from homespun.models.storage import disk_error
from homespun.progress import Progress, no_progress

__all__ = ["Home", "RegisteredEmbedder", "RegisteredModel"]

_FOLDERS = ("models", "embedders", "libraries", "adapters", "cache")


class Home:
    """The home folder. Methods that change it may run in several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._registry = Registry(root)
        self.models_path = root / "models"
        self.embedders_path = root / "embedders"
        self.libraries_path = root / "libraries"
        self.adapters_path = root / "adapters"
        self.cache_path = root / "cache"

    @classmethod
    def open(cls, path: Path | None = None) -> "Home":
        """Open a home folder, making it if need be.

        Args:
            path: the folder; by default `HOMESPUN_HOME`, else `~/.homespun`.

        Raises:
            HomeError: it cannot be made or read, or a newer Homespun wrote it.
        """
        root = (path or home_root()).expanduser().absolute()
        try:
            for folder in _FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_error(error, root) from error
        home = cls(root)
        home._registry.read()
        return home

    def models(self) -> list[RegisteredModel]:
        """All registered models, by name."""
        return [self._model(name, entry) for name, entry in sorted(self._registry.read().models.items())]

    def model(self, name: str | None = None) -> RegisteredModel:
        """One model; without a name, the default one.

        Raises:
            UnknownModelError: no such model, or its file is gone.
        """
        state = self._registry.read()
        found = self._model(*pick_entry(state.models, name or state.default_model, "model"))
        if not found.path.is_file():
            raise UnknownModelError(
                f"the file of the model {found.name!r} is no longer there",
                where=str(found.path),
                remedy=f"Put it back, or run `homespun models remove {found.name}`.",
            )
        return found

    @property
    def default_model(self) -> str | None:
        """Name of the model that is used when none is named."""
        return self._registry.read().default_model

    def set_default_model(self, name: str) -> None:
        """Use this model when none is named.

        Raises:
            UnknownModelError: no such model.
        """

        def change(state: RegistryState) -> RegistryState:
            return replace(state, default_model=pick_entry(state.models, name, "model")[0])

        self._registry.change(change)

    def add_model(
        self,
        path: Path,
        name: str | None = None,
        *,
        reference: bool = False,
        progress: Progress = no_progress,
    ) -> RegisteredModel:
        """Check a GGUF file, copy it into the home and register it. Adding it again changes nothing.

        A file that already lies in the home is registered where it is.

        Args:
            path: the file; any part of a split model brings all of them.
            name: what to call it; by default its maker's base name, such as "smollm2".
            reference: leave the file where it is and remember its absolute path.
            progress: told how many bytes were read.

        Raises:
            ModelFileError: no whole, well-formed GGUF.
            HomeError: no room, or the copy does not read back the same.
            ModelError: the name is taken by another model.
        """
        path = Path(path).expanduser().absolute()
        file = read_gguf(path)
        path = file.path
        is_inside = path.is_relative_to(self.root)
        count = _count(progress, f"Checking {path.name}", file.size_bytes)
        digests = [hash_file(part, count) for part in file.paths]
        digest = joined_digest(digests)
        known = self._known(digest, name)
        if known:
            return known
        name = checked_name(name) if name else self._free_name(file)
        if name in self._registry.read().models:
            raise ModelError(
                f"the name {name!r} is already that of another model",
                remedy=f"Choose another name, or run `homespun models remove {name}` first.",
            )
        target = path
        if not is_inside and not reference:
            target = self.models_path / name / path.name
            count = _count(progress, f"Copying {path.name}", file.size_bytes)
            for part, part_digest in zip(file.paths, digests, strict=True):
                copy_verified(part, target.with_name(part.name), part_digest, count)
        for part, part_digest in zip(part_paths(target), digests, strict=True):
            remember_digest(part, part_digest)
        shares = {share.ggml_type: round(share.share, 6) for share in format_shares(file)}
        model = RegisteredModel(
            name,
            target,
            digest,
            file.size_bytes,
            file.architecture,
            file.n_parameters,
            shares,
            is_reference=reference and not is_inside,
        )
        self._registry.change(lambda state: _with_model(state, name, self._stored(model)))
        return model

    def remove_model(self, name: str) -> RegisteredModel:
        """Forget a model, and delete its file if it lies in the home.

        Raises:
            UnknownModelError: no such model.
        """
        removed: list[RegisteredModel] = []

        def change(state: RegistryState) -> RegistryState:
            found, entry = pick_entry(state.models, name, "model")
            removed.append(self._model(found, entry))
            left = {key: value for key, value in state.models.items() if key != found}
            default = state.default_model if state.default_model in left else next(iter(sorted(left)), None)
            return replace(state, models=left, default_model=default)

        self._registry.change(change)
        for part in part_paths(removed[0].path):
            self._delete(part)
        return removed[0]

    def embedders(self) -> list[RegisteredEmbedder]:
        """All registered embedders, by name."""
        return [
            self._embedder(name, entry) for name, entry in sorted(self._registry.read().embedders.items())
        ]

    def embedder(self, name: str | None = None) -> RegisteredEmbedder:
        """One embedder; without a name, the default one.

        Raises:
            UnknownModelError: no such embedder, or its folder is gone.
        """
        state = self._registry.read()
        found = self._embedder(*pick_entry(state.embedders, name or state.default_embedder, "embedder"))
        if not found.path.is_dir():
            raise UnknownModelError(
                f"the folder of the embedder {found.name!r} is no longer there", where=str(found.path)
            )
        return found

    def register_embedder(self, name: str, path: Path, digest: str) -> RegisteredEmbedder:
        """Register an embedder's folder that lies in the home; the first one becomes the default.

        Raises:
            HomeError: the folder lies outside of the home.
        """
        path = path.absolute()
        if not path.is_relative_to(self.root):
            raise HomeError("an embedder's folder must lie in the home", where=str(path))
        size_bytes = sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
        embedder = RegisteredEmbedder(checked_name(name), path, digest, size_bytes)
        entry = {"path": self._relative(path), "digest": digest, "size_bytes": size_bytes}

        def change(state: RegistryState) -> RegistryState:
            return replace(
                state,
                embedders={**state.embedders, name: entry},
                default_embedder=state.default_embedder or name,
            )

        self._registry.change(change)
        return embedder

    @property
    def default_embedder(self) -> str | None:
        """Name of the embedder that new libraries get when none is named."""
        return self._registry.read().default_embedder

    def set_default_embedder(self, name: str) -> None:
        """Give new libraries this embedder when none is named.

        Raises:
            UnknownModelError: no such embedder.
        """

        def change(state: RegistryState) -> RegistryState:
            return replace(state, default_embedder=pick_entry(state.embedders, name, "embedder")[0])

        self._registry.change(change)

    def remove_embedder(self, name: str) -> RegisteredEmbedder:
        """Forget an embedder, and delete its folder in the home.

        Raises:
            UnknownModelError: no such embedder.
        """
        removed: list[RegisteredEmbedder] = []

        def change(state: RegistryState) -> RegistryState:
            found, entry = pick_entry(state.embedders, name, "embedder")
            removed.append(self._embedder(found, entry))
            left = {key: value for key, value in state.embedders.items() if key != found}
            kept = state.default_embedder in left
            default = state.default_embedder if kept else next(iter(sorted(left)), None)
            return replace(state, embedders=left, default_embedder=default)

        self._registry.change(change)
        path = Path(os.path.normpath(removed[0].path))
        if path.is_symlink():
            path.unlink()
        elif path != self.embedders_path and path.is_relative_to(self.embedders_path):
            shutil.rmtree(path, ignore_errors=True)
        return removed[0]

    def _known(self, digest: str, name: str | None) -> RegisteredModel | None:
        """The registered model with these bytes, unless another name is asked for."""
        for model in self.models():
            if model.digest == digest and name in (None, model.name) and model.path.is_file():
                return model
        return None

    def _free_name(self, file: GGUFFile) -> str:
        """A short name; when another model has it, its size or format is put behind it."""
        taken = self._registry.read().models
        base = short_name(file)
        size = file.metadata.get("general.size_label")
        candidates = [base]
        if isinstance(size, str) and size:
            candidates.append(f"{base}-{size.lower()}")
        candidates.append(f"{candidates[-1]}-{next(iter(format_shares(file))).ggml_type.lower()}")
        candidates += [f"{candidates[-1]}-{number}" for number in range(2, 1000)]
        return next(checked_name(name) for name in candidates if name not in taken)

    def _delete(self, path: Path) -> None:
        """Only what lies in the home, and its folder if nothing else is in it."""
        path = Path(os.path.normpath(path))
        if not path.is_relative_to(self.models_path) or not path.is_file():
            return
        path.unlink()
        if path.parent != self.models_path and not any(path.parent.iterdir()):
            path.parent.rmdir()

    def _relative(self, path: Path) -> str:
        return PurePosixPath(path.relative_to(self.root)).as_posix()

    def _stored(self, model: RegisteredModel) -> dict[str, Any]:
        entry = asdict(model)
        entry.pop("name")
        entry["path"] = str(model.path) if model.is_reference else self._relative(model.path)
        return entry

    def _model(self, name: str, entry: Mapping[str, Any]) -> RegisteredModel:
        # Joining an absolute path gives that path: a reference keeps pointing where it did.
        try:
            return RegisteredModel(name=name, **{**entry, "path": self.root / entry["path"]})
        except (TypeError, KeyError) as error:
            raise self._registry.damaged(f"the entry {name!r}: {error}") from error

    def _embedder(self, name: str, entry: Mapping[str, Any]) -> RegisteredEmbedder:
        try:
            return RegisteredEmbedder(name=name, **{**entry, "path": self.root / entry["path"]})
        except (TypeError, KeyError) as error:
            raise self._registry.damaged(f"the entry {name!r}: {error}") from error


def _with_model(state: RegistryState, name: str, entry: dict[str, Any]) -> RegistryState:
    return replace(state, models={**state.models, name: entry}, default_model=state.default_model or name)


def _count(progress: Progress, what: str, total_bytes: int) -> Callable[[int], None]:
    """Tells `progress` the running sum of what it is given, in bytes."""
    done = 0

    def add(n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        progress(what, done, total_bytes)

    return add
