"""`homespun quantize`: a model written in other formats, and what each of them loses, measured here."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from homespun.engines.bench_record import BenchRow
from homespun.engines.choose import explain_choice
from homespun.engines.engine import EngineOptions
from homespun.engines.load import model_path
from homespun.engines.machine_bench import measure_candidate
from homespun.engines.probe_check import hashed, remember
from homespun.errors import HomespunError
from homespun.models.config import ModelConfig
from homespun.models.convert_formats import TARGETS, stored_shape
from homespun.models.errors import UnknownModelError
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.home import Home
from homespun.models.inspect import format_shares, short_name
from homespun.models.registry import checked_name
from homespun.models.storage import check_free_space
from homespun.models.tokenizer import Tokenizer
from homespun.planning.errors import PlanError
from homespun.planning.format_loss import FormatLoss, SourceRows, measure_format, most_tokens, source_rows
from homespun.planning.loss_text import measuring_pieces
from homespun.planning.quantize_advice import Recommendation, recommend
from homespun.planning.quantize_options import QuantizeOptions
from homespun.planning.quantize_scores import Score, score_models
from homespun.progress import Progress, no_progress
from homespun.tuning.export.merged import tensor_formats, write_changed_gguf

VERSION = 1  # of how a file is written


@dataclass(frozen=True)
class QuantizedFile:
    """One format; the first one of a result is the source itself, which loses nothing.

    Attributes:
        name: under which the home knows it.
        target: the format that was asked for.
        bits_per_weight: of the whole file.
        formats: how many tensors have which format.
        fallbacks: matrices that could not have theirs.
        was_here: it had been written before, and was measured again.
        loss: None of the source.
        bench: reading, writing and memory on this machine; None where it was not asked for.
        score: on the user's questions; None where there are none.
        error: why it could not be written or measured.
    """

    name: str
    target: str
    path: Path
    size_bytes: int
    bits_per_weight: float
    formats: Mapping[str, int] = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    was_here: bool = False
    loss: FormatLoss | None = None
    bench: BenchRow | None = None
    score: Score | None = None
    error: str | None = None


@dataclass(frozen=True)
class Quantization:
    """All formats of one model, and the one to take.

    Attributes:
        files: the source first.
        perplexity: of the source.
        measured_on: what text.
        measured_by: the engine that computed the distributions.
        notes: what a reader must know.
    """

    files: tuple[QuantizedFile, ...]
    perplexity: float
    measured_on: str
    measured_by: str
    n_positions: int
    recommendation: Recommendation
    notes: tuple[str, ...] = ()


def quantize_model(
    home: Home,
    model: str | None,
    targets: Sequence[str],
    options: QuantizeOptions = QuantizeOptions(),
    *,
    library: str = "",
    text: Path | None = None,
    questions: Path | None = None,
    progress: Progress = no_progress,
) -> Quantization:
    """Write a model in each format into the home, as MODEL-FORMAT, and measure what each loses.

    Args:
        model: a name, a GGUF file, or None for the default model.
        targets: of `convert_formats.TARGETS`.
        library, text: on whose text the loss is measured; without both, on neutral texts. With questions, the
            library is also what the answers are found in.
        questions: a question set; each file answers all of it.

    Raises:
        UnknownModelError, ModelFileError: no such model, or a broken one.
        PlanError: an unknown format, or nothing to measure on.
        HomeError: not enough room for all files.
        EngineError: no engine here computes the model's numbers.
    """
    targets = _checked_targets(targets)
    path = model_path(home, model)
    if path.is_dir():
        raise PlanError(
            "a folder of safetensors is converted first", where=str(path), remedy="Run: homespun convert"
        )
    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    n_tokens = min(options.tokens, most_tokens(config.vocab_size))
    pieces = measuring_pieces(home, Tokenizer.from_gguf(file), n_tokens, library=library, text=text)
    name = _source_name(home, file)
    work = _Writer(home, file, config, name, progress)
    work.check_room(targets)
    source = source_rows(path, pieces, home.cache_path)
    rows = [_source_row(file, name)]
    for number, target in enumerate(targets):
        written = work.write(target)
        progress("measuring the loss", number, len(targets))
        rows.append(_with_loss(written, source, pieces, home))
    progress("measuring the loss", len(targets), len(targets))
    if options.speed:
        rows = [
            _with_bench(row, home, progress, number, len(rows))
            for number, row in enumerate(rows)
        ]  # fmt: skip
    if questions is not None:
        scores = score_models(
            home, [row.path for row in rows if row.error is None], questions, library, progress
        )
        rows = [replace(row, score=scores.get(row.path)) for row in rows]
    return Quantization(
        tuple(rows),
        source.perplexity,
        f"the library {library}" if library else str(text) if text is not None else "neutral texts",
        source.engine,
        source.n_positions,
        recommend(rows, options.most_kl),
        _notes(file, options, n_tokens, source.n_positions),
    )


def _checked_targets(targets: Sequence[str]) -> list[str]:
    found = [one.strip().upper() for one in targets if one.strip()]
    unknown = [one for one in found if one not in TARGETS]
    if unknown or not found:
        raise PlanError(
            f"format {unknown[0]!r} is not known" if unknown else "no format is named",
            remedy=f"Choose from {', '.join(TARGETS)}.",
        )
    return list(dict.fromkeys(found))


def _source_name(home: Home, file: GGUFFile) -> str:
    same = [model.name for model in home.models() if model.path == file.path.absolute()]
    return same[0] if same else short_name(file)


def _source_row(file: GGUFFile, name: str) -> QuantizedFile:
    largest = next(iter(format_shares(file))).ggml_type
    return QuantizedFile(name, largest, file.path, file.size_bytes, 8 * file.size_bytes / file.n_parameters)


class _Writer:
    """Writes formats of one source into the home; a file of the same source that is there is kept."""

    def __init__(
        self, home: Home, file: GGUFFile, config: ModelConfig, name: str, progress: Progress
    ) -> None:
        self.home, self.file, self.config, self.name, self.progress = home, file, config, name, progress

    def check_room(self, targets: Sequence[str]) -> None:
        """Refuse before the first file where the disk has not room for all, or a name is another model's."""
        needed_bytes = 0
        for target in targets:
            if not self._is_here(target):
                formats, _ = tensor_formats(self.file, self.config, target)
                shapes = (stored_shape(info.shape, formats[name]) for name, info in self.file.tensors.items())
                needed_bytes += sum(int(np.prod(shape)) for shape in shapes)
        check_free_space(self.home.models_path, needed_bytes)

    def write(self, target: str) -> QuantizedFile:
        """One file, registered; what cannot be written is a row with its reason."""
        name = self._name(target)
        path = self._path(target)
        formats, fallbacks = tensor_formats(self.file, self.config, target)
        counts = {kind: list(formats.values()).count(kind) for kind in dict.fromkeys(formats.values())}
        was_here = self._is_here(target)
        error = None
        if not was_here:
            part = path.with_name(f".{path.name}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_changed_gguf(
                    self.file, self.config, self.file.dequantize, target, part, name, self._progress(target)
                )
                part.replace(path)
                digest = self.home.add_model(path, name).digest
                remember(self._note_path(target), json.dumps({"digest": digest}).encode())
            except HomespunError as failure:
                error = failure.sentence()
            finally:
                part.unlink(missing_ok=True)
        size = path.stat().st_size if path.is_file() else 0
        bits = 8 * size / self.file.n_parameters
        return QuantizedFile(name, target, path, size, bits, counts, fallbacks, was_here, error=error)

    def _name(self, target: str) -> str:
        return checked_name(f"{self.name}-{target}")

    def _path(self, target: str) -> Path:
        name = self._name(target)
        return self.home.models_path / name / f"{name}.gguf"

    def _note_path(self, target: str) -> Path:
        return self.home.cache_path / "quantized" / f"{hashed(self.file.digest, target, VERSION)}.json"

    def _is_here(self, target: str) -> bool:
        """Whether the home has this very file.

        Raises:
            PlanError: its name is that of another model.
        """
        name = self._name(target)
        try:
            known = self.home.model(name)
        except UnknownModelError:
            return False
        with suppress(OSError, ValueError, KeyError, TypeError):
            if json.loads(self._note_path(target).read_text(encoding="utf-8"))["digest"] == known.digest:
                return True
        raise PlanError(
            f"the name {name!r} is already that of another model",
            remedy=f"Remove it first: homespun models remove {name}",
        )

    def _progress(self, target: str) -> Progress:
        def told(_: str, done: float, total: float | None) -> None:
            self.progress(f"writing {target}", done, total)

        return told


