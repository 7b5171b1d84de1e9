"""The state of one run between its steps, and what each step leaves on disk."""

import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homespun.engines.load import load_engine
from homespun.engines.processor import processor_name
from homespun.engines.torch_model import import_torch
from homespun.models.errors import HomeError
from homespun.models.home import Home
from homespun.progress import Progress
from homespun.tuning.adapter_files import write_adapter
from homespun.tuning.adapters import (
    BaseFacts,
    DataFacts,
    Lineage,
    Losses,
    Status,
    write_lineage,
)
from homespun.tuning.base import Base
from homespun.tuning.batches import step_places
from homespun.tuning.checkpoint import Progressed, read_checkpoint, write_checkpoint
from homespun.tuning.curve import StepReport, add_step, cut_steps
from homespun.tuning.defaults import chosen
from homespun.tuning.errors import TuneError
from homespun.tuning.export.merged import write_changed_gguf
from homespun.tuning.grounded import GroundOptions
from homespun.tuning.network.frozen import FrozenWeights
from homespun.tuning.network.full import FullParameters
from homespun.tuning.network.merged import learnt_values
from homespun.tuning.network.network import Network
from homespun.tuning.network.parameters import LoraParameters
from homespun.tuning.network.precision import choose_precision
from homespun.tuning.options import TuneOptions
from homespun.tuning.prepare import Prepared
from homespun.tuning.rate_finder import find_rate
from homespun.tuning.samples import Sample, Sampler
from homespun.tuning.schedule import rate_at
from homespun.tuning.trainer import Trainer
from homespun.tuning.tune_identity import check_name, fingerprint_of, name_is_taken, package_versions
from homespun.tuning.tune_plan import TunePlan, plan_run
from homespun.tuning.tune_result import TuneResult


