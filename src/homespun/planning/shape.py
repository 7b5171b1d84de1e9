"""What planning must know of a model: bytes, sizes, and what each layer keeps of a text. Nothing is guessed:
what a header does not say is named in `unknown` and left out of the sums."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from homespun.planning.vision import VisionPart

#: Bits of a number, by the names that people give precisions.
PRECISION_BITS = {
    "f64": 64.0, "f32": 32.0, "fp32": 32.0, "float32": 32.0, "tf32": 32.0,
    "f16": 16.0, "fp16": 16.0, "float16": 16.0, "bf16": 16.0, "bfloat16": 16.0,
    "fp8": 8.0, "int8": 8.0, "int4": 4.0, "nf4": 4.127, "fp4": 4.5,
    "q8_0": 8.5, "q6_k": 6.5625, "q5_1": 6.0, "q5_0": 5.5, "q5_k": 5.5, "q4_1": 5.0, "q4_0": 4.5, "q4_k": 4.5,
    "q3_k": 3.4375, "q2_k": 2.625,
}  # fmt: skip

_MATRIX = re.compile(r"blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight$")


@dataclass(frozen=True)
class KeptLayer:
    """What one layer keeps of each token.

    Attributes:
        n_kv_heads: key and value heads.
        key_size, value_size: numbers of each.
        window: tokens that it sees; 0: all of them.
    """

    n_kv_heads: int
    key_size: int
    value_size: int
    window: int = 0

    @property
    def n_values(self) -> int:
        """Numbers kept for a token."""
        return self.n_kv_heads * (self.key_size + self.value_size)


#: (name, shape rows first, format, bytes) of a tensor.
TensorRow = tuple[str, tuple[int, ...], str, int]


@dataclass(frozen=True)
class ModelShape:
    """A model as planning sees it; a size that is not known is 0.

    Attributes:
        name: for people.
        architecture: such as "llama", or "" where only a number of parameters was given.
        source: file, hub, or parameters.
        n_parameters: all numbers in all tensors (all experts).
        n_active: those that a token is multiplied with; fewer where a router picks some of the experts.
        weight_bytes: of all tensors as they are stored.
        active_bytes: of the active ones.
        formats: bytes by format, largest first.
        n_layers, hidden_size, ffn_size, vocab_size, context_length: its sizes.
        n_heads: query heads.
        has_merges: the vocabulary is of merges (byte pairs), not of scores.
        kept: layers with attention, in order; empty where unknown.
        state_bytes: what recurrent layers keep of a text, however long.
        tensors: all that were listed, under GGUF's names where these are known.
        embedding_values: numbers of the embedding table; head_values: of a head of its own.
        vision: a vision part that lies beside it.
        n_read_bytes: fetched from a hub to know this.
        unknown: what the header does not say, in words.
    """

    name: str
    architecture: str
    source: str
    n_parameters: int
    n_active: int
    weight_bytes: int
    active_bytes: int
    formats: tuple[tuple[str, int], ...] = ()
    n_layers: int = 0
    hidden_size: int = 0
    ffn_size: int = 0
    vocab_size: int = 0
    context_length: int = 0
    n_heads: int = 0
    has_merges: bool = True
    kept: tuple[KeptLayer, ...] = ()
    state_bytes: int = 0
    tensors: tuple[TensorRow, ...] = ()
    embedding_values: int = 0
    head_values: int = 0
    vision: VisionPart | None = None
    n_read_bytes: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def layer_matrices(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of the linear layers, beside which an adapter stands."""
        return tuple((row[1][0], row[1][1]) for row in self.tensors if _MATRIX.match(row[0]))

    @property
    def bits_per_weight(self) -> float:
        """Mean over all numbers."""
        return 8 * self.weight_bytes / self.n_parameters if self.n_parameters else 0.0


def bytes_by_format(formats: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Bytes added up by format, largest first."""
    total: dict[str, int] = {}
    for name, n_bytes in formats:
        total[name] = total.get(name, 0) + n_bytes
    return tuple(sorted(total.items(), key=lambda item: (-item[1], item[0])))
