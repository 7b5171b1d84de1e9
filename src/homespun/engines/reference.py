"""The reference: what a model file says, computed in plain numpy, line by line as in the papers.

It shares no code with any engine, so that a fault of theirs is not its own too: it reads the metadata
itself, and rotates the rows as the file stores them. It keeps one matrix unpacked at a time.
Products are float32; what is summed over a whole row (norms, softmax) is float64.

Transformer decoder with RMS norm (Zhang and Sennrich 2019), rotary positions (Su et al. 2021), grouped
query heads (Ainslie et al. 2023) and gated feed-forward (Shazeer 2020); gemma3 adds norms behind each part,
layers that see only a window, and its own rotary base in these (Gemma Team 2025).

Shapes: T tokens, H hidden size, A query heads, K key heads, D values a head, F feed-forward size, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from homespun.engines.errors import EngineError
from homespun.models.config import ModelConfig
from homespun.models.gguf import GGUFFile
from homespun.progress import Progress, no_progress

Floats = npt.NDArray[np.float32]

REFERENCE_ARCHITECTURES = ("llama", "qwen2", "qwen3", "gemma3")
ROWS_AT_ONCE = 16_384  # of the embedding table, which is the largest matrix

_LAYER_TENSORS = (
    frozenset(
        f"{name}.weight"
        for name in ("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm")
    )
    | frozenset(
        f"{name}.weight"
        for name in ("ffn_norm", "ffn_gate", "ffn_up", "ffn_down", "post_attention_norm", "post_ffw_norm")
    )
    | frozenset(("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias"))
)
_TENSORS = frozenset(("token_embd.weight", "output_norm.weight", "output.weight", "rope_freqs.weight"))


def why_no_reference(file: GGUFFile, config: ModelConfig) -> str | None:
    """Why the reference does not know how to compute a file's model; None where it does."""
    if config.architecture not in REFERENCE_ARCHITECTURES:
        return f"the architecture {config.architecture!r} has no reference"
    scaling = (config.rope_scaling or {}).get("type", "none")
    if scaling not in ("none", "linear", "factors"):
        return f"rotary scaling of the type {scaling!r} has no reference"
    if config.unknown_factor:
        return f"{config.unknown_factor} has no reference"
    for name in file.tensors:
        part = name.split(".", 2)[2] if name.startswith("blk.") else name
        if part not in (_LAYER_TENSORS if name.startswith("blk.") else _TENSORS):
            return f"the tensor {name} has no reference"
    return None


def reference_log_probabilities(
    file: GGUFFile,
    config: ModelConfig,
    token_ids: Sequence[int],
    last: int,
    progress: Progress = no_progress,
) -> Floats:
    """Log-probabilities of every next token after each of the last positions, in nats.

    Args:
        file: a GGUF whose architecture is one of `REFERENCE_ARCHITECTURES`.
        config: its config.
        token_ids: the T tokens of one text.
        last: how many positions are wanted, at most T.

    Returns:
        (last, V) float32.

    Raises:
        EngineError: a structure that the reference does not know.
        ModelFileError: a missing tensor, or a format that cannot be unpacked.
    """
    reason = why_no_reference(file, config)
    if reason:
        raise EngineError(reason, where=str(file.path))
    model = _Model(file, config)
    hidden = model.embed(token_ids)  # (T, H)
    for layer in range(config.n_layers):
        progress("computing the reference numbers", layer, config.n_layers + 1)
        hidden = model.layer(hidden, layer)
    logits = model.head(hidden[-last:])  # (last, V)
    progress("computing the reference numbers", config.n_layers + 1, config.n_layers + 1)
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    return (shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))).astype(np.float32)


