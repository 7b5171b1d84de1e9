"""What was learnt, as the folder that PEFT reads: written whole, or not at all."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from homespun.models.adapter_path import CONFIG_FILE
from homespun.models.storage import disk_error, write_atomically
from homespun.tuning.adapters import WEIGHTS_FILE
from homespun.tuning.errors import TuneError


def write_adapter(folder: Path, tensors: dict[str, Any], config: dict[str, Any]) -> None:
    """Replace an adapter's weights and config; the config, which makes the folder an adapter, comes last.

    Raises:
        TuneError: a number that is not finite.
        HomeError: the disk refuses.
    """
    from safetensors.numpy import save_file

    for name, values in tensors.items():
        if not np.isfinite(values).all():
            raise TuneError(
                f"{name} holds values that are not finite; the adapter is not saved", where=str(folder)
            )
    unfinished = folder / f".{WEIGHTS_FILE}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, unfinished)
        unfinished.replace(folder / WEIGHTS_FILE)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise disk_error(error, folder) from error
    write_atomically(folder / CONFIG_FILE, json.dumps(config, indent=2) + "\n")
