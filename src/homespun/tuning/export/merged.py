"""A base model with its adapter added into the weights, as one GGUF in a format of one's choice."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homespun.engines.openvino.bank import Floats, LowRank, site_groups
from homespun.engines.row_order import to_half_order
from homespun.models.config import ModelConfig
from homespun.models.convert_formats import TARGETS, fitting_format, packed, stored_shape, wanted_format
from homespun.models.gguf import GGUFFile
from homespun.models.storage import check_free_space
from homespun.progress import Progress, no_progress
from homespun.tuning.errors import ExportError

#: Of the source's metadata, what the new file says in its own way.
_OWN = frozenset(("general.file_type", "general.quantization_version", "split.no", "split.count"))
_OWN_START = ("GGUF.", "split.")


@dataclass(frozen=True)
class MergedFile:
    """How many tensors have each format, and the matrices that could not have theirs."""

    formats: Mapping[str, int]
    fallbacks: tuple[str, ...]


def merged_values(
    file: GGUFFile, config: ModelConfig, pairs: Mapping[str, LowRank]
) -> Callable[[str], Floats]:
    """Gives a tensor's values with the adapter's change added, in the file's own row order."""
    sites = {
        f"{site.gguf_name}.weight": site
        for layer in range(config.n_layers)
        for group in site_groups(file, layer)
        for site in group
        if site.name in pairs
    }

    def values(name: str) -> Floats:
        found = file.dequantize(name)
        site = sites.get(name)
        if site is None:
            return found
        pair = pairs[site.name]
        change = (pair.b.astype(np.float64) @ pair.a.astype(np.float64)).astype(np.float32)
        order = to_half_order(config, site.gguf_name, site.n_rows)
        if order is not None:
            change = change[np.argsort(order)]
        merged: Floats = found + change
        return merged

    return values


def write_merged_gguf(
    file: GGUFFile,
    config: ModelConfig,
    pairs: Mapping[str, LowRank],
    target: str,
    path: Path,
    name: str,
    progress: Progress = no_progress,
) -> MergedFile:
    """Write the base with its adapter added. See `write_changed_gguf`."""
    return write_changed_gguf(file, config, merged_values(file, config, pairs), target, path, name, progress)


def write_changed_gguf(
    file: GGUFFile,
    config: ModelConfig,
    values: Callable[[str], Floats],
    target: str,
    path: Path,
    name: str,
    progress: Progress = no_progress,
) -> MergedFile:
    """Write a model with other values; metadata, tokenizer and template are the source's.

    Args:
        values: gives each tensor in float32, in the file's own row order.
        target: one of `convert_formats.TARGETS`.
        name: what the file calls itself.

    Raises:
        ExportError: an unknown format, or values that the format cannot hold.
        HomeError: not enough room.
    """
    import gguf

    if target not in TARGETS:
        raise ExportError(f"format {target!r} is not one of {', '.join(TARGETS)}")
    formats, fallbacks = tensor_formats(file, config, target)
    sizes = {tensor: stored_shape(info.shape, formats[tensor]) for tensor, info in file.tensors.items()}
    check_free_space(path.parent, sum(int(np.prod(shape)) for shape in sizes.values()))
    writer = gguf.GGUFWriter(str(path), config.architecture)
    try:
        _copy_metadata(writer, file, name)
        writer.add_file_type(gguf.LlamaFileType[TARGETS[target].file_type])
        writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
        for tensor, shape in sizes.items():
            writer.add_tensor_info(
                tensor,
                shape,
                np.dtype(np.uint8),
                int(np.prod(shape)),
                raw_dtype=gguf.GGMLQuantizationType[formats[tensor]],
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for number, tensor in enumerate(sizes):
            progress("merging", number, len(sizes))
            merged = values(tensor)
            if formats[tensor] == "F16" and np.abs(merged).max(initial=0) > np.finfo(np.float16).max:
                raise ExportError(
                    f"tensor {tensor} holds values beyond what F16 can", remedy="Export to BF16 or Q8_0."
                )
            writer.write_tensor_data(packed(merged.reshape(file.tensors[tensor].shape), formats[tensor]))
        progress("merging", len(sizes), len(sizes))
    finally:
        writer.close()
    return MergedFile(dict(Counter(formats.values())), fallbacks)


def tensor_formats(
    file: GGUFFile, config: ModelConfig, target: str
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The format of each tensor of a written file, and a sentence for each that cannot have the wanted one."""
    formats, fallbacks = {}, []
    for name, info in file.tensors.items():
        if len(info.shape) == 1:
            formats[name] = "F32"
            continue
        wanted = wanted_format(TARGETS[target], name, config.n_layers, is_tied=config.tied_head)
        formats[name] = fitting_format(wanted, info.shape[-1])
        if formats[name] != wanted:
            fallbacks.append(f"{name}: {formats[name]} instead of {wanted}")
    return formats, tuple(fallbacks)


def _copy_metadata(writer: Any, file: GGUFFile, name: str) -> None:
    """Every key and value of the source, with its type, but for what the new file says itself."""
    import gguf

    reader = gguf.GGUFReader(str(file.path))
    for field in reader.fields.values():
        key = field.name
        if key in _OWN or key.startswith(_OWN_START) or key == "general.architecture":
            continue
        value = name if key == "general.name" else field.contents()
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        if inner is not None and not len(value):
            continue
        writer.add_key_value(key, value, kind, inner)
    if "general.name" not in reader.fields:
        writer.add_name(name)
