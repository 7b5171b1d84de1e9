"""Where an adapter lies that a person names."""

import json
from pathlib import Path

from homespun.models.errors import ModelError, UnknownModelError
from homespun.models.home import Home

#: What makes a folder an adapter.
CONFIG_FILE = "adapter_config.json"
#: Where an adapter that was tuned here says what it was tuned on.
LINEAGE_FILE = "tuning.json"
#: Where its receipt says whether it is served as it was trained.
RECEIPT_FILE = "receipt.json"
#: Where training and serving were compared.
RECEIPT_FILE = "receipt.json"


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


def check_adapter_base(folder: Path, digest: str, model: str) -> None:
    """Refuse an adapter of another base; one that does not say its base is judged by its shapes, when loaded.

    Args:
        digest: SHA-256 of the model's file.
        model: what the message calls it.

    Raises:
        ModelError: it was tuned on another file.
    """
    try:
        base = json.loads((folder / LINEAGE_FILE).read_text("utf-8"))["base"]
        name, wanted = str(base["name"]), str(base["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if wanted and wanted != digest:
        raise ModelError(
            f"the adapter {folder.name!r} was tuned on {name!r} (SHA-256 {wanted[:12]}…), "
            f"and {model!r} is another model ({digest[:12]}…)",
            remedy=f"Use it with --model {name}.",
        )


def check_not_refused(folder: Path) -> None:
    """Refuse an adapter whose receipt says that it is not served as it was trained.

    Raises:
        ModelError: so it is.
    """
    try:
        receipt = json.loads((folder / RECEIPT_FILE).read_text("utf-8"))
        reasons = ", ".join(str(reason["name"]) for reason in receipt["reasons"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    if receipt.get("verdict") == "refused":
        raise ModelError(
            f"the adapter {folder.name!r} is not served as it was trained ({reasons})",
            remedy=f"See `homespun adapters receipt {folder.name}`, and tune again.",
        )


def refusal(folder: Path) -> str | None:
    """Why an adapter's receipt refuses it; None where it holds, or where there is no receipt."""
    try:
        receipt = json.loads((folder / RECEIPT_FILE).read_text("utf-8"))
        if receipt["verdict"] != "refused":
            return None
        return "; ".join(str(reason["name"]) for reason in receipt["reasons"]) or "no reason is given"
    except (OSError, ValueError, KeyError, TypeError):
        return None