@dataclass(frozen=True)
class _Model:
    file: GGUFFile
    config: ModelConfig

    @property
    def is_gemma(self) -> bool:
        return self.config.architecture == "gemma3"

    def embed(self, token_ids: Sequence[int]) -> Floats:
        """(T,) -> (T, H): a row of the table for each token; gemma scales it by the root of H."""
        table = self.file.data("token_embd.weight")
        rows = _unpack(self.file, "token_embd.weight", table[np.asarray(token_ids, np.intp)])
        return rows * np.float32(self.config.hidden_size**0.5) if self.is_gemma else rows

    def layer(self, x: Floats, layer: int) -> Floats:
        """(T, H) -> (T, H): attention, then feed-forward, each added to what came in."""
        attended = self._attention(self._norm(x, f"blk.{layer}.attn_norm"), layer)
        x = x + self._post_norm(attended, f"blk.{layer}.post_attention_norm")
        fed = self._feed_forward(self._norm(x, f"blk.{layer}.ffn_norm"), layer)
        return x + self._post_norm(fed, f"blk.{layer}.post_ffw_norm")

    def head(self, x: Floats) -> Floats:
        """(last, H) -> (last, V): the embedding table again where the file has no head of its own."""
        x = self._norm(x, "output_norm")
        name = "output.weight" if "output.weight" in self.file.tensors else "token_embd.weight"
        return np.concatenate([x @ rows.T for rows in _rows(self.file, name)], axis=1)

    def _attention(self, x: Floats, layer: int) -> Floats:
        """(T, H) -> (T, H): each query head looks at the keys before it, A / K heads sharing one key head."""
        n_tokens, size = len(x), self.config.head_size
        q = self._linear(x, f"blk.{layer}.attn_q").reshape(n_tokens, self.config.n_heads, size)
        k = self._linear(x, f"blk.{layer}.attn_k").reshape(n_tokens, self.config.n_kv_heads, size)
        v = self._linear(x, f"blk.{layer}.attn_v").reshape(n_tokens, self.config.n_kv_heads, -1)
        q = self._post_norm(q, f"blk.{layer}.attn_q_norm")
        k = self._post_norm(k, f"blk.{layer}.attn_k_norm")
        angles = self._angles(n_tokens, layer)
        q, k = self._rotate(q, angles), self._rotate(k, angles)
        n_groups = self.config.n_heads // self.config.n_kv_heads
        mask = self._mask(n_tokens, layer)
        heads = []
        for head in range(self.config.n_heads):
            keys, values = k[:, head // n_groups], v[:, head // n_groups]  # (T, D)
            scores = (q[:, head] @ keys.T).astype(np.float64) * self._score_scale()  # (T, T)
            heads.append(_softmax(np.where(mask, scores, -np.inf)) @ values)
        return self._linear(np.concatenate(heads, axis=1), f"blk.{layer}.attn_output")

    def _feed_forward(self, x: Floats, layer: int) -> Floats:
        """(T, H) -> (T, H) through F: SiLU as the gate, in gemma GELU in its tanh form."""
        gate = self._linear(x, f"blk.{layer}.ffn_gate")  # (T, F)
        opened = _gelu_tanh(gate) if self.is_gemma else _silu(gate)
        return self._linear(opened * self._linear(x, f"blk.{layer}.ffn_up"), f"blk.{layer}.ffn_down")

    def _linear(self, x: Floats, name: str) -> Floats:
        """(T, columns) -> (T, rows): the matrix, and its bias where there is one."""
        y: Floats = x @ self.file.dequantize(f"{name}.weight").T
        bias = f"{name}.bias"
        return y + self.file.dequantize(bias).reshape(-1) if bias in self.file.tensors else y

    def _norm(self, x: Floats, name: str) -> Floats:
        """RMS norm along the last axis. (Files of gemma store 1 + its weight, ready to multiply.)"""
        mean_square = np.square(x, dtype=np.float64).mean(axis=-1, keepdims=True)
        scaled = (x / np.sqrt(mean_square + self.config.rms_eps)).astype(np.float32)
        return scaled * self.file.dequantize(f"{name}.weight").reshape(-1)

    def _post_norm(self, x: Floats, name: str) -> Floats:
        """A norm that only some architectures have."""
        return self._norm(x, name) if f"{name}.weight" in self.file.tensors else x

    def _score_scale(self) -> float:
        """1 / root of D; gemma3 27B (62 layers) alone takes the root of H / A."""
        config = self.config
        if self.is_gemma and config.n_layers == 62:
            return float((config.hidden_size / config.n_heads) ** -0.5)
        return float(config.head_size**-0.5)

    def _is_local(self, layer: int) -> bool:
        """In gemma3 every sixth layer sees everything; the five before it see a window."""
        if not self.is_gemma:
            return self.config.sliding_window is not None
        period = self.file.metadata.get("gemma3.attention.sliding_window_pattern", 6)
        if isinstance(period, int):
            return (layer + 1) % period != 0
        return bool(period[layer])  # or the file says it layer by layer

    def _mask(self, n_tokens: int, layer: int) -> npt.NDArray[np.bool_]:
        """(T, T): which key (column) a query (row) may see, itself included."""
        behind = np.arange(n_tokens)[:, None] - np.arange(n_tokens)[None, :]
        window = self.config.sliding_window
        is_near = behind < window if window and self._is_local(layer) else np.True_
        return (behind >= 0) & is_near

    def _angles(self, n_tokens: int, layer: int) -> npt.NDArray[np.float64]:
        """(T, rope_dim / 2): position times frequency, the frequencies falling from 1 to near 1 / base."""
        config = self.config
        is_local = self.is_gemma and self._is_local(layer)
        own_base = float(self.file.metadata.get("gemma3.rope.freq_base_swa", 10_000.0))
        base = own_base if is_local else config.rope_theta
        frequencies = base ** -(np.arange(0, config.rope_dim, 2, dtype=np.float64) / config.rope_dim)
        scaling = config.rope_scaling or {}
        if scaling.get("type") == "linear" and not is_local:
            frequencies = frequencies / scaling.get("factor", 1.0)
        if "rope_freqs.weight" in self.file.tensors:  # llama 3.1: a divisor for each frequency
            frequencies = frequencies / self.file.dequantize("rope_freqs.weight").reshape(-1)
        return np.arange(n_tokens, dtype=np.float64)[:, None] * frequencies

    def _rotate(self, x: Floats, angles: npt.NDArray[np.float64]) -> Floats:
        """(T, heads, D): pairs of values turned by their angle.

        Files of llama store the two of a pair side by side (0, 1), (2, 3), ...; the others half a head
        apart.
        """
        cos = np.cos(angles).astype(np.float32)[:, None]  # (T, 1, rope_dim / 2)
        sin = np.sin(angles).astype(np.float32)[:, None]
        n_rotated = self.config.rope_dim
        turned = x.copy()
        if self.config.architecture == "llama":
            one, other = slice(0, n_rotated, 2), slice(1, n_rotated, 2)
        else:
            one, other = slice(0, n_rotated // 2), slice(n_rotated // 2, n_rotated)
        turned[..., one] = x[..., one] * cos - x[..., other] * sin
        turned[..., other] = x[..., other] * cos + x[..., one] * sin
        return turned


def _softmax(scores: npt.NDArray[np.float64]) -> Floats:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def _silu(x: Floats) -> Floats:
    # exp(-x) of a very negative x is infinite, and x / infinity the 0 that is right
    with np.errstate(over="ignore"):
        return x / (1 + np.exp(-x))


def _gelu_tanh(x: Floats) -> Floats:
    return (
        np.float32(0.5)
        * x
        * (1 + np.tanh(np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x**3)))
    )


def _rows(file: GGUFFile, name: str) -> Iterator[Floats]:
    """A matrix, some rows at a time."""
    stored = file.data(name)
    for start in range(0, len(stored), ROWS_AT_ONCE):
        yield _unpack(file, name, stored[start : start + ROWS_AT_ONCE])


def _unpack(file: GGUFFile, name: str, rows: npt.NDArray[np.uint8]) -> Floats:
    import gguf

    unpack: Callable[..., Floats] = gguf.quants.dequantize
    kind = gguf.GGMLQuantizationType[file.tensors[name].ggml_type]
    return np.ascontiguousarray(unpack(np.ascontiguousarray(rows), kind), np.float32).reshape(len(rows), -1)
