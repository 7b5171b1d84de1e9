"""The curve of a run: a line a step in steps.jsonl, and its picture."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from homespun.models.storage import disk_error
from homespun.tuning.samples import Sample

FILE = "steps.jsonl"


@dataclass(frozen=True)
class StepReport:
    """One step of a run.

    Attributes:
        step: from 1.
        loss: nats a labelled token of its batch, before the step.
        seconds: since the run began, over all starts.
        tokens_per_s: useful tokens of this step a second.
        heldout_loss: where the held-out examples were looked at after this step.
        samples: answers of base and tuned, at a look.
    """

    step: int
    n_steps: int
    n_tokens: int
    loss: float
    learning_rate: float
    gradient_norm: float
    seconds: float
    tokens_per_s: float
    heldout_loss: float | None = None
    samples: tuple[Sample, ...] = ()


def add_step(folder: Path, report: StepReport) -> None:
    """Add a line.

    Raises:
        HomeError: the disk refuses.
    """
    try:
        with (folder / FILE).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(report), ensure_ascii=False) + "\n")
    except OSError as error:
        raise disk_error(error, folder) from error


def read_steps(folder: Path, up_to: int | None = None) -> list[dict[str, object]]:
    """The lines of a run, those up to a step; a line that a kill cut is left out."""
    try:
        lines = (folder / FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if up_to is None or row["step"] <= up_to:
            found.append(row)
    return found


def cut_steps(folder: Path, up_to: int) -> None:
    """Forget the steps after a checkpoint: they are done again."""
    if not (folder / FILE).exists():
        return
    rows = read_steps(folder, up_to)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / FILE).write_text(text, "utf-8")


def draw_curve(folder: Path, path: Path) -> None:
    """Loss of each step, held-out loss at each look, as PNG or SVG.

    Raises:
        PictureError: another ending.
    """
    from homespun.pictures.canvas import canvas

    rows = read_steps(folder)
    looked = [row for row in rows if row["heldout_loss"] is not None]
    with canvas(path, 7.0, 4.0) as (_, axes):
        axes.plot(_column(rows, "step"), _column(rows, "loss"), color="0.6", label="batch, before its step")
        axes.plot(_column(looked, "step"), _column(looked, "heldout_loss"), "ko-", label="held-out examples")
        axes.set_xlabel("step")
        axes.set_ylabel("loss, nats a learnt token")
        axes.set_ylim(bottom=0)
        axes.legend()


def _column(rows: list[dict[str, object]], name: str) -> list[object]:
    return [row[name] for row in rows]
