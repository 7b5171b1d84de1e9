"""The list of what a home holds, in `home.json`; it is replaced as a whole, under a lock."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homespun.models.errors import HomeError, ModelError, UnknownModelError
from homespun.models.storage import locked, write_atomically

HOME_VERSION = 1


@dataclass(frozen=True)
class RegisteredModel:
    """A model that can be named.

    Attributes:
        name: what a person types.
        path: the file.
        digest: SHA-256 of the file when it was added.
        size_bytes: of the file.
        architecture: such as "llama".
        n_parameters: all numbers in it.
        quantization: format -> share of the tensors' bytes, largest first.
        is_reference: the file lies outside of the home and stays its owner's.
    """

    name: str
    path: Path
    digest: str
    size_bytes: int
    architecture: str
    n_parameters: int
    quantization: Mapping[str, float]
    is_reference: bool = False


@dataclass(frozen=True)
class RegisteredEmbedder:
    """An embedder that can be named.

    Attributes:
        name: what a person types.
        path: its folder.
        digest: SHA-256 over the digests of its files.
        size_bytes: of all its files.
    """

    name: str
    path: Path
    digest: str
    size_bytes: int


@dataclass(frozen=True)
class RegistryState:
    """What home.json holds.

    Attributes:
        default_model: name of the model that is used when none is named.
        default_embedder: likewise for the embedder.
        models: name -> the fields of its `RegisteredModel`, the path relative to the home.
        embedders: likewise.
    """

    default_model: str | None
    default_embedder: str | None
    models: dict[str, dict[str, Any]]
    embedders: dict[str, dict[str, Any]]


class Registry:
    """Reads and replaces the list of one home.

    Args:
        root: the home folder.
    """

    def __init__(self, root: Path) -> None:
        self._path = root / "home.json"
        self._lock_path = root / ".home.lock"

    def read(self) -> RegistryState:
        """The list as it is now; empty where there is no file yet.

        Raises:
            HomeError: the file is damaged, or a newer Homespun wrote it.
        """
        try:
            stored = json.loads(self._path.read_text("utf-8"))
            version = stored.pop("version")
            if version > HOME_VERSION:
                raise HomeError(
                    f"a newer Homespun wrote this home (version {version}, known: {HOME_VERSION})",
                    where=str(self._path),
                    remedy="Update Homespun, or set HOMESPUN_HOME to another folder.",
                )
            return RegistryState(**stored)
        except FileNotFoundError:
            return RegistryState(None, None, {}, {})
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise self.damaged(str(error)) from error

    def damaged(self, why: str) -> HomeError:
        """What is told when the list cannot be read."""
        return HomeError(
            f"cannot be read as the list of models: {why}",
            where=str(self._path),
            remedy="Move that file away and add the models in the folder `models` again.",
        )

    def change(self, change: Callable[[RegistryState], RegistryState]) -> None:
        """Replace the list by what `change` makes of it; one process at a time."""
        with locked(self._lock_path):
            state = change(self.read())
            stored = {"version": HOME_VERSION, **asdict(state)}
            write_atomically(self._path, json.dumps(stored, indent=2, ensure_ascii=False) + "\n")


def pick_entry(entries: Mapping[str, Any], name: str | None, kind: str) -> tuple[str, Any]:
    """The entry that a person means, in any case of letters.

    Raises:
        UnknownModelError: there is none.
    """
    if name in entries:
        return str(name), entries[str(name)]
    if name:
        for known, entry in entries.items():
            if known.lower() == name.lower():
                return known, entry
    command = "homespun models add FILE.gguf"
    if not entries:
        what = f"there is no {kind} yet"
    elif name is None:
        what = f"no default {kind} is set (there: {', '.join(sorted(entries))})"
    else:
        what = f"there is no {kind} {name!r} (there: {', '.join(sorted(entries))})"
    raise UnknownModelError(what, remedy=f"Add one with `{command}`." if kind == "model" else None)


def checked_name(name: str, what: str = "model") -> str:
    """The name, if it can be one of a folder on any system; `what` it names is for the message.

    Raises:
        ModelError: it cannot.
    """
    forbidden = set('/\\:*?"<>|') | {chr(code) for code in range(32)}
    if not name.strip() or name != name.strip() or name.startswith(".") or set(name) & forbidden:
        raise ModelError(
            f"{name!r} cannot be the name of {'an' if what[0] in 'aeiou' else 'a'} {what}",
            remedy="Use letters, digits, dots, dashes and underscores.",
        )
    return name
