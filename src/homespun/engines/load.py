"""From a name that a person types to a running engine."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import cast, get_args

from homespun.engines.choose import EngineChoice, open_engine
from homespun.engines.engine import Engine, EngineOptions
from homespun.engines.errors import EngineError, RemoteError
from homespun.engines.providers import remote_model
from homespun.models.errors import UnknownModelError
from homespun.models.found import found_model
from homespun.models.home import Home
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.sizing.prices import read_price

ENGINES: tuple[str, ...] = get_args(EngineChoice)


def model_path(home: Home, name: str | None) -> Path:
    """The file of a registered or found model (`ollama:...`), of a path, or of the home's default (None).

    Raises:
        UnknownModelError: nothing of that name, or no model in the home yet.
    """
    found = None if name is None else found_model(name)
    if found is not None:
        return found
    if name is not None and (name.endswith(".gguf") or "/" in name):
        path = Path(name).expanduser()
        if not path.is_file() and not path.is_dir():
            raise UnknownModelError("there is no such file", where=name)
        return path
    if name is None and not home.models():
        raise UnknownModelError(
            "this home has no model yet",
            where=str(home.root),
            remedy="Fetch the small starter model with `homespun models add starter`, "
            "or add a file of yours with `homespun models add FILE.gguf`.",
        )
    return home.model(name).path


def load_tokenizers(home: Home, names: Sequence[str | None]) -> dict[str, Tokenizer]:
    """Tokenizers alone, by the names given; None is the default model, called by its own name.

    Raises:
        UnknownModelError: no such model.
        EngineError: a remote model, whose tokenizer is not here.
    """
    from homespun.models.folder import read_folder
    from homespun.models.gguf import read_gguf

    found: dict[str, Tokenizer] = {}
    for name in names:
        if name is not None and remote_model(name) is not None:
            raise EngineError(
                "a remote model's tokenizer is not here", where=name, remedy="Name a local model."
            )
        path = model_path(home, name)
        if path.is_dir():
            tokenizer = Tokenizer.from_folder(read_folder(path))
        else:
            tokenizer = Tokenizer.from_gguf(read_gguf(path))
        found[name or home.default_model or path.stem] = tokenizer
    return found


def load_engine(
    home: Home,
    name: str | None = None,
    options: EngineOptions = EngineOptions(),
    *,
    engine: str = "auto",
    progress: Progress = no_progress,
) -> Engine:
    """Load a model by name, path, URL or `PROVIDER:MODEL`.

    A local one's imported graph and measurements are kept in the home's cache.

    Raises:
        UnknownModelError: no such model.
        EngineError: no engine here can run it, or an unknown engine was asked for.
        RemoteError: a remote model without a key, or whose server cannot be reached.
    """
    if engine not in ENGINES:
        raise EngineError(f"engine is {engine!r}; it must be one of {', '.join(ENGINES)}")
    remote = remote_model(name)
    if remote is not None:
        if engine != "auto":
            raise EngineError(f"a remote model has no engine here; engine is {engine!r}")
        from homespun.engines.remote_engine import RemoteEngine

        price = read_price(home.root, remote.shown)
        return RemoteEngine(remote, options, price=price, requests_per_minute=_requests_per_minute())
    path = model_path(home, name)
    return open_engine(
        path,
        options,
        engine=cast(EngineChoice, engine),
        cache_path=home.cache_path,
        progress=progress,
    )


def _requests_per_minute() -> int:
    """The user's limit for remote servers, from `HOMESPUN_REQUESTS_PER_MINUTE`; 0: none."""
    text = os.environ.get("HOMESPUN_REQUESTS_PER_MINUTE") or "0"
    if not text.isdecimal():
        raise RemoteError(
            f"HOMESPUN_REQUESTS_PER_MINUTE is {text!r}; it must be a whole number, 0 for no limit"
        )
    return int(text)
