"""The checks of a receipt, one after the other: ids, torch, each engine, the verdict."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from homespun.engines.able import why_not_run
from homespun.engines.engine import EngineOptions, FloatArray
from homespun.engines.errors import AdapterError, EngineError
from homespun.engines.openvino.adapters import read_adapter
from homespun.models.adapter_path import CONFIG_FILE
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress
from homespun.tuning.errors import ReceiptError
from homespun.tuning.examples import EncodedExample, Example
from homespun.tuning.receipt import Bounds, Reason, Receipt, StopLearnt, Way
from homespun.tuning.receipt_checks import (
    ids_differ,
    llama_cpp_ids_differ,
    llama_cpp_renders_differently,
    missing_parts,
    wrong_template,
)
from homespun.tuning.receipt_faults import diagnose
from homespun.tuning.receipt_rows import Sample, choose_samples, mean_kl, mixed_rows, rows_at, rows_of
from homespun.tuning.receipt_torch import TrainedSide, wrong_weights

LLAMA_CPP_PLACES = 12  # a whole distribution from llama.cpp takes 0.1 s and more
_PACKAGES = ("torch", "transformers", "peft", "openvino", "xllamacpp")


class ReceiptWork:
    """One receipt in the making."""

    def __init__(
        self,
        model: Path,
        adapter: Path,
        served: Path,
        ways: Sequence[Way],
        cache_path: Path | None,
        bounds: Bounds,
        progress: Progress,
    ) -> None:
        self.model, self.adapter, self.served = model, adapter, served
        self.ways, self.cache_path = tuple(ways), cache_path
        self.bounds, self.progress = bounds, progress
        self.file: GGUFFile = read_gguf(model)
        self.config = ModelConfig.from_gguf(self.file)
        self.tokenizer = Tokenizer.from_gguf(self.file)
        self.template = ChatTemplate.from_gguf(self.file, self.tokenizer)
        self.reasons: list[Reason] = []
        self.warnings: list[str] = []
        self.kls: dict[Way, float] = {}
        self.precision: dict[str, str] = {}
        self.trained: Sequence[EncodedExample] = ()
        self.sources: Sequence[Example] = ()
        self.samples: list[Sample] = []
        self.n_ids = self.n_weights = self.n_tensors = 0
        self.effect = 0.0
        self.stop: StopLearnt | None = None

    def check_ids(self, trained: Sequence[EncodedExample], sources: Sequence[Example]) -> None:
        """Tokens of every example by the serving template; llama.cpp's part comes when it runs."""
        self.trained, self.sources = trained, sources
        self.n_ids = len(trained)
        found = wrong_template(trained, self.template)
        if found is None and sources:
            found = ids_differ(trained, sources, self.template, self.tokenizer)
        if found is not None:
            self._refuse("wrong template", found)

    def choose(self, heldout: Sequence[EncodedExample]) -> None:
        self.samples = choose_samples(heldout, self.tokenizer.n_vocab, self.config.context_length)
        if not self.samples:
            raise ReceiptError("there is no held-out example with an answer to compare on")

    def run_torch(self) -> None:
        """Torch first, kept open for the diagnosis; then each way of serving."""
        self._step(0)
        with TrainedSide(self.model, self.adapter) as side:
            self.n_weights, wrong = wrong_weights(side.engine, self.file, self.config)
            if wrong:
                self._refuse("weights", f"torch's weights are not the file's: {', '.join(wrong[:3])}")
            side.load()
            self.tuned = side.rows(self.samples, tuned=True)
            self.base = side.rows(self.samples, tuned=False)
            self.effect = mean_kl(self.tuned, self.base)
            if self.effect <= self.bounds.effect:
                self._refuse("no effect", "the adapter changes nothing: the base model gives the same odds")
            self._check_stop()
            if self._check_tensors():
                self._run_engines(side)
        self._step(4)

    def _check_tensors(self) -> bool:
        for folder in dict.fromkeys((self.adapter, self.served)):
            try:
                pairs = read_adapter(folder, self.file, self.config.n_layers)
            except AdapterError as error:
                self._refuse("tensors", error.sentence())
                return False
            config = json.loads((folder / CONFIG_FILE).read_text("utf-8"))
            missing = missing_parts(pairs, config)
            if missing is not None:
                self._refuse("missing layer", missing)
        self.n_tensors = 2 * len(pairs)
        return True

    def _run_engines(self, side: TrainedSide) -> None:
        reason = why_not_run("openvino", self.file, self.config)
        modes = [way for way in self.ways if way != "llama.cpp"]
        if reason is not None and modes:
            self.warnings.append(f"not compared with OpenVINO: {reason}")
        for mode in () if reason is not None else modes:
            self._step(1 + (mode == "fast"))
            self._judge(mode, side, *self._openvino(mode))
        if "llama.cpp" not in self.ways:
            return
        self._step(3)
        reason = why_not_run("llama.cpp", self.file, self.config)
        if reason is not None:
            self.warnings.append(f"not compared with llama.cpp: {reason}")
            return
        try:
            self._llama_cpp(side)
        except (EngineError, ConnectionError) as error:
            self.warnings.append(f"not compared with llama.cpp: {error}")

    def _openvino(self, mode: Way) -> tuple[float, list[FloatArray]]:
        """KL of the worst of three: alone, in mixed batches, and the base in them. With the batches' rows."""
        from homespun.engines.openvino.engine import OpenVINOEngine

        longest = max(len(sample.token_ids) for sample in self.samples)
        options = EngineOptions(mode="exact" if mode == "exact" else "fast", cache_tokens=16 * (longest + 64))
        imported = None if self.cache_path is None else self.cache_path / "openvino"
        with OpenVINOEngine(self.model, options, cache_path=imported) as engine:
            engine.prepare_adapters()
            self.precision[mode] = f"{engine.facts.precision}, cache {engine.facts.cache_precision}"
            engine.load_adapter("receipt", self.served)
            few = self.samples[:: max(len(self.samples) // 6, 1)]
            alone = [rows_of(engine, sample, "receipt") for sample in few]
            tuned, base = mixed_rows(engine, self.samples, "receipt")
        kls = (
            mean_kl(self.tuned[:: max(len(self.samples) // 6, 1)], alone),
            mean_kl(self.tuned, tuned),
            mean_kl(self.base, base),
        )
        return max(kls), tuned

    def _llama_cpp(self, side: TrainedSide) -> None:
        from homespun.engines.llama_cpp import LlamaCppEngine

        longest = max(len(sample.token_ids) for sample in self.samples)
        window = min((longest // 256 + 1) * 256, self.config.context_length)
        options = EngineOptions(mode="exact", window=window, cache_tokens=2 * window)
        with LlamaCppEngine(self.model, options) as engine:
            self.precision["llama.cpp"] = engine.facts.precision
            process = engine.process
            self.n_ids, differs = llama_cpp_ids_differ(process, self.trained, self.tokenizer)
            if differs is not None:
                self._refuse("token ids", differs)
            rendered = llama_cpp_renders_differently(process, self.sources, self.template)
            if rendered is not None:
                self.warnings.append(rendered)
            engine.load_adapter("receipt", self.served)
            few, tuned, base = self._llama_cpp_samples()
            rows = [rows_at(engine, sample, "receipt") for sample in few]
        self._judge("llama.cpp", side, mean_kl(tuned, rows), rows, few, base)

    def _llama_cpp_samples(self) -> tuple[list[Sample], list[FloatArray], list[FloatArray]]:
        """First and last place of some examples, with torch's rows there."""
        few, tuned, base = [], [], []
        step = max(len(self.samples) * 2 // LLAMA_CPP_PLACES, 1)
        for number in range(0, len(self.samples), step):
            sample = self.samples[number]
            kept = sorted({0, len(sample.places) - 1})
            few.append(Sample(sample.token_ids, tuple(sample.places[k] for k in kept)))
            tuned.append(self.tuned[number][kept])
            base.append(self.base[number][kept])
        return few, tuned, base

    def _judge(
        self,
        way: Way,
        side: TrainedSide,
        kl: float,
        rows: Sequence[FloatArray],
        samples: Sequence[Sample] | None = None,
        base: Sequence[FloatArray] | None = None,
    ) -> None:
        self.kls[way] = kl
        bound = self.bounds.of(way)
        if np.isfinite(kl) and kl <= bound:
            return
        text = f"{way}: {kl:.3g} nats from torch, at most {bound:g} are allowed"
        known = next((reason for reason in self.reasons if reason.name not in ("exact", "fast")), None)
        if known is None:
            fault = diagnose(side, self.config, samples or self.samples, rows, base or self.base)
            self._refuse(fault.name or way, f"{fault.text} ({text})")
        else:
            self._refuse(known.name, text)

    def _check_stop(self) -> None:
        """The end token at the last place of each answer that ends within its sample."""
        stops = self.tokenizer.stop_ids
        found = []
        for sample, rows in zip(self.samples, self.tuned, strict=True):
            for place, row in zip(sample.places, rows, strict=True):
                token = sample.token_ids[place]
                if token in stops:
                    found.append((float(np.exp(row[token])), int(row.argmax()) in stops))
        if not any(
            token in stops
            for example in self.trained
            for token, is_labelled in zip(example.token_ids, example.labelled, strict=True)
            if is_labelled
        ):
            self._refuse(
                "no end", "no training example has its end token labelled, so stopping is not learnt"
            )
        if found:
            probability, share = (float(np.mean([item[i] for item in found])) for i in (0, 1))
            self.stop = StopLearnt(probability, share, len(found))
            if share < 0.5:
                self.warnings.append(
                    f"answers may not end: at {1 - share:.0%} of the held-out ends another token is more "
                    "probable than the end token"
                )

    def _refuse(self, name: str, text: str) -> None:
        self.reasons.append(Reason(name, text))

    def _step(self, number: int) -> None:
        names = ("torch", "exact mode", "fast mode", "llama.cpp", "")
        self.progress("checking the adapter" + (f": {names[number]}" if names[number] else ""), number, 4)

    def receipt(self, seconds: float) -> Receipt:
        id_faults = {"wrong template", "token ids"}
        return Receipt(
            verdict="refused" if self.reasons else "holds",
            reasons=tuple(self.reasons),
            kl_exact=self.kls.get("exact"),
            kl_fast=self.kls.get("fast"),
            kl_llama_cpp=self.kls.get("llama.cpp"),
            ids_equal=not any(reason.name in id_faults for reason in self.reasons),
            n_ids_checked=self.n_ids,
            n_examples=len(self.samples),
            n_positions=sum(len(sample.places) for sample in self.samples),
            weights_checked=self.n_weights,
            tensors_matched=self.n_tensors,
            effect_nats=self.effect,
            stop_learnt=self.stop,
            warnings=tuple(self.warnings),
            bounds=self.bounds,
            precision=self.precision,
            versions={name: _version(name) for name in _PACKAGES},
            base_digest=self.file.digest,
            samples=tuple(self.samples),
            made=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round(seconds, 2),
        )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
