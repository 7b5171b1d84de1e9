"""A GGUF model as a transformers model in float32, every weight unpacked exactly.

The config is written and the weights are placed here, not by transformers' own GGUF reader, so that a
tensor without a place is an error. transformers' reader is an oracle of the tests.
"""

from typing import Any

import numpy as np

from homespun.engines.errors import EngineError
from homespun.engines.families import unknown_structure
from homespun.engines.row_order import to_half_order
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile

INSTALL = 'Run: pip install "homespun[tune]"'

_CLASSES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM"),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
}
#: GGUF name within a layer -> transformers' name.
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def import_torch() -> Any:
    """The torch module, with transformers there too.

    Raises:
        EngineError: one of them is not installed.
    """
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise EngineError(
            f"the torch engine needs {error.name}, which is not installed", remedy=INSTALL
        ) from None
    return torch


def build_model(file: GGUFFile, config: ModelConfig, device: str) -> Any:
    """The transformers model of a file, in float32 on a device, ready to run.

    Raises:
        EngineError: a structure that is not built here, or a missing or surplus tensor.
    """
    torch = import_torch()
    reason = unknown_structure(file, config)
    if reason:
        raise EngineError(reason, where=str(file.path), remedy="Run it with --engine llama.cpp.")
    with torch.device("meta"):
        model = _empty_model(config)
    for name in file.tensors:
        if name != "rope_freqs.weight":
            _place(model, file, config, name)
    if config.tied_head:
        model.lm_head.weight = model.model.embed_tokens.weight
    missing = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if missing:
        raise EngineError(f"the file has no tensor for {missing[0]}", where=str(file.path))
    _set_frequencies(model, file, config)
    return model.eval().requires_grad_(False).to(device)


def _empty_model(config: ModelConfig) -> Any:
    import transformers

    config_name, class_name = _CLASSES[config.architecture]
    theirs = getattr(transformers, config_name)(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.ffn_size,
        num_hidden_layers=config.n_layers,
        num_attention_heads=config.n_heads,
        num_key_value_heads=config.n_kv_heads,
        head_dim=config.head_size,
        max_position_embeddings=config.context_length,
        rms_norm_eps=config.rms_eps,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        tie_word_embeddings=config.tied_head,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    return getattr(transformers, class_name)._from_config(theirs, attn_implementation="sdpa")


def _place(model: Any, file: GGUFFile, config: ModelConfig, name: str) -> None:
    import torch

    stem, kind = name.rsplit(".", 1)
    if stem.startswith("blk."):
        _, layer, part = stem.split(".")
        path = f"model.layers.{layer}.{_LAYER_NAMES[part]}"
    else:
        path = _NAMES[stem]
    try:
        module = model.get_submodule(path)
    except AttributeError:
        raise EngineError(f"tensor {name} has no place in the model", where=str(file.path)) from None
    values = file.dequantize(name)
    order = to_half_order(config, stem, values.shape[0])
    if order is not None:
        values = values[order]
    values = np.array(values)  # float32 tensors come as a view of the file, which torch must not hold
    # A bias that the class has not is simply added: nn.Linear uses one wherever it is set.
    setattr(module, kind, torch.nn.Parameter(torch.from_numpy(values), requires_grad=False))


def _set_frequencies(model: Any, file: GGUFFile, config: ModelConfig) -> None:
    """The rotary frequencies, with the file's own factors where it brings them (llama 3.1)."""
    import torch

    exponents = np.arange(0, config.rope_dim, 2, dtype=np.float64) / config.rope_dim
    frequencies = config.rope_theta**-exponents
    if "rope_freqs.weight" in file.tensors:
        frequencies = frequencies / file.dequantize("rope_freqs.weight").reshape(-1).astype(np.float64)
    rotary = model.model.rotary_emb
    for name in ("inv_freq", "original_inv_freq"):
        rotary.register_buffer(name, torch.tensor(frequencies, dtype=torch.float32), persistent=False)
