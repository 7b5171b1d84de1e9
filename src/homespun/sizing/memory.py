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
    extra = 16.0 if precision == "u8" else 0.0
    values = config.head_size + (config.value_size or config.head_size)
    per_head = values * _CACHE_VALUE_BYTES[precision] + extra
    return int(config.n_layers * config.n_kv_heads * per_head)