def _with_loss(
    row: QuantizedFile, source: SourceRows, pieces: Sequence[Sequence[int]], home: Home
) -> QuantizedFile:
    if row.error is not None:
        return row
    try:
        return replace(row, loss=measure_format(source, row.path, pieces, home.cache_path))
    except HomespunError as failure:
        return replace(row, error=failure.sentence())


def _with_bench(
    row: QuantizedFile, home: Home, progress: Progress, number: int, n_rows: int
) -> QuantizedFile:
    """Measured with the engine that would run it, in a process of its own."""
    if row.error is not None:
        return row
    engine = explain_choice(row.path, EngineOptions(), cache_path=home.cache_path).engine
    if engine is None:
        return row

    def told(done: int) -> None:
        progress("measuring speed and memory", 6 * number + done, 6 * n_rows)

    told(0)
    return replace(row, bench=measure_candidate(read_gguf(row.path), engine, "fast", home.cache_path, told))


def _notes(file: GGUFFile, options: QuantizeOptions, n_tokens: int, n_positions: int) -> tuple[str, ...]:
    largest = next(iter(format_shares(file))).ggml_type
    notes = []
    if largest not in ("F32", "F16", "BF16"):
        notes.append(
            f"the source is stored in {largest} already: losses are against that, not against the numbers "
            "that it was made of; get it in F16 or BF16 to quantize once only"
        )
    if n_tokens < options.tokens:
        notes.append(f"measured on {n_tokens} tokens, since its vocabulary is large")
    if n_positions < 256:
        notes.append(f"only {n_positions} positions of text: the intervals are rough")
    return tuple(notes)
