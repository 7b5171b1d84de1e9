"""A GGUF model as a transformers model in float32, every weight unpacked exactly.

The config is written and the weights are placed here, not by transformers' own GGUF reader, so that a
tensor without a place is an error. transformers' reader is an oracle of the tests.
"""

import logging
import warnings
from typing import Any

import numpy as np

from homespun.engines.errors import EngineError
from homespun.engines.families import FAMILIES, unknown_structure
from homespun.engines.rotary import rotary_frequencies
from homespun.engines.row_order import to_half_order
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile

INSTALL = 'Run: pip install "homespun[tune]"'

_CLASSES = {
    "llama": ("LlamaConfig", "LlamaForCausalLM"),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM"),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM"),
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
_GEMMA_NAMES = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
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


def import_peft() -> Any:
    """The peft module; what its own imports say about optional kernels is no concern of a user.

    Raises:
        EngineError: it is not installed.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
    try:
        import peft
    except ImportError:
        raise EngineError("adapters need peft, which is not installed", remedy=INSTALL) from None
    return peft


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
    if FAMILIES[config.architecture].scales_embedding:
        model.model.embed_tokens.embed_scale = torch.tensor(config.hidden_size**0.5, dtype=torch.float32)
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
        rope_parameters=_rope_parameters(config),
        tie_word_embeddings=config.tied_head,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        **_window_settings(config),
    )
    return getattr(transformers, class_name)._from_config(theirs, attn_implementation="sdpa")


def _place(model: Any, file: GGUFFile, config: ModelConfig, name: str) -> None:
    import torch

    stem, kind = name.rsplit(".", 1)
    if stem.startswith("blk."):
        _, layer, part = stem.split(".")
        names = {**_LAYER_NAMES, **_GEMMA_NAMES} if config.architecture == "gemma3" else _LAYER_NAMES
        path = f"model.layers.{layer}.{names[part]}"
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
    if FAMILIES[config.architecture].norms_add_one and stem.endswith("_norm"):
        values = values - np.float32(1)
    values = np.array(values)  # float32 tensors come as a view of the file, which torch must not hold
    # A bias that the class has not is simply added: nn.Linear uses one wherever it is set.
    setattr(module, kind, torch.nn.Parameter(torch.from_numpy(values), requires_grad=False))


def _rope_parameters(config: ModelConfig) -> dict[str, Any]:
    """Placeholders: the frequencies are set afterwards."""
    plain = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.architecture != "gemma3":
        return plain
    return {"full_attention": plain, "sliding_attention": {**plain, "rope_theta": config.local_rope_theta}}


def _window_settings(config: ModelConfig) -> dict[str, Any]:
    if config.architecture != "gemma3":
        return {}
    kinds = ["sliding_attention" if config.is_local(i) else "full_attention" for i in range(config.n_layers)]
    return {
        "sliding_window": config.sliding_window,
        "layer_types": kinds,
        "query_pre_attn_scalar": config.head_size,
    }


def _set_frequencies(model: Any, file: GGUFFile, config: ModelConfig) -> None:
    """The rotary frequencies, with the file's own factors where it brings them (llama 3.1)."""
    import torch

    factors = None
    if "rope_freqs.weight" in file.tensors:
        factors = file.dequantize("rope_freqs.weight").reshape(-1)
    rotary = model.model.rotary_emb
    kinds = {"": False}
    if config.architecture == "gemma3":
        kinds = {"full_attention_": False, "sliding_attention_": True}
    for prefix, is_local in kinds.items():
        frequencies = rotary_frequencies(config, factors, is_local=is_local)
        for name in (f"{prefix}inv_freq", f"{prefix}original_inv_freq"):
            rotary.register_buffer(name, torch.tensor(frequencies, dtype=torch.float32), persistent=False)