class Run:
    """The state of one run between its steps."""

    def __init__(
        self,
        home: Home,
        folder: Path,
        base: Base,
        prepared: Prepared,
        options: TuneOptions,
        grounding: GroundOptions,
        progress: Progress,
    ) -> None:
        self.home, self.folder, self.base, self.prepared = home, folder, base, prepared
        self.options, self.grounding, self.progress = options, grounding, progress
        fingerprint = fingerprint_of(base, prepared, options, grounding)
        check_name(folder, fingerprint)
        if options.method in ("dora", "full") and name_is_taken(home, folder):
            raise TuneError(f"there is a model {folder.name!r} already", remedy="Choose another --name.")
        device = _device(options.device)
        self.precision = choose_precision(options.precision, device)
        self.chosen = chosen(options, len(prepared.train))
        progress("Unpacking the model", 0, 1)
        weights = FrozenWeights(
            base.file, base.config, self.precision.dtype, device, packed=options.method == "qlora"
        )
        is_full = options.method == "full"
        self.learnt = FullParameters(weights, options) if is_full else LoraParameters(weights, options)
        network = Network(weights, self.learnt, dropout=options.dropout, recompute=options.recompute)
        self.trainer = Trainer(
            network,
            self.learnt,
            self.precision,
            tokens_at_once=self.chosen.tokens_at_once,
            weight_decay=options.weight_decay,
            clip=options.clip,
            seed=options.seed,
        )
        self.done = Progressed(fingerprint)
        self.best: dict[str, Any] = {}
        self.n_resumed = 0
        stored = read_checkpoint(self.checkpoint_path)
        if stored is not None:
            self._go_on(*stored)
        else:
            cut_steps(folder, 0)  # of a run that was killed before its first checkpoint
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self._saved_at = time.monotonic()

    @property
    def checkpoint_path(self) -> Path:
        """Where the run can go on from."""
        return self.folder / "checkpoint"

    def to_the_end(
        self, on_plan: Callable[[TunePlan], None] | None, on_step: Callable[[StepReport], None] | None
    ) -> TuneResult:
        """Plan, learn, and write the adapter."""
        self.progress("Warming up", 0, 1)
        if self.options.find_learning_rate and not self.done.rate:
            self.done.rate = find_rate(
                self.trainer,
                self.prepared.train,
                self.options.batch_examples,
                self.options.seed,
                progress=self.progress,
            )
        if self.done.rate:
            self.chosen = replace(self.chosen, learning_rate=self.done.rate)
        plan = plan_run(self.trainer, self.prepared, self.chosen, self.options, self.precision.name)
        if on_plan is not None:
            on_plan(plan)
        self._write_lineage("running")
        stopped = "steps"
        with ExitStack() as stack:
            sampler = self._sampler(stack)
            try:
                self._first_look()
                while self.done.step < self.chosen.n_steps:
                    report = self._step(sampler)
                    if on_step is not None:
                        on_step(report)
                    if self._is_patience_over():
                        stopped = "patience"
                        break
            except BaseException:
                self._stop()
                raise
        return self._finish(plan, stopped)

    def _step(self, sampler: Sampler | None) -> Any:

        number = self.done.step
        places = step_places(len(self.prepared.train), self.options.batch_examples, number, self.options.seed)
        rate = rate_at(
            number,
            self.chosen.n_steps,
            largest=self.chosen.learning_rate,
            warmup=self.options.warmup,
            schedule=self.options.schedule,
        )
        begun = time.perf_counter()
        figures = self.trainer.step([self.prepared.train[p] for p in places], number=number, rate=rate)
        took = time.perf_counter() - begun
        self.done.step += 1
        self.done.seconds += took
        self.done.last_loss = figures.loss
        if self.done.first_loss is None:
            self.done.first_loss = figures.loss
        heldout, samples = self._look(sampler)
        report = StepReport(
            step=self.done.step,
            n_steps=self.chosen.n_steps,
            n_tokens=figures.n_tokens,
            loss=figures.loss,
            learning_rate=rate,
            gradient_norm=figures.gradient_norm,
            seconds=self.done.seconds,
            tokens_per_s=figures.n_tokens / took,
            heldout_loss=heldout,
            samples=samples,
        )
        add_step(self.folder, report)
        if heldout is not None or time.monotonic() - self._saved_at >= self.options.save_every:
            self._save()
        self.progress(
            f"Tuning {self.folder.name}, loss {figures.loss:.3f}", self.done.step, self.chosen.n_steps
        )
        return report

    def _look(self, sampler: Sampler | None) -> tuple[float | None, tuple[Sample, ...]]:
        """The held-out loss where it is due; the best adapter so far is kept."""
        is_last = self.done.step >= self.chosen.n_steps
        if not self.prepared.heldout or not (is_last or self.done.step % self.chosen.look_every == 0):
            return None, ()
        begun = time.perf_counter()
        loss = self.trainer.loss(self.prepared.heldout)
        self.done.seconds += time.perf_counter() - begun
        if self.done.best_loss is None or loss < self.done.best_loss:
            self.done.best_loss, self.done.n_worse = loss, 0
            self.best = {"best": self.learnt.flat.data.clone()}
        else:
            self.done.n_worse += 1
        if sampler is None:
            return loss, ()
        self._write_adapter(self.checkpoint_path / "now")
        return loss, sampler.look(self.checkpoint_path / "now")

    def _first_look(self) -> None:
        if self.prepared.heldout and self.done.first_heldout is None:
            self.progress("Looking at the held-out examples", 0, 1)
            self.done.first_heldout = self.trainer.loss(self.prepared.heldout)

    def _is_patience_over(self) -> bool:
        return bool(self.options.patience) and self.done.n_worse >= self.options.patience

    def _sampler(self, stack: ExitStack) -> Sampler | None:
        chats = [e for e in self.prepared.heldout_examples if e.messages and self.options.method != "dora"]
        if not self.options.samples or not chats or isinstance(self.learnt, FullParameters):
            return None

        engine = load_engine(self.home, str(self.base.path), progress=self.progress)
        return Sampler(stack.enter_context(engine), chats[: self.options.samples])

    def _save(self) -> None:

        write_checkpoint(self.checkpoint_path, self.done, {**self.trainer.state(), **self.best})
        self._saved_at = time.monotonic()

    def _go_on(self, done: Progressed, tensors: dict[str, Any]) -> None:

        self.trainer.restore(tensors)
        self.best = {"best": tensors["best"]} if "best" in tensors else {}
        self.done = done
        self.n_resumed = done.step
        cut_steps(self.folder, done.step)

    def _stop(self) -> None:
        """Keep what is there; a disk that refuses keeps the checkpoint before."""

        try:
            if self.done.step:
                self._save()
            self._write_lineage("stopped")
        except HomeError:
            pass

    def _finish(self, plan: TunePlan, stopped: str) -> TuneResult:
        if self.best:
            self.learnt.flat.data.copy_(self.best["best"])
        self._write_adapter(self.folder)
        if isinstance(self.learnt, LoraParameters) and self.learnt.is_dora:
            values = learnt_values(self.trainer.network.weights, self.learnt)
            self._write_model(self.home.models_path / self.folder.name, values)
        losses = self._write_lineage("finished")
        shutil.rmtree(self.checkpoint_path, ignore_errors=True)
        return TuneResult(
            name=self.folder.name,
            path=self.folder,
            n_steps=self.done.step,
            stopped=stopped,
            plan=plan,
            losses=losses,
            seconds=self.done.seconds,
            n_resumed=self.n_resumed,
            left_out=self.prepared.left_out,
            model=None
            if self.options.method in ("lora", "qlora")
            else self.home.model(self.folder.name).path,
        )

    def _write_adapter(self, folder: Path) -> None:
        if isinstance(self.learnt, FullParameters):
            self._write_model(self.folder, self.learnt.values)
            return

        write_adapter(folder, self.learnt.tensors(), self.learnt.peft_config(self.base.name))

    def _write_model(self, folder: Path, values: Callable[[str], Any]) -> None:
        """A whole model, in the very numbers that the last forward pass used, registered under the run's name."""
        path = folder / f"{folder.name}.gguf"
        part = path.with_name(f".{path.name}.part")
        folder.mkdir(exist_ok=True)
        target = "BF16" if self.precision.name == "bf16" else "F32"
        write_changed_gguf(self.base.file, self.base.config, values, target, part, folder.name, self.progress)
        part.replace(path)
        self.home.add_model(path, folder.name)

    def _write_lineage(self, status: Status) -> Losses:
        done = self.done
        losses = Losses(done.first_loss, done.last_loss, done.first_heldout, done.best_loss)
        data = self.prepared.data
        write_lineage(
            self.folder,
            Lineage(
                name=self.folder.name,
                status=status,
                base=BaseFacts(self.base.name, self.base.file.digest, str(self.base.path)),
                data=DataFacts(
                    files=tuple(facts.file for facts in data.files),
                    digest=data.digest,
                    n_examples=len(self.prepared.train),
                    n_heldout=len(self.prepared.heldout),
                    shape=data.shape,
                ),
                options={**asdict(self.options), **asdict(self.grounding), "fingerprint": done.fingerprint},
                versions=package_versions(),
                machine=processor_name(),
                losses=losses,
                seconds=done.seconds,
                started=self.started,
                finished=datetime.now(UTC).isoformat(timespec="seconds") if status == "finished" else "",
            ),
        )
        return losses


def _device(asked: str) -> str:
    torch = import_torch()
    if asked == "cuda" and not torch.cuda.is_available():
        raise TuneError("device cuda is not available here", remedy="Leave --device out.")
    return "cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu"
