"""Random PEFT LoRA folders, strong enough to change answers."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from homespun.engines.openvino.bank import site_groups
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf


def write_adapter(folder: Path, model: Path, rank: int, modules: Sequence[str], *, seed: int) -> Path:
    """A folder as PEFT writes it, over the named modules of every layer."""
    from safetensors.numpy import save_file

    file = read_gguf(model)
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in range(ModelConfig.from_gguf(file).n_layers):
        for group in site_groups(file, layer):
            for site in group:
                if site.name.rsplit(".", 1)[-1] not in modules:
                    continue
                stem = f"base_model.model.{site.name}"
                a = random.normal(0, 1 / np.sqrt(site.n_columns), (rank, site.n_columns))
                b = random.normal(0, 0.05, (site.n_rows, rank))
                tensors[f"{stem}.lora_A.weight"] = a.astype(np.float32)
                tensors[f"{stem}.lora_B.weight"] = b.astype(np.float32)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": model.name,
        "r": rank,
        "lora_alpha": 2 * rank,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(modules),
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder
