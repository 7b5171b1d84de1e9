"""Whether a GGUF's metadata can be true: entries of the right kind, sizes that are believable.

What reads the metadata later, native code above all, takes these entries as they are.
"""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from homespun.models.errors import ModelFileError
from homespun.models.header import TensorInfo

__all__ = ["check_metadata", "check_vocabulary"]

_REMEDY = "The file is damaged or made by a faulty tool: get it again."

#: Metadata that sizes something, without the architecture in front, and what is still believable.
_SIZES: dict[str, tuple[int, int]] = {
    "block_count": (1, 10_000),
    "embedding_length": (1, 1_000_000),
    "feed_forward_length": (0, 10_000_000),
    "context_length": (1, 50_000_000),
    "vocab_size": (1, 100_000_000),
    "attention.head_count": (0, 100_000),
    "attention.head_count_kv": (0, 100_000),
    "attention.sliding_window": (0, 2**32 - 1),
    "attention.key_length": (1, 1_000_000),
    "attention.value_length": (1, 1_000_000),
    "rope.dimension_count": (0, 1_000_000),
    "rope.scaling.original_context_length": (0, 1_000_000_000),
}
#: The same for real numbers; a base of 0 has no angles.
_REALS: dict[str, tuple[float, float]] = {
    "rope.freq_base": (1e-6, 1e15),
    "rope.freq_base_swa": (1e-6, 1e15),
    "rope.scaling.factor": (0, 1e6),
    "rope.scale_linear": (0, 1e6),
    "rope.scaling.attn_factor": (0, 1e6),
    "rope.scaling.yarn_log_multiplier": (-1e6, 1e6),
    "attention.layer_norm_rms_epsilon": (0, 1),
    "attention.layer_norm_epsilon": (0, 1),
}
#: Entries of the tokenizer that are single whole numbers, and lists of numbers, where they are there.
_WHOLE = tuple(f"{name}_token_id" for name in ("bos", "eos", "eot", "eom", "unknown", "padding"))
_FLAGS = ("add_bos_token", "add_eos_token", "add_space_prefix")
_NUMBER_LISTS = ("token_type", "scores")
_TEXT_LISTS = ("tokens", "merges")


def check_metadata(metadata: Mapping[str, Any], path: Path) -> None:
    """Refuse entries that no model can have.

    Raises:
        ModelFileError: a wrong kind, or a size that is absurd.
    """
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise ModelFileError(
            "the file does not say what kind of model it is (general.architecture)",
            where=str(path),
            remedy="Get the model from its publisher again.",
        )
    for name, (least, most) in _SIZES.items():
        key = f"{architecture}.{name}"
        for number in _items(metadata.get(key)):
            if not isinstance(number, int) or not least <= number <= most:
                raise _absurd(key, number, f"only {least:,} to {most:,} makes sense", path)
    for name, (low, high) in _REALS.items():
        key = f"{architecture}.{name}"
        for number in _items(metadata.get(key)):
            if not isinstance(number, int | float) or not math.isfinite(number) or not low <= number <= high:
                raise _absurd(key, number, f"only {low:g} to {high:g} makes sense", path)
    _check_tokenizer(metadata, path)


def _items(value: Any) -> list[Any]:
    """A value, or those of an array that has one for each layer."""
    if isinstance(value, np.ndarray):
        return list(value.tolist())
    return value if isinstance(value, list) else [] if value is None else [value]


def _absurd(key: str, found: Any, but: str, path: Path) -> ModelFileError:
    shown = repr(found)
    shown = shown if len(shown) <= 80 else f"{shown[:80]}..."
    return ModelFileError(f"{key} is {shown}, but {but}", where=str(path), remedy=_REMEDY)


def _check_tokenizer(metadata: Mapping[str, Any], path: Path) -> None:
    def entry(name: str) -> Any:
        return metadata.get(f"tokenizer.ggml.{name}")

    for name in _WHOLE:
        if entry(name) is not None and type(entry(name)) is not int:
            raise _absurd(f"tokenizer.ggml.{name}", entry(name), "it must be a whole number", path)
    for name in _FLAGS:
        if entry(name) is not None and not isinstance(entry(name), int):
            raise _absurd(f"tokenizer.ggml.{name}", entry(name), "it must be true or false", path)
    for name in _NUMBER_LISTS:
        if entry(name) is not None and not isinstance(entry(name), np.ndarray):
            raise _absurd(f"tokenizer.ggml.{name}", entry(name), "it must be a list of numbers", path)
    for name in _TEXT_LISTS:
        found = entry(name)
        if found is None or (isinstance(found, np.ndarray) and not len(found)):
            continue
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise _absurd(f"tokenizer.ggml.{name}", found, "it must be a list of texts", path)


def check_vocabulary(metadata: Mapping[str, Any], tensors: Mapping[str, TensorInfo], path: Path) -> None:
    """A token without a row would be read outside of the embedding table; llama.cpp aborts on twins.

    Raises:
        ModelFileError: more tokens than rows, or a token that is there twice.
    """
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list):
        return
    embedding = tensors.get("token_embd.weight")
    if embedding is not None and len(embedding.shape) == 2 and len(tokens) > embedding.shape[0]:
        raise ModelFileError(
            f"the vocabulary has {len(tokens):,} tokens, but the embedding table "
            f"only {embedding.shape[0]:,} rows",
            where=str(path),
            remedy=_REMEDY,
        )
    if len(set(tokens)) < len(tokens):
        twin, count = Counter(token for token in tokens if token).most_common(1)[0]
        if count > 1:
            raise ModelFileError(
                f"the token {twin!r} is {count} times in the vocabulary", where=str(path), remedy=_REMEDY
            )
