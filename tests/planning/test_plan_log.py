"""M1 to M3 against the engine itself: what llama.cpp's own log says of its buffers, on two architectures."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from homespun.planning.find_shape import find_shape
from homespun.planning.memory import cache_bytes, compute_bytes
from homespun.planning.options import PlanOptions

_CHILD = """
import os, sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params.kv_unified = params.fit_params = False
params.port, params.verbosity, params.cache_ram_mib, params.n_gpu_layers = 0, 10, 0, 0
if sys.argv[4] == "plain":
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
kept = xllamacpp.Server(params)
os._exit(0)
"""


def buffers(path: Path, window: int, clients: int, *, flash: bool) -> tuple[float, float]:
    """MiB of keys and values, and of compute buffers with the logits."""
    arguments = [str(path), str(window * clients), str(clients), "flash" if flash else "plain"]
    done = subprocess.run([sys.executable, "-c", _CHILD, *arguments], capture_output=True, text=True)
    log = done.stdout + done.stderr
    found = {
        name: sum(float(size) for size in re.findall(pattern, log))
        for name, pattern in {
            "cache": r"llama_kv_cache: size =\s+([\d.]+) MiB",
            "compute": r"compute buffer size =\s+([\d.]+) MiB",
            "output": r"output buffer size =\s+([\d.]+) MiB",
        }.items()
    }
    assert found["cache"] and found["compute"], log[-2000:]
    return found["cache"], found["compute"] + found["output"]


def check(path: Path, window: int, clients: int, *, flash: bool) -> None:
    shape, _ = find_shape(str(path))
    options = PlanOptions(use="serve", window=window, clients=clients, flash_attention=flash)
    cache, compute = buffers(path, window, clients, flash=flash)
    predicted_cache = cache_bytes(shape, "llama.cpp", "f16", window, clients) / 2**20
    predicted_compute = compute_bytes(shape, "llama.cpp", options) / 2**20
    assert cache <= predicted_cache * 1.001 <= cache * 1.1  # the log rounds
    assert compute <= predicted_compute * 1.01 <= compute * 1.1


def test_a_window_of_2048_as_the_log_has_it(starter_gguf: Path) -> None:
    check(starter_gguf, 2048, 1, flash=True)


@pytest.mark.long
def test_layers_with_a_window_as_the_log_has_them(gemma_gguf: Path) -> None:
    check(gemma_gguf, 8192, 1, flash=True)


@pytest.mark.long
@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize(("window", "clients"), [(8192, 1), (2048, 4)])
def test_windows_clients_and_attention_as_the_log_has_them(
    starter_gguf: Path, gemma_gguf: Path, window: int, clients: int, flash: bool
) -> None:
    check(starter_gguf, window, clients, flash=flash)
    check(gemma_gguf, window, clients, flash=flash)


@pytest.mark.long
def test_a_long_window_as_the_log_has_it(gemma_gguf: Path) -> None:
    check(gemma_gguf, 32_768, 1, flash=True)
