"""How much memory a model's parts take."""

from homespun.models.config import ModelConfig

#: Bytes of one key and value of a head of d values; u8 adds a float32 scale and zero point (8 bytes a row).
_CACHE_VALUE_BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "u8": 1.0}


def cache_bytes_per_token(config: ModelConfig, precision: str) -> int:
    """Bytes that one token's keys and values take in all layers.

    Args:
        config: the model.
        precision: `f32`, `f16`, `bf16` or `u8` (8 bits with scale and zero point for each row).
    """
    values = config.head_size + (config.value_size or config.head_size)
    return kv_bytes_per_token(config.n_layers, config.n_kv_heads, values, precision)


def kv_bytes_per_token(n_layers: int, n_kv_heads: int, n_values: int, precision: str) -> int:
    """Bytes that one token's keys and values take in all layers, from a model's shape alone.

    Args:
        n_layers: blocks with attention.
        n_kv_heads: key and value heads in each.
        n_values: values of a key and of a value together, in one head.
        precision: as in `cache_bytes_per_token`.
    """
    extra = 16.0 if precision == "u8" else 0.0
    return int(n_layers * n_kv_heads * (n_values * _CACHE_VALUE_BYTES[precision] + extra))


#: The interpreter with torch, without a model; and all that the backward pass keeps, over the kept rows alone.
TUNING_RUNTIME_BYTES = 315_000_000
BACKWARD_SHARE = 1.12


def activation_bytes(hidden: int, ffn: int, n_layers: int, *, recompute: bool = False) -> int:
    """Bytes that a token keeps until the backward pass, in 16 bits: what the training network saves.

    Args:
        hidden, ffn: widths of the stream and of the inner feed-forward part.
        n_layers: trained layers.
        recompute: one row a layer is kept, and one layer's rest is computed again at a time.
    """
    layer = 2 * (7 * hidden + 3 * ffn)
    return n_layers * 2 * hidden + layer if recompute else n_layers * layer
