"""One run: read, plan, learn step by step, stop when the held-out loss says so, and hand out an adapter.

Whatever ends it (Ctrl-C, a kill, a full disk), the run goes on from its last checkpoint with the same command.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from homespun.engines.processor import usable_threads
from homespun.engines.torch_model import import_torch
from homespun.models.home import Home
from homespun.models.registry import checked_name
from homespun.models.storage import try_lock
from homespun.progress import Progress, no_progress
from homespun.tuning.base import open_base
from homespun.tuning.bounded_memory import bound_memory
from homespun.tuning.data.columns import DataColumns
from homespun.tuning.defaults import TOKENS_AT_ONCE
from homespun.tuning.errors import TuneError
from homespun.tuning.grounded import GroundOptions
from homespun.tuning.options import TuneOptions
from homespun.tuning.prepare import prepare

if TYPE_CHECKING:  # torch is imported only where a run begins
    from homespun.tuning.curve import StepReport
    from homespun.tuning.tune_plan import TunePlan
    from homespun.tuning.tune_result import TuneResult


def tune(
    home: Home,
    paths: Sequence[Path],
    options: TuneOptions = TuneOptions(),
    grounding: GroundOptions = GroundOptions(),
    columns: DataColumns = DataColumns(),
    *,
    name: str,
    model: str | None = None,
    progress: Progress = no_progress,
    on_plan: Callable[["TunePlan"], None] | None = None,
    on_step: Callable[["StepReport"], None] | None = None,
) -> "TuneResult":
    """Learn from examples; the adapter NAME of the home is live in the engine at once.

    Full fine-tuning makes a model NAME instead, and DoRA one beside the adapter, for it cannot be live.

    A run of the same name, data, base and options that was stopped goes on exactly where it stood.

    Args:
        on_plan: told sizes, time and memory before the first step (a `TunePlan`).
        on_step: told each step (a `StepReport`).

    Raises:
        DataError: nothing to learn from.
        ReceiptError: what was trained is not what is served; the adapter is kept, and refused by every engine.
        TuneError: the model cannot be tuned here, the name is taken, or the loss is not a number.
        HomeError: the disk refuses; the last checkpoint stays.
    """
    if options.tokens_at_once <= TOKENS_AT_ONCE:
        bound_memory()
    torch = import_torch()
    base = open_base(home, model)
    checked_name(name, "adapter")
    folder = (home.models_path if options.method == "full" else home.adapters_path) / name
    torch.set_num_threads(options.threads or usable_threads())
    with _alone(folder):
        prepared = prepare(
            home,
            paths,
            base.template,
            base.tokenizer,
            options,
            grounding,
            columns,
            window=base.config.context_length,
            progress=progress,
        )
        from homespun.tuning.tune_check import checked
        from homespun.tuning.tune_run import Run

        run = Run(home, folder, base, prepared, options, grounding, progress)
        result = run.to_the_end(on_plan, on_step)
        del run  # the engines of the checks need its memory
        return checked(home, base, prepared, options, result, progress)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One run a name, for as long as its process lives.

    Raises:
        TuneError: another process tunes under this name.
    """
    handle = os.open(folder.parent / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not try_lock(handle):
            raise TuneError(
                f"another process is tuning {folder.name!r}", remedy="Wait for it, or choose another --name."
            )
        yield
    finally:
        os.close(handle)
