"""Where an adapter lies that a person names."""

from pathlib import Path

from homespun.models.errors import UnknownModelError
from homespun.models.home import Home

#: What makes a folder an adapter.
CONFIG_FILE = "adapter_config.json"


def adapter_path(home: Home, name: str) -> Path:
    """The folder of an adapter: one of the home by its name, any other by its path.

    Raises:
        UnknownModelError: neither.
    """
    named = home.adapters_path / name
    if name.strip(".") and named.parent == home.adapters_path and (named / CONFIG_FILE).is_file():
        return named
    folder = Path(name).expanduser()
    if (folder / CONFIG_FILE).is_file():
        return folder
    known = sorted(path.parent.name for path in home.adapters_path.glob(f"*/{CONFIG_FILE}"))
    raise UnknownModelError(
        f"there is no adapter {name!r}; this home has {', '.join(known) or 'none'}",
        remedy="Name one of these, or the folder of an adapter (a folder with an adapter_config.json).",
    )
