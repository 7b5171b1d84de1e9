"""How the torch engine keeps a model's weights: float32, bfloat16, or 8 and 4 bits through bitsandbytes."""

import logging
from typing import Any

from homespun.engines.engine import EngineOptions
from homespun.engines.errors import EngineError
from homespun.engines.torch_model import INSTALL

#: What is in force, as facts state it.
NAMES = {"f32": "f32", "bf16": "bf16", "int8": "int8 weights (LLM.int8), bf16", "nf4": "nf4 weights, bf16"}


def chosen_precision(options: EngineOptions, device: str) -> str:
    """The precision in force: one of f32, bf16, int8, nf4.

    auto is float32 on a processor and in exact mode; on a GPU it is bfloat16, which halves the memory.

    Raises:
        EngineError: exact mode together with anything but float32.
    """
    if options.mode == "exact" and options.precision not in ("auto", "f32"):
        raise EngineError(
            f"precision {options.precision} is not exact",
            remedy="Leave exact mode, or leave the precision out.",
        )
    if options.precision != "auto":
        return options.precision
    return "f32" if device == "cpu" or options.mode == "exact" else "bf16"


def placed(model: Any, precision: str, device: str) -> Any:
    """The model with its weights in a precision, on a device.

    int8 and nf4 (Dettmers et al. 2022 and 2023) store the matrices of linear layers; embeddings, norms
    and the output head stay in bfloat16.

    Raises:
        EngineError: bitsandbytes is not installed, or cannot work on this device.
    """
    import torch

    if precision in ("int8", "nf4"):
        _quantize_linears(model.to(torch.bfloat16), precision)
    elif precision == "bf16":
        model = model.to(torch.bfloat16)
    try:
        return model.to(device)  # bitsandbytes packs the weights while they move
    except (RuntimeError, NotImplementedError, ValueError) as error:
        raise EngineError(f"{precision} weights do not work on {device} ({error})") from None


def _quantize_linears(model: Any, precision: str) -> None:
    from torch import nn

    bnb = _import_bitsandbytes()
    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and child is not head:
                setattr(parent, name, _quantized(bnb, child, precision))


def _quantized(bnb: Any, linear: Any, precision: str) -> Any:
    import torch

    sizes = (linear.in_features, linear.out_features)
    has_bias = linear.bias is not None
    if precision == "int8":
        made = bnb.nn.Linear8bitLt(*sizes, bias=has_bias, has_fp16_weights=False)
        made.weight = bnb.nn.Int8Params(linear.weight.data, requires_grad=False, has_fp16_weights=False)
    else:
        made = bnb.nn.Linear4bit(
            *sizes, bias=has_bias, compute_dtype=torch.bfloat16, quant_type="nf4", compress_statistics=True
        )
        made.weight = bnb.nn.Params4bit(
            linear.weight.data, requires_grad=False, quant_type="nf4", compress_statistics=True
        )
    if has_bias:
        made.bias = torch.nn.Parameter(linear.bias.data, requires_grad=False)
    return made


def _import_bitsandbytes() -> Any:
    # It warns on processors that it looked for faster kernels elsewhere, which nobody is to install.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        import bitsandbytes
    except ImportError:
        raise EngineError(
            "int8 and nf4 weights need bitsandbytes, which is not installed", remedy=INSTALL
        ) from None
    return bitsandbytes
