"""`homespun adapters export`: writes, reads back, compares, and leaves nothing that is off."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from homespun.engines.able import why_not_run
from homespun.engines.llama_cpp_adapter import write_adapter_gguf
from homespun.engines.openvino.adapters import read_adapter
from homespun.models.adapter_path import CONFIG_FILE
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.storage import check_free_space, disk_error
from homespun.models.template import ChatTemplate
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress
from homespun.tuning.adapter_base import base_path
from homespun.tuning.adapters import WEIGHTS_FILE, find_adapter
from homespun.tuning.errors import ExportError
from homespun.tuning.export.check import (
    LARGEST_DIFFERENCE,
    LARGEST_LOSS,
    LARGEST_OTHER_LOSS,
    Reference,
    llama_cpp_kl,
    reference,
    torch_rows,
)
from homespun.tuning.export.folder import write_folder
from homespun.tuning.export.merged import MergedFile, write_merged_gguf
from homespun.tuning.export.ollama import modelfile
from homespun.tuning.receipt_rows import mean_kl

Kind = Literal["peft", "gguf", "merged", "safetensors", "ollama"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_DEFAULT_FORMAT: dict[Kind, str] = {"merged": "Q8_0", "ollama": "Q8_0", "safetensors": "F16"}


@dataclass(frozen=True)
class Export:
    """What was written, and how far it is from the base with its adapter in float32.

    Attributes:
        format: of the weights; empty where they stay as they are.
        loss_nats: mean KL of torch on the export against torch on base + adapter: what merging and
            quantizing lost. None where nothing is merged.
        kl_llama_cpp: mean KL of llama.cpp on the export: against base + adapter for an adapter GGUF,
            against torch on the same file for a merged one. None where llama.cpp does not read it or run here.
        fallbacks: matrices that could not have their format.
    """

    kind: Kind
    path: Path
    format: str
    size_bytes: int
    loss_nats: float | None
    kl_llama_cpp: float | None
    n_positions: int
    fallbacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def export_adapter(
    home: Home,
    name: str,
    kind: str,
    out: Path,
    *,
    target: str = "",
    model: str | None = None,
    progress: Progress = no_progress,
) -> Export:
    """Write an adapter for other programs. It has its name only when it was read back and compared.

    Args:
        name: of the home, or a PEFT folder.
        kind: one of `KINDS`.
        out: the file (gguf, merged) or folder (peft, safetensors, ollama) to make; there must be none yet.
        target: format of merged weights; empty: Q8_0 of a GGUF, F16 of safetensors.
        model: the base, where the adapter does not say it.

    Raises:
        UnknownModelError, ModelError, TuneError: no such adapter, or its base is not here.
        AdapterError: it does not fit the base.
        ExportError: an unknown kind or format, a name that is taken, or an export that is off, which is removed.
        EngineError: torch is not installed.
    """
    work = _Work(home, name, kind, target, model, progress)
    if out.exists():
        raise ExportError("there is something of that name already", where=str(out))
    if not out.absolute().parent.is_dir():
        raise ExportError("there is no such folder to write into", where=str(out.parent))
    part = out.with_name(f".{out.name}.{os.getpid()}.part{out.suffix}")
    try:
        made = work.write(part, out)
        part.rename(out)
        return made
    except OSError as error:
        raise disk_error(error, out) from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


class _Work:
    def __init__(
        self, home: Home, name: str, kind: str, target: str, model: str | None, progress: Progress
    ) -> None:
        found = next((known for known in KINDS if known == kind), None)
        if found is None:
            raise ExportError(f"--to is {kind!r}; it must be one of {', '.join(KINDS)}")
        if target and found not in _DEFAULT_FORMAT:
            raise ExportError(f"--format is for merged weights; {kind} keeps the adapter's own numbers")
        self.kind: Kind = found
        self.target = target or _DEFAULT_FORMAT.get(found, "")
        self.adapter = find_adapter(home, name)
        self.model = base_path(home, self.adapter, model)
        self.file = read_gguf(self.model)
        self.config = ModelConfig.from_gguf(self.file)
        self.tokenizer = Tokenizer.from_gguf(self.file)
        self.pairs = read_adapter(self.adapter.path, self.file, self.config.n_layers)
        self.progress = progress
        self.notes: list[str] = []

    def write(self, part: Path, out: Path) -> Export:
        """Write under a temporary name, and judge."""
        write: dict[Kind, Callable[[Path, Path], Export]] = {
            "peft": self._peft,
            "gguf": self._gguf,
            "merged": self._merged,
            "safetensors": self._safetensors,
            "ollama": self._ollama,
        }
        return write[self.kind](part, out)

    def _peft(self, part: Path, out: Path) -> Export:
        part.mkdir()
        for name in (CONFIG_FILE, WEIGHTS_FILE):
            shutil.copyfile(self.adapter.path / name, part / name)
        again = read_adapter(part, self.file, self.config.n_layers)
        same = again.keys() == self.pairs.keys() and all(
            (again[site].a == pair.a).all() and (again[site].b == pair.b).all()
            for site, pair in self.pairs.items()
        )
        if not same:
            raise ExportError(
                "the copy does not read back the same", where=str(out), remedy="Check the disk."
            )
        return self._made(part, out, None, None, 0)

    def _gguf(self, part: Path, out: Path) -> Export:
        write_adapter_gguf(self.pairs, self.file, self.config, part)
        wanted = self._reference()
        kl = self._llama_cpp(
            lambda: llama_cpp_kl(self.model, wanted.rows, wanted.samples, part), out, "base + adapter"
        )
        return self._made(part, out, None, kl, sum(len(rows) for rows in wanted.rows))

    def _merged(self, part: Path, out: Path, name: str = "") -> Export:
        written = self._write_merged(part, name or out.stem)
        wanted = self._reference()
        self.progress("comparing with torch", 1, 3)
        rows = torch_rows(part, wanted.samples)
        loss = self._loss(mean_kl(wanted.rows, rows), out)
        self.progress("comparing with llama.cpp", 2, 3)
        kl = self._llama_cpp(lambda: llama_cpp_kl(part, rows, wanted.samples), out, "torch on the same file")
        self.progress("comparing with llama.cpp", 3, 3)
        return self._made(part, out, loss, kl, sum(map(len, wanted.rows)), written.fallbacks)

    def _write_merged(self, path: Path, name: str) -> MergedFile:
        return write_merged_gguf(self.file, self.config, self.pairs, self.target, path, name, self.progress)

    def _safetensors(self, part: Path, out: Path) -> Export:
        check_free_space(part.absolute().parent, 4 * self.config.vocab_size * self.config.hidden_size)
        write_folder(self.file, self.config, self.pairs, self.target, part)
        wanted = self._reference()
        self.progress("comparing with torch", 1, 2)
        loss = self._loss(mean_kl(wanted.rows, torch_rows(part, wanted.samples)), out)
        self.progress("comparing with torch", 2, 2)
        return self._made(part, out, loss, None, sum(map(len, wanted.rows)))

    def _ollama(self, part: Path, out: Path) -> Export:
        part.mkdir()
        name = f"{self.adapter.name}.gguf"
        template = ChatTemplate.from_gguf(self.file, self.tokenizer)
        text = modelfile(name, template, self.tokenizer)
        made = self._merged(part / name, out, self.adapter.name)
        (part / "Modelfile").write_text(text, encoding="utf-8")
        self.notes.append(f"ollama create {self.adapter.name} -f {out / 'Modelfile'}")
        return self._made(part, out, made.loss_nats, made.kl_llama_cpp, made.n_positions, made.fallbacks)

    def _reference(self) -> Reference:
        self.progress("comparing with torch", 0, 3)
        return reference(self.model, self.adapter.path, self.tokenizer)

    def _loss(self, loss: float, out: Path) -> float:
        largest = LARGEST_LOSS.get(self.target, LARGEST_OTHER_LOSS)
        if not loss <= largest:
            raise ExportError(
                f"the export is {loss:.3g} nats from base + adapter, at most {largest:g} are allowed in "
                f"{self.target}; it was removed",
                where=str(out),
                remedy="Try a format with more bits.",
            )
        return loss

    def _llama_cpp(self, measure: Callable[[], float], out: Path, against: str) -> float | None:
        reason = why_not_run("llama.cpp", self.file, self.config)
        if reason is not None:
            self.notes.append(f"not read back by llama.cpp: {reason}")
            return None
        kl = measure()
        if not kl <= LARGEST_DIFFERENCE:
            raise ExportError(
                f"llama.cpp reads the export {kl:.3g} nats from {against}, at most {LARGEST_DIFFERENCE:g} are "
                "allowed; it was removed",
                where=str(out),
            )
        return kl

    def _made(
        self,
        part: Path,
        out: Path,
        loss: float | None,
        kl: float | None,
        n_positions: int,
        fallbacks: tuple[str, ...] = (),
    ) -> Export:
        files = [path for path in part.rglob("*") if path.is_file()] if part.is_dir() else [part]
        size_bytes = sum(path.stat().st_size for path in files)
        return Export(
            self.kind, out, self.target, size_bytes, loss, kl, n_positions, fallbacks, tuple(self.notes)
        )
