"""Which parts a model has (an encoder, a decoder, or both), and the shapes of its tensors, from its files."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from homespun.models.config import ModelConfig
from homespun.models.folder import ModelFolder, read_folder
from homespun.models.gguf import GGUFFile, read_gguf

Part = Literal["embedding", "encoder", "decoder", "output"]

#: What a tensor is for, by a piece of its name in GGUF files and in Hugging Face folders; the first that fits.
_PURPOSES: tuple[tuple[str, str], ...] = (
    (
        r"token_embd(?!_norm)|embed_tokens|^shared\.|\bwte\b|word_embeddings(?!_layernorm)",
        "a row for each token of the vocabulary",
    ),
    (r"position_embd|\bwpe\b", "a row for each place in the text"),
    (r"rel_b|relative_attention_bias", "bonus of attention by distance"),
    (r"rope_freqs", "factors of the position angles"),
    (r"cross_attn|EncDecAttention", "attention to what the encoder gave"),
    (r"attn_q_norm|attn_k_norm|q_norm|k_norm", "norm of queries or keys"),
    (r"attn_qkv|query_key_value|c_attn", "queries, keys and values"),
    (r"attn_q\b|q_proj|SelfAttention\.q\b", "queries: what each token looks for"),
    (r"attn_k\b|k_proj|SelfAttention\.k\b", "keys: what each token offers"),
    (r"attn_v\b|v_proj|SelfAttention\.v\b", "values: what is handed on"),
    (
        r"attn_o(utput)?\b|o_proj|SelfAttention\.o\b|self_attention\.dense|attn\.c_proj",
        "heads put together again",
    ),
    (r"ffn_gate|gate_proj|wi_0", "feed-forward: gate"),
    (r"ffn_up|up_proj|\bwi(_1)?\b|c_fc|h_to_4h", "feed-forward: widened"),
    (r"ffn_down|down_proj|\bwo\b|mlp\.c_proj|4h_to_h", "feed-forward: back to the width"),
    (r"norm|\bln_|layernorm", "norm"),
    (r"^output\.weight|lm_head", "a row for each token of the vocabulary: logits"),
)
#: GGUF files hold a layer's tensors in any order; this is that of the computation.
_IN_LAYER = (
    "attn_norm", "attn_qkv", "attn_q", "attn_k", "attn_v", "attn_q_norm", "attn_k_norm", "attn_output",
    "post_attention_norm", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down", "post_ffw_norm",
)  # fmt: skip
_NUMBER = re.compile(r"\.(\d+)\.")
_LAYER = re.compile(r"^(?:enc\.|dec\.)?blk\.\d+\.|\.(?:layers|block|h)\.\d+\.|^(?:h|layers)\.\d+\.")
_OUTPUT = re.compile(r"^output|^lm_head|(?<!layer)\bnorm\.weight$|ln_f\.|final_layer_norm|\bdec\.output_norm")


@dataclass(frozen=True)
class TensorGroup:
    """Tensors of the same purpose, one a layer.

    Attributes:
        name: with the layer's number as N.
        shape: of each, rows first.
        n_tensors: how many there are.
        purpose: in words; empty where the name tells none.
    """

    part: Part
    name: str
    shape: tuple[int, ...]
    stored_as: str
    n_tensors: int
    purpose: str


@dataclass(frozen=True)
class Structure:
    """A model's parts and sizes. A size that the files do not state is 0.

    Attributes:
        n_encoder_layers: 0: it has no encoder, and reads and writes with the same layers.
        n_decoder_layers: 0: it has no decoder, so it cannot write.
        tied_output: logits are made with the embedding matrix.
        embedding: name of the embedding matrix; output: of the matrix that makes the logits.
        window: tokens a layer with a local window sees; None: none is local. n_local_layers: how many are.
    """

    path: Path
    architecture: str
    n_encoder_layers: int
    n_decoder_layers: int
    hidden_size: int
    n_heads: int
    n_kv_heads: int
    head_size: int
    ffn_size: int
    vocab_size: int
    n_parameters: int
    tied_output: bool
    embedding: str
    output: str
    groups: tuple[TensorGroup, ...]
    window: int | None = None
    n_local_layers: int = 0

    @property
    def has_encoder(self) -> bool:
        return self.n_encoder_layers > 0

    @property
    def has_decoder(self) -> bool:
        return self.n_decoder_layers > 0

    @property
    def kind(self) -> str:
        """In words."""
        if self.has_encoder and self.has_decoder:
            return "an encoder with a decoder"
        return "an encoder only" if self.has_encoder else "a decoder only"


def structure_of(path: Path) -> Structure:
    """Read the structure of a model: a GGUF file, or a Hugging Face folder. No weights are loaded.

    Raises:
        ModelFileError: no whole file or folder.
    """
    return _of_folder(read_folder(path)) if path.is_dir() else _of_file(read_gguf(path))


def _of_file(file: GGUFFile) -> Structure:
    config = ModelConfig.from_gguf(file)
    names = file.tensors
    n_encoder = _n_layers(names, r"^enc\.blk\.(\d+)\.")
    is_pair = any(name.startswith("dec.blk.") for name in names)
    n_decoder = _n_layers(names, r"^dec\.blk\.(\d+)\.") if is_pair or n_encoder else config.n_layers
    if file.metadata.get(f"{file.architecture}.attention.causal") is False and not is_pair:
        n_encoder, n_decoder = n_encoder or n_decoder, 0
    tensors = {name: (info.shape, info.ggml_type) for name, info in names.items()}
    return Structure(
        path=file.path,
        architecture=file.architecture,
        n_encoder_layers=n_encoder,
        n_decoder_layers=n_decoder,
        hidden_size=config.hidden_size,
        n_heads=config.n_heads,
        n_kv_heads=config.n_kv_heads,
        head_size=config.head_size,
        ffn_size=config.ffn_size,
        vocab_size=config.vocab_size,
        n_parameters=file.n_parameters,
        tied_output=config.tied_head,
        embedding="token_embd.weight",
        output="token_embd.weight" if config.tied_head else "output.weight",
        groups=_groups(tensors, has_encoder=n_encoder > 0, has_decoder=n_decoder > 0),
        window=config.sliding_window,
        n_local_layers=sum(config.local_layers),
    )


def _of_folder(folder: ModelFolder) -> Structure:
    names = folder.tensors
    tensors = {name: (tensor.shape, tensor.dtype) for name, tensor in names.items()}
    is_pair = bool(folder.config.get("is_encoder_decoder"))
    n_layers = _n_layers(names, r"(?:layers|block|h|layer)\.(\d+)\.")
    n_encoder = _n_layers(names, r"^encoder\.\w+\.(\d+)\.") if is_pair else 0
    n_decoder = _n_layers(names, r"^decoder\.\w+\.(\d+)\.") if is_pair else n_layers
    matrices = {name: shape for name, (shape, _) in tensors.items() if len(shape) == 2}
    embedding = _first(matrices, r"embed_tokens|^shared\.|\bwte\b|word_embeddings\.")
    output = _first(matrices, r"lm_head") or embedding
    hidden = _size(folder, "hidden_size", "d_model", "n_embd") or (matrices[embedding][1] if embedding else 0)
    heads = _size(folder, "num_attention_heads", "num_heads", "n_head")
    return Structure(
        path=folder.path,
        architecture=folder.architecture,
        n_encoder_layers=n_encoder,
        n_decoder_layers=n_decoder,
        hidden_size=hidden,
        n_heads=heads,
        n_kv_heads=_size(folder, "num_key_value_heads") or heads,
        head_size=_size(folder, "head_dim", "d_kv") or (hidden // heads if heads else 0),
        ffn_size=_size(folder, "intermediate_size", "d_ff", "n_inner"),
        vocab_size=folder.vocab_size,
        n_parameters=sum(_product(shape) for shape, _ in tensors.values()),
        tied_output=output == embedding,
        embedding=embedding,
        output=output,
        groups=_groups(tensors, has_encoder=n_encoder > 0, has_decoder=n_decoder > 0),
    )


def _groups(
    tensors: Mapping[str, tuple[tuple[int, ...], str]], *, has_encoder: bool, has_decoder: bool
) -> tuple[TensorGroup, ...]:
    """Tensors that differ in the layer's number only stand together; parts in the order of the computation."""
    counts: dict[tuple[Part, str, tuple[int, ...], str], int] = {}
    for name, (shape, stored_as) in tensors.items():
        part = _part(name, has_encoder=has_encoder, has_decoder=has_decoder)
        key = (part, _NUMBER.sub(".N.", name, count=1), tuple(shape), stored_as)
        counts[key] = counts.get(key, 0) + 1
    order: tuple[Part, ...] = ("embedding", "encoder", "decoder", "output")
    groups = [TensorGroup(*key, n, _purpose(key[1])) for key, n in counts.items()]
    return tuple(sorted(groups, key=lambda group: (order.index(group.part), _place(group.name))))


def _part(name: str, *, has_encoder: bool, has_decoder: bool) -> Part:
    is_of_encoder = name.startswith(("enc.", "encoder.")) or not has_decoder
    if _LAYER.search(name):
        return "encoder" if is_of_encoder and has_encoder else "decoder"
    if has_encoder and has_decoder and is_of_encoder:
        return "encoder"
    return "output" if _OUTPUT.search(name) else "embedding"


def _place(name: str) -> int:
    """Of a GGUF tensor in its layer; others stay in their order."""
    kind = name.split(".")[-2] if "blk.N." in name else ""
    return _IN_LAYER.index(kind) if kind in _IN_LAYER else len(_IN_LAYER) if kind else 0


def _purpose(name: str) -> str:
    return next((purpose for pattern, purpose in _PURPOSES if re.search(pattern, name)), "")


def _n_layers(names: Iterable[str], pattern: str) -> int:
    found = (re.search(pattern, name) for name in names)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _first(names: Iterable[str], pattern: str) -> str:
    return next((name for name in names if re.search(pattern, name)), "")


def _size(folder: ModelFolder, *keys: str) -> int:
    values: list[Any] = [folder.text_config.get(key) for key in keys]
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), 0)


def _product(shape: Iterable[int]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
