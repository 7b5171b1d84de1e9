"""How fast this machine multiplies matrices in each number format, and what they take in memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from homespun.engines.torch_model import import_torch

#: torch's names of the formats.
DTYPES = {
    "float32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8 e5m2": "float8_e5m2",
    "fp8 e4m3": "float8_e4m3fn",
}
ROUNDS = 3
#: A round that took longer is not repeated: a format without instructions of its own may take minutes.
_LONG_S = 2.0


@dataclass(frozen=True)
class ProductSpeed:
    """Of one format.

    Attributes:
        read_gflops: of a product with many rows (reading, or training forward), in 10^9 operations a second.
        write_gb_per_s: bytes of the weights gone through in a second with one row (writing).
        write_products_per_s: such products a second.
        train_gflops: of forward and backward through one product, whose weights learn.
        weights_bytes: of the weights that were measured.
        error: why it was not measured here.
    """

    name: str
    weights_bytes: int = 0
    read_gflops: float | None = None
    write_gb_per_s: float | None = None
    write_products_per_s: float | None = None
    train_gflops: float | None = None
    error: str = ""


def measure_products(
    name: str, *, size: int = 1024, n_rows: int = 256, n_rounds: int = ROUNDS
) -> ProductSpeed:
    """Multiply (n_rows, size) by (size, size) in one format; the best of a few rounds.

    Args:
        name: one of `DTYPES`.

    Raises:
        EngineError: torch is not installed.
    """
    torch = import_torch()
    dtype = getattr(torch, DTYPES[name], None)
    if dtype is None:
        return ProductSpeed(name, error="this torch does not know it")
    random = torch.Generator().manual_seed(0)
    weights = (torch.randn(size, size, generator=random) / size**0.5).to(dtype)
    rows = torch.randn(n_rows, size, generator=random).to(dtype)
    n_bytes = weights.element_size() * weights.numel()
    try:
        with torch.inference_mode():
            read_s = _best_s(lambda: rows @ weights, n_rounds)
            write_s = _best_s(lambda: rows[:1] @ weights, n_rounds, n_times=10)
    except (RuntimeError, NotImplementedError) as error:
        return ProductSpeed(name, n_bytes, error=str(error).splitlines()[0])
    return ProductSpeed(
        name,
        n_bytes,
        2e-9 * n_rows * size**2 / read_s,
        1e-9 * n_bytes / write_s,
        1 / write_s,
        _train_gflops(weights, rows, n_rounds),
    )


def _train_gflops(weights: Any, rows: Any, n_rounds: int) -> float | None:
    learnt = weights.clone().requires_grad_()
    inputs = rows.clone().requires_grad_()

    def step() -> None:
        learnt.grad = inputs.grad = None
        (inputs @ learnt).sum().backward()

    try:
        seconds = _best_s(step, n_rounds)
    except (RuntimeError, NotImplementedError):
        return None
    n_rows, size = rows.shape
    return float(3 * 2e-9 * n_rows * size * weights.shape[1] / seconds)


def _best_s(work: Callable[[], object], n_rounds: int, n_times: int = 1) -> float:
    """Seconds of one call: the fastest round, since whatever else runs can only slow one down."""
    work()
    best = float("inf")
    for _ in range(n_rounds):
        started = time.perf_counter()
        for _ in range(n_times):
            work()
        seconds = time.perf_counter() - started
        best = min(best, seconds / n_times)
        if seconds > _LONG_S:
            break
    return best
