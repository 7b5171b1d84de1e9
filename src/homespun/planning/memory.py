"""What running, serving or tuning a model takes of memory, part by part.

Sizes of weights, keys and values, adapters, gradients and optimizer states are arithmetic. Buffers of llama.cpp
follow its own log (xllamacpp 2026.10, measured on two architectures with flash attention on and off, windows of
2,048 to 32,768); what the runtimes take beyond that was measured as peak memory, and `bench/plan.py` publishes
how far the sums are off.
"""

from dataclasses import dataclass

from homespun.planning.options import PlanOptions
from homespun.planning.shape import ModelShape
from homespun.sizing.memory import BACKWARD_SHARE, TUNING_RUNTIME_BYTES, activation_bytes
from homespun.tuning.defaults import TOKENS_AT_ONCE

DEFAULT_WINDOW = 8192
DEFAULT_CLIENTS = {"run": 1, "serve": 4, "tune": 1}
#: Bytes of one number of keys and values; u8 adds a scale and a zero point (8 bytes) to each head's row.
_CACHE_BYTES = {"f32": 4, "f16": 2, "u8": 1}
_ROW_EXTRA = {"f32": 0, "f16": 0, "u8": 8}
# llama.cpp reads texts in steps of so many tokens, and its caches grow by so many cells.
_STEP_TOKENS = 512
_CELLS = 256
# engines/openvino/plan.py: tokens of a step while nobody waits for a next one.
_OPENVINO_STEP_TOKENS = 1024
# Measured peaks: the interpreter with each engine loaded, without a model.
_OPENVINO_RUNTIME_BYTES = 125_000_000
_LLAMA_CPP_RUNTIME_BYTES = 95_000_000
# What each further client of llama.cpp's server takes, measured.
_LLAMA_CPP_CLIENT_BYTES = 8_000_000
# A token of the vocabulary, measured: what OpenVINO's one process keeps of it, and what llama.cpp's two hold
# at most, for vocabularies of merges and of scores.
_TOKEN_BYTES = {"openvino": 750, "merges": 1_150, "scores": 1_640}
# OpenVINO keeps codes, scales and zero points, and packs them again for the processor at the first step.
_OPENVINO_COPIES = 2.2
# The starter's embedder and its graph, measured; dimensions of its vectors.
_EMBEDDER_BYTES = 180_000_000
_VECTOR_SIZE = 384


@dataclass(frozen=True)
class Part:
    """One share of the memory.

    Attributes:
        name: what it is.
        size_bytes: how much.
        rule: how that was counted.
    """

    name: str
    size_bytes: int
    rule: str


def count_parts(shape: ModelShape, engine: str, options: PlanOptions) -> tuple[Part, ...]:
    """All parts, for one engine ("openvino" or "llama.cpp"; tuning has its own)."""
    if options.use == "tune":
        return tuple(part for part in _tuning_parts(shape, options) if part.size_bytes)
    window, clients = planned_window(shape, options), planned_clients(options)
    precision = cache_precision(engine, options)
    parts = [
        *_engine_parts(shape, engine),
        Part(
            "keys and values",
            cache_bytes(shape, engine, precision, window, clients),
            f"{clients} x {window:,} tokens in {precision}, by layer: heads x (key + value), windows cut",
        ),
        _vocabulary(shape, engine),
        Part("recurrent states", shape.state_bytes * clients, "convolution and state of each text, float32"),
        Part("compute buffer", compute_bytes(shape, engine, options), _compute_rule(engine, options)),
        Part(
            "adapters",
            4 * options.adapters * adapter_values(shape, options.rank),
            f"{options.adapters} of rank {options.rank} beside every linear layer, float32",
        ),
        Part(
            "clients",
            _LLAMA_CPP_CLIENT_BYTES * (clients - 1) if engine == "llama.cpp" else 0,
            "each further one, measured",
        ),
        *_vision_parts(shape, options),
        *_library_parts(options),
    ]
    return tuple(part for part in parts if part.size_bytes)


