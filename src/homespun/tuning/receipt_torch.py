"""The side of training: torch in float32 with the adapter as PEFT applies it, its weights, and its variants."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.engine import EngineOptions, FloatArray
from homespun.engines.sampling import log_softmax
from homespun.engines.torch_engine import TorchEngine
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile
from homespun.tuning.receipt_rows import Sample

#: What becomes of an adapter's B (rows, r) at a site.
Change = Callable[[str, Any], Any]

_NAME = "trained"
_EXACT = EngineOptions(mode="exact", device="cpu")
_WHOLE_BELOW = 1_000_000_000  # parameters; of larger models some rows of each tensor are compared
_SOME_ROWS = 64
_AT_ONCE = 12  # examples in one pass


class TrainedSide:
    """Use it in a `with` block.

    Raises:
        EngineError: torch or peft is not installed.
        AdapterError: an adapter that does not fit the model.
    """

    def __init__(self, model: Path, adapter: Path) -> None:
        self.engine = TorchEngine(model, _EXACT)
        self._path = adapter

    def __enter__(self) -> "TrainedSide":
        return self

    def __exit__(self, *error: object) -> None:
        self.engine.close()

    def load(self) -> None:
        """Put the adapter in. (Weights are checked before, on the bare model.)"""
        self.engine.load_adapter(_NAME, self._path)

    def rows(self, samples: Sequence[Sample], *, tuned: bool) -> list[FloatArray]:
        """Log-probabilities (places, n_vocab) of each sample."""
        rows: list[FloatArray] = []
        for start in range(0, len(samples), _AT_ONCE):
            rows += self._batch(samples[start : start + _AT_ONCE], tuned=tuned)
        return rows

    def _batch(self, samples: Sequence[Sample], *, tuned: bool) -> list[FloatArray]:
        """One pass; what is padded stands behind, where causal attention does not see it."""
        import torch

        module = self.engine.module
        whole = module.get_base_model()
        ids = torch.zeros((len(samples), max(len(sample.token_ids) for sample in samples)), dtype=torch.long)
        for number, sample in enumerate(samples):
            ids[number, : len(sample.token_ids)] = torch.tensor(sample.token_ids)
        with torch.inference_mode(), nullcontext() if tuned else module.disable_adapter():
            hidden = whole.model(input_ids=ids, use_cache=False).last_hidden_state
            return [
                log_softmax(whole.lm_head(hidden[number, [p - 1 for p in sample.places]]).numpy())
                for number, sample in enumerate(samples)
            ]

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        """The adapter with another B at each site, for a while."""
        kept = []
        for site, weight in self._bs():
            kept.append((weight, weight.data))
            weight.data = change(site, weight.data)
        try:
            yield
        finally:
            for weight, data in kept:
                weight.data = data

    @property
    def sites(self) -> list[str]:
        """PEFT names of the layers that PEFT changes."""
        return [site for site, _ in self._bs()]

    def _bs(self) -> list[tuple[str, Any]]:
        found = []
        for name, module in self.engine.module.named_modules():
            if hasattr(module, "lora_B") and len(module.lora_B):
                found.append(
                    (name.removeprefix("base_model.model."), next(iter(module.lora_B.values())).weight)
                )
        return found


def wrong_weights(engine: TorchEngine, file: GGUFFile, config: ModelConfig) -> tuple[int, list[str]]:
    """Every tensor of the file, read by gguf's own reader and quantizer, against torch's parameter.

    Returns:
        How many were compared, and the names of those that differ.
    """
    import gguf

    names = gguf.get_tensor_name_map(_architecture(config.architecture), config.n_layers)
    parameters = {}
    for name, parameter in engine.module.named_parameters():
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is not None:
            parameters[known] = parameter.data.numpy()
    whole = sum(values.size for values in parameters.values()) < _WHOLE_BELOW
    checked, wrong = 0, []
    for path in file.paths:
        for tensor in gguf.GGUFReader(str(path)).tensors:
            if tensor.name == "rope_freqs.weight":
                continue
            checked += 1
            if not _is_same(tensor, parameters.get(tensor.name), config, whole=whole):
                wrong.append(tensor.name)
    return checked, wrong


def _architecture(name: str) -> Any:
    import gguf

    return next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == name)


def _is_same(tensor: Any, found: Any, config: ModelConfig, *, whole: bool) -> bool:
    import gguf

    if found is None:
        return False
    rows = len(found) if whole or found.ndim == 1 else min(_SOME_ROWS, len(found))
    kind = tensor.name.split(".")[-2]
    heads = {"attn_q": config.n_heads, "attn_k": config.n_kv_heads}.get(kind)
    if heads is not None and config.architecture == "llama":
        rows = len(found)  # heads are whole
        half = rows // heads // 2
        found = found.reshape(heads, 2, half, *found.shape[1:]).swapaxes(1, 2).reshape(found.shape)
    if config.architecture == "gemma3" and kind.endswith("norm"):
        found = found + np.float32(1)
    data = tensor.data if found.ndim == 1 else tensor.data[:rows]
    values = gguf.quants.dequantize(data, tensor.tensor_type).reshape(found[:rows].shape)
    if config.architecture == "gemma3" and kind.endswith("norm"):  # the 1 was taken off, which rounds
        return bool(np.allclose(values, found[:rows], rtol=0, atol=1e-5))
    return bool(np.array_equal(values, found[:rows]))


def scaled(factor: float) -> Change:
    """All of the adapter's change, multiplied."""
    return lambda _, b: b * factor


def without(is_left_out: Callable[[str], bool]) -> Change:
    """The adapter without its change at some sites."""
    return lambda site, b: b * 0 if is_left_out(site) else b


def reordered(orders: Mapping[str, Any]) -> Change:
    """Rows of B in another order at some kinds of layer."""

    def change(site: str, b: Any) -> Any:
        order = orders.get(site.rsplit(".", 1)[-1])
        return b if order is None else b[order]

    return change
