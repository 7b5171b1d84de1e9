"""A run that was cut goes on where it stood: one file, replaced whole, so a kill never leaves half of it."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from homespun.models.storage import disk_error
from homespun.tuning.errors import TuneError

FILE = "state.safetensors"


@dataclass
class Progressed:
    """How far a run is, beside its tensors.

    Attributes:
        step: steps done.
        fingerprint: of data, base and options; another run's checkpoint is not taken.
        best_loss: the lowest held-out loss so far, None before the first look.
        n_worse: looks in a row without a lower one.
        first_loss, first_heldout: of the base, before learning.
        seconds: spent so far, over all starts.
        rate: the learning rate that was found by trial, 0 where it was not looked for.
    """

    fingerprint: str
    step: int = 0
    best_loss: float | None = None
    n_worse: int = 0
    first_loss: float | None = None
    last_loss: float | None = None
    first_heldout: float | None = None
    seconds: float = 0.0
    rate: float = 0.0


def write_checkpoint(folder: Path, progressed: Progressed, tensors: dict[str, Any]) -> None:
    """Replace the checkpoint.

    Raises:
        HomeError: the disk refuses (full); the one before stays.
    """
    from safetensors.torch import save_file

    path = folder / FILE
    unfinished = folder / f".{FILE}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {k: v.contiguous().cpu() for k, v in tensors.items()},
            unfinished,
            {"run": json.dumps(asdict(progressed))},
        )
        with unfinished.open("rb") as handle:
            os.fsync(handle.fileno())
        unfinished.replace(path)
    except Exception as error:
        unfinished.unlink(missing_ok=True)
        cause = error if isinstance(error, OSError) else OSError(str(error))
        raise disk_error(cause, folder) from error


def read_checkpoint(folder: Path) -> tuple[Progressed, dict[str, Any]] | None:
    """The checkpoint of a run; None where there is none.

    Raises:
        TuneError: a broken file.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as stored:
            progressed = Progressed(**json.loads(stored.metadata()["run"]))
            return progressed, {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise TuneError(
            f"the checkpoint cannot be read ({error})",
            where=str(path),
            remedy="Remove the adapter and tune again.",
        ) from None
