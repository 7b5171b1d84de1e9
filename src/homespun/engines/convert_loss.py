"""What a converted model lost: its distributions on the probe text against the folder's in float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from homespun.engines.engine import EngineOptions, FloatArray
from homespun.engines.families import unknown_structure
from homespun.engines.probe import mean_kl_nats, probe_ids
from homespun.engines.reference import reference_log_probabilities
from homespun.models.config import ModelConfig
from homespun.models.convert import Conversion, convert_folder
from homespun.models.folder import read_folder
from homespun.models.gguf import read_gguf
from homespun.progress import Progress, no_progress

PROBE_TOKENS = 256
UNSCORED_TOKENS = 64  # after so few, every model guesses

_EXACT = EngineOptions(mode="exact", device="cpu")


@dataclass(frozen=True)
class ConversionLoss:
    """How far the written file is from the folder.

    Attributes:
        mean_kl_nats: mean over positions of KL(folder in float32 || file), in nats.
        best_agreement: share of positions at which both have the same most probable token.
        n_positions: positions compared.
    """

    mean_kl_nats: float
    best_agreement: float
    n_positions: int


def convert_and_measure(
    folder_path: Path, target: str, out_path: Path, progress: Progress = no_progress
) -> tuple[Conversion, ConversionLoss]:
    """Write a folder as a GGUF and measure what that lost. See `convert_folder` for what is refused.

    Raises:
        EngineError: torch, which computes the folder's numbers, is not installed.
    """
    from homespun.engines.torch_model import import_torch

    import_torch()  # before the long work
    conversion = convert_folder(read_folder(folder_path), target, out_path, progress)
    return conversion, measure_loss(folder_path, conversion.path, progress)


def measure_loss(folder_path: Path, gguf_path: Path, progress: Progress = no_progress) -> ConversionLoss:
    """Compare a file with the folder that it was made of; one of them is in memory at a time."""
    from homespun.engines.torch_engine import TorchEngine

    progress("measuring the loss", 0, 2)
    with TorchEngine(folder_path, _EXACT) as engine:
        token_ids = probe_ids(engine.tokenizer, min(PROBE_TOKENS, engine.facts.window))
        last = max(len(token_ids) - UNSCORED_TOKENS, 1)
        reference = engine.distributions(token_ids, last=last)
    progress("measuring the loss", 1, 2)
    written = _file_rows(gguf_path, token_ids, last)
    progress("measuring the loss", 2, 2)
    return ConversionLoss(
        max(mean_kl_nats(reference, written), 0.0),
        float((reference.argmax(axis=1) == written.argmax(axis=1)).mean()),
        last,
    )


def _file_rows(path: Path, token_ids: Sequence[int], last: int) -> FloatArray:
    """What the stored numbers say in float32, by the torch engine or, where it does not build the model, numpy."""
    from homespun.engines.torch_engine import TorchEngine

    file = read_gguf(path)
    config = ModelConfig.from_gguf(file)
    if unknown_structure(file, config) is not None:
        return reference_log_probabilities(file, config, token_ids, last)
    with TorchEngine(path, _EXACT) as engine:
        return engine.distributions(token_ids, last=last)
