"""A Hugging Face folder written as one GGUF file, in a format of one's choice.

The file appears under its name only when it is whole: it is written under a temporary one, read back with
`read_gguf`, and its tokenizer compared with the folder's.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from homespun.models.convert_config import FolderConfig, read_config
from homespun.models.convert_formats import (
    TARGETS,
    Target,
    fitting_format,
    packed,
    stored_shape,
    wanted_format,
)
from homespun.models.convert_tensors import PlannedTensor, plan_tensors, read_values
from homespun.models.convert_tokenizer import add_tokenizer, check_same
from homespun.models.errors import ModelFileError
from homespun.models.folder import ModelFolder
from homespun.models.gguf import read_gguf
from homespun.models.storage import check_free_space, disk_error, flush_folder
from homespun.models.tokenizer import Tokenizer
from homespun.progress import Progress, no_progress

_MAX_F16 = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class Conversion:
    """A written file.

    Attributes:
        path: where it is.
        target: the format that was asked for.
        size_bytes: of the file.
        formats: how many tensors have each format.
        fallbacks: matrices that could not have their format, as "name: Q5_0 instead of Q4_K".
        notes: what else a person should know.
    """

    path: Path
    target: str
    size_bytes: int
    formats: Mapping[str, int]
    fallbacks: tuple[str, ...]
    notes: tuple[str, ...]


def convert_folder(
    folder: ModelFolder, target: str, out_path: Path, progress: Progress = no_progress
) -> Conversion:
    """Write a folder as a GGUF.

    Args:
        target: one of `convert_formats.TARGETS`.
        out_path: the file to make; there must be none yet.

    Raises:
        ModelFileError: an unknown format, an architecture or switch that is not converted, a file that is
            there already.
        TokenizerError: a tokenizer that does not belong to the model or cannot be said in a GGUF.
        HomeError: not enough room on the disk.
    """
    if target not in TARGETS:
        raise ModelFileError(f"format {target!r} is not one of {', '.join(TARGETS)}")
    if out_path.exists():
        raise ModelFileError("there is a file of that name already", where=str(out_path))
    config = read_config(folder)
    tokenizer = Tokenizer.from_folder(folder)
    planned = plan_tensors(folder, config)
    formats, fallbacks = _choose_formats(planned, TARGETS[target], config)
    sizes = [int(np.prod(stored_shape(tensor.shape, formats[tensor.name]))) for tensor in planned]
    if not out_path.parent.is_dir():
        raise ModelFileError("there is no such folder to write into", where=str(out_path.parent))
    check_free_space(out_path.parent, sum(sizes))
    part_path = out_path.with_name(f".{out_path.name}.{os.getpid()}.part")
    try:
        notes = _write(part_path, folder, config, tokenizer, planned, formats, TARGETS[target], progress)
        written = read_gguf(part_path)
        check_same(tokenizer, Tokenizer.from_gguf(written), str(folder.path))
        part_path.replace(out_path)
    except OSError as error:
        raise disk_error(error, out_path) from error
    finally:
        part_path.unlink(missing_ok=True)
    flush_folder(out_path.parent)
    return Conversion(
        out_path, target, out_path.stat().st_size, dict(Counter(formats.values())), fallbacks, notes
    )


def _choose_formats(
    planned: list[PlannedTensor], target: Target, config: FolderConfig
) -> tuple[dict[str, str], tuple[str, ...]]:
    formats, fallbacks = {}, []
    for tensor in planned:
        if len(tensor.shape) == 1:
            formats[tensor.name] = "F32"
            continue
        wanted = wanted_format(target, tensor.name, config.n_layers, is_tied=config.is_tied)
        formats[tensor.name] = fitting_format(wanted, tensor.shape[-1])
        if formats[tensor.name] != wanted:
            fallbacks.append(f"{tensor.name}: {formats[tensor.name]} instead of {wanted}")
    return formats, tuple(fallbacks)


def _write(
    part_path: Path,
    folder: ModelFolder,
    config: FolderConfig,
    tokenizer: Tokenizer,
    planned: list[PlannedTensor],
    formats: Mapping[str, str],
    target: Target,
    progress: Progress,
) -> tuple[str, ...]:
    import gguf

    writer = gguf.GGUFWriter(str(part_path), config.architecture)
    try:
        _add_metadata(writer, folder, config, target)
        notes = add_tokenizer(writer, folder, tokenizer)
        for tensor in planned:
            kind = formats[tensor.name]
            shape = stored_shape(tensor.shape, kind)
            writer.add_tensor_info(
                tensor.name,
                shape,
                np.dtype(np.uint8),
                int(np.prod(shape)),
                raw_dtype=gguf.GGMLQuantizationType[kind],
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for number, tensor in enumerate(planned):
            progress("converting tensors", number, len(planned))
            values = read_values(tensor, config)
            _check_range(tensor, values, formats[tensor.name], folder)
            writer.write_tensor_data(packed(values, formats[tensor.name]))
        progress("converting tensors", len(planned), len(planned))
    finally:
        writer.close()
    return notes


def _check_range(tensor: PlannedTensor, values: Any, kind: str, folder: ModelFolder) -> None:
    if kind == "F16" and np.abs(values).max(initial=0) > _MAX_F16:
        raise ModelFileError(
            f"tensor {tensor.source_name} holds values beyond what F16 can",
            where=str(folder.path),
            remedy="Convert to BF16 or Q8_0.",
        )


def _add_metadata(writer: Any, folder: ModelFolder, config: FolderConfig, target: Target) -> None:
    import gguf

    writer.add_name(folder.path.resolve().name)
    writer.add_file_type(gguf.LlamaFileType[target.file_type])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_block_count(config.n_layers)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.ffn_size)
    writer.add_head_count(config.n_heads)
    writer.add_head_count_kv(config.n_kv_heads)
    writer.add_key_length(config.head_size)
    writer.add_value_length(config.head_size)
    writer.add_layer_norm_rms_eps(config.rms_eps)
    writer.add_vocab_size(folder.vocab_size)
    writer.add_rope_dimension_count(config.head_size)
    writer.add_rope_freq_base(config.rope_theta)
    if config.rope_linear is not None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_linear)
    if config.sliding_window is not None:
        writer.add_sliding_window(config.sliding_window)
    if config.rope_theta_local is not None:
        writer.add_rope_freq_base_swa(config.rope_theta_local)
