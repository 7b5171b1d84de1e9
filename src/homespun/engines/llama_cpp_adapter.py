"""A PEFT LoRA folder as the adapter GGUF that llama.cpp reads."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from homespun.engines.openvino.bank import LowRank, site_groups
from homespun.engines.row_order import to_half_order
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile


def write_adapter_gguf(pairs: Mapping[str, LowRank], file: GGUFFile, config: ModelConfig, path: Path) -> None:
    """Write an adapter's pairs for llama.cpp.

    The scale is in B already, which alpha 0 tells llama.cpp. The rows of B of llama's q and k go back into
    ggml's interleaved order, in which their weights are.
    """
    import gguf

    sites = {
        s.name: s for layer in range(config.n_layers) for group in site_groups(file, layer) for s in group
    }
    writer = gguf.GGUFWriter(str(path), config.architecture)
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 0.0)
    for name, pair in pairs.items():
        site = sites[name]
        b = pair.b
        order = to_half_order(config, site.gguf_name, site.n_rows)
        if order is not None:
            b = b[np.argsort(order)]
        writer.add_tensor(f"{site.gguf_name}.weight.lora_a", np.ascontiguousarray(pair.a, np.float32))
        writer.add_tensor(f"{site.gguf_name}.weight.lora_b", np.ascontiguousarray(b, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