def planned_window(shape: ModelShape, options: PlanOptions) -> int:
    """The window asked for, else 8,192 tokens or the model's own if that is less."""
    return options.window or min(DEFAULT_WINDOW, shape.context_length or DEFAULT_WINDOW)


def planned_clients(options: PlanOptions) -> int:
    """Texts at once."""
    return options.clients or DEFAULT_CLIENTS[options.use]


def cache_precision(engine: str, options: PlanOptions) -> str:
    """In what keys and values are kept."""
    if options.cache != "auto":
        return options.cache
    return "f32" if options.mode == "exact" else ("f16" if engine == "llama.cpp" else "u8")


def cache_bytes(shape: ModelShape, engine: str, precision: str, window: int, clients: int) -> int:
    """Keys and values of `clients` texts of `window` tokens each.

    llama.cpp keeps of a layer with a window only that many tokens and one step more, in cells of 256; OpenVINO's
    blocks keep all.
    """
    total = 0
    for layer in shape.kept:
        n_tokens = _rounded(window) if engine == "llama.cpp" else window
        if layer.window and engine == "llama.cpp":
            n_tokens = min(n_tokens, _rounded(layer.window + _STEP_TOKENS))
        extra = layer.n_kv_heads * _ROW_EXTRA[precision] * 2
        total += n_tokens * (layer.n_values * _CACHE_BYTES[precision] + extra)
    return total * clients


def compute_bytes(shape: ModelShape, engine: str, options: PlanOptions) -> int:
    """What a step works on.

    llama.cpp: rows of 512 tokens (three inner and five stream widths), the attention mask of each window in
    16 bits; without flash attention the scores of all heads in float32 too. OpenVINO: such rows of 1,024 tokens,
    and one stream width for each token of its caches.
    """
    hidden, ffn = shape.hidden_size, shape.ffn_size
    step = _STEP_TOKENS if engine == "llama.cpp" else _OPENVINO_STEP_TOKENS
    rows = 4 * step * (3 * ffn + 5 * hidden)
    if engine != "llama.cpp":
        return rows + 4 * hidden * planned_window(shape, options) * planned_clients(options)
    window = _rounded(planned_window(shape, options))
    spans = {min(window, _rounded(layer.window + step)) if layer.window else window for layer in shape.kept}
    logits = 4 * shape.vocab_size * planned_clients(options)
    if options.flash_attention and options.mode == "fast":
        return rows + 2 * step * sum(spans) + logits
    head_size = max((layer.key_size for layer in shape.kept), default=0)
    scores = 4 * step * (shape.n_heads + 1) * max(spans, default=0)
    masks = 4 * step * (sum(spans) - max(spans, default=0))
    return max(rows, scores + masks + 4 * step * (5 * hidden + 3 * shape.n_heads * head_size)) + logits


def _compute_rule(engine: str, options: PlanOptions) -> str:
    if engine != "llama.cpp":
        return "rows of 1,024 tokens: 3 inner and 5 stream widths, and one for each token kept, float32"
    is_flash = options.flash_attention and options.mode == "fast"
    return "rows of 512 tokens, masks, logits" + (
        "" if is_flash else ", scores of all heads (no flash attention)"
    )


def adapter_values(shape: ModelShape, rank: int) -> int:
    """Numbers of an adapter beside every linear layer: rank x (rows + columns) of each."""
    return sum(rank * (rows + columns) for rows, columns in shape.layer_matrices)


def openvino_weight_bytes(shape: ModelShape) -> int:
    """Weights as OpenVINO keeps them: codes of 4 or 8 bits, a float32 scale and often a zero point each group."""
    bits = {
        "F32": 32.0, "F16": 16.0, "BF16": 16.0, "Q8_0": 9.0, "Q4_0": 6.0, "Q4_1": 6.0, "Q5_0": 9.0, "Q5_1": 10.0,
        "Q4_K": 6.0, "Q5_K": 10.0, "Q6_K": 10.0, "Q2_K": 8.0, "Q3_K": 10.0,
    }  # fmt: skip
    total = 0.0
    for _, sizes, kind, n_bytes in shape.tensors:
        n_values = 1
        for size in sizes:
            n_values *= size
        total += n_values * bits[kind] / 8 if kind in bits else n_bytes
    return round(total) or shape.weight_bytes


