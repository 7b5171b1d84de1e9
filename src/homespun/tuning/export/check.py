"""An export read back by the programs that will read it, against torch with the base and its adapter."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.engines.engine import EngineOptions, FloatArray
from homespun.engines.probe import probe_ids
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.receipt import kept_samples
from homespun.tuning.receipt_rows import Sample, mean_kl, rows_at, rows_of
from homespun.tuning.receipt_torch import TrainedSide

#: Nats that a merged file may lose against base + adapter in float32; beyond, something is off.
LARGEST_LOSS = {"F32": 1e-4, "F16": 0.001, "BF16": 0.02, "Q8_0": 0.03}
LARGEST_OTHER_LOSS = 1.0
#: Nats between llama.cpp and torch on the very same file.
LARGEST_DIFFERENCE = 0.05

_EXACT = EngineOptions(mode="exact", device="cpu")
_N_LLAMA_CPP = 6  # samples, at two places each
_PROBE_TOKENS, _PROBE_STEP = 160, 8


@dataclass(frozen=True)
class Reference:
    """What torch gives for base + adapter at the samples' places."""

    samples: tuple[Sample, ...]
    rows: tuple[FloatArray, ...]


def reference(model: Path, adapter: Path, tokenizer: Tokenizer) -> Reference:
    """Computed on the receipt's samples; on the project's probe text where there is no receipt."""
    samples = kept_samples(adapter)
    if not samples:
        ids = tuple(probe_ids(tokenizer, _PROBE_TOKENS))
        samples = [Sample(ids, tuple(range(_PROBE_STEP, len(ids), _PROBE_STEP)))]
    with TrainedSide(model, adapter) as side:
        side.load()
        return Reference(tuple(samples), tuple(side.rows(samples, tuned=True)))


def torch_rows(path: Path, samples: Sequence[Sample]) -> list[FloatArray]:
    """What torch in float32 gives for a file or folder by itself."""
    from homespun.engines.torch_engine import TorchEngine

    with TorchEngine(path, _EXACT) as engine:
        return [rows_of(engine, sample, None) for sample in samples]


def llama_cpp_kl(
    model: Path, against: Sequence[FloatArray], samples: Sequence[Sample], adapter: Path | None = None
) -> float:
    """Mean KL of llama.cpp to some rows, at the first and last place of some samples.

    Args:
        adapter: an adapter GGUF that is put on the model.
    """
    from homespun.engines.llama_cpp import LlamaCppEngine

    longest = max(len(sample.token_ids) for sample in samples)
    window = (longest // 256 + 1) * 256
    few, wanted = [], []
    for number in range(0, len(samples), max(len(samples) // _N_LLAMA_CPP, 1)):
        places = samples[number].places
        kept = sorted({0, len(places) - 1})
        few.append(Sample(samples[number].token_ids, tuple(places[k] for k in kept)))
        wanted.append(against[number][kept])
    with LlamaCppEngine(model, EngineOptions(mode="exact", window=window, cache_tokens=2 * window)) as engine:
        if adapter is not None:
            engine.load_adapter_file("export", adapter)
        name = None if adapter is None else "export"
        return mean_kl(wanted, [rows_at(engine, sample, name) for sample in few])