def _engine_parts(shape: ModelShape, engine: str) -> list[Part]:
    if engine == "llama.cpp":
        repacked = sum(
            row[3] for row in shape.tensors if row[2] in ("Q4_0", "Q4_K", "IQ4_NL") and "blk" in row[0]
        )
        return [
            Part("weights", shape.weight_bytes, "bytes of all tensors, mapped from the file"),
            Part("weights packed again", repacked, "matrices in Q4_0 and Q4_K, for the processor"),
            Part("runtime", _LLAMA_CPP_RUNTIME_BYTES, "two processes with llama.cpp, measured"),
        ]
    kept = openvino_weight_bytes(shape)
    return [
        Part("weights", kept, "codes with float32 scales and zero points"),
        Part(
            "weights packed again",
            round(kept * (_OPENVINO_COPIES - 1)),
            "for the processor, at the first step",
        ),
        Part("runtime", _OPENVINO_RUNTIME_BYTES, "the interpreter with OpenVINO, measured"),
    ]


def _vocabulary(shape: ModelShape, engine: str) -> Part:
    kind = "openvino" if engine == "openvino" else ("merges" if shape.has_merges else "scores")
    each = _TOKEN_BYTES[kind]
    return Part("vocabulary", each * shape.vocab_size, f"{each:,} bytes a token, measured")


def _vision_parts(shape: ModelShape, options: PlanOptions) -> list[Part]:
    if shape.vision is None:
        return []
    rule = "one image: rows of its patches and scores of all heads, float32 (arithmetic, not measured)"
    return [
        Part("vision part", shape.vision.size_bytes, "its file's bytes"),
        Part("vision buffer", shape.vision.buffer_bytes(options.image_size), rule),
    ]


def _library_parts(options: PlanOptions) -> list[Part]:
    if not options.passages:
        return []
    vectors = 4 * _VECTOR_SIZE * options.passages
    return [
        Part("embedder", _EMBEDDER_BYTES, "the starter's, measured"),
        Part("index", vectors, f"{options.passages:,} vectors of {_VECTOR_SIZE} in float32"),
    ]


def _tuning_parts(shape: ModelShape, options: PlanOptions) -> list[Part]:
    """Weights, what is learnt with its gradients and two moments, and what the backward pass needs."""
    tokens = options.tokens_at_once or TOKENS_AT_ONCE
    n_learnt = shape.n_parameters if options.method == "full" else adapter_values(shape, options.rank)
    is_packed = options.method == "qlora"
    weights = shape.weight_bytes if is_packed else 2 * shape.n_parameters
    what = "full copy" if options.method == "full" else f"adapter of rank {options.rank}"
    per_token = activation_bytes(
        shape.hidden_size, shape.ffn_size, shape.n_layers, recompute=options.recompute
    )
    kind = "one row a layer, one layer computed again" if options.recompute else "all rows of all layers"
    return [
        Part("weights", weights, "the file's own blocks" if is_packed else "all numbers in 16 bits"),
        Part(
            "weights packed again",
            0 if is_packed else 2 * shape.n_parameters,
            "for the processor's 16-bit products",
        ),
        Part("learnt numbers", 4 * n_learnt, f"{what}, float32"),
        Part("gradients", 4 * n_learnt, "as many"),
        Part("optimizer states", 8 * n_learnt, "two moments of each, float32"),
        Part(
            "activations",
            round(BACKWARD_SHARE * per_token * tokens),
            f"{tokens:,} tokens, {kind}, 16 bits, and the backward pass's own (measured)",
        ),
        Part(
            "file", 0 if is_packed or not shape.tensors else shape.weight_bytes, "mapped while it is unpacked"
        ),
        _vocabulary(shape, "openvino"),
        Part("runtime", TUNING_RUNTIME_BYTES, "the interpreter with torch, measured"),
    ]


def _rounded(n_tokens: int) -> int:
    return -(-n_tokens // _CELLS) * _CELLS
