"""llama.cpp's server in a process of its own: run by path, never imported.

It takes over signal handlers and may end the process that it is in, so it gets one to itself. Reads its
settings as one JSON line, answers {"address": ...} as one line, and ends when its standard input ends, which
it does when the parent is gone, however that went.
"""

import json
import os
import sys
from typing import Any


def start(settings: dict[str, Any]) -> Any:
    """A running server; it listens on loopback only, on a free port, and asks for the key."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model_path"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [settings["key"]]
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = False
    params.offline = True
    params.verbosity = settings["verbosity"]
    params.n_ctx = settings["n_context"]
    params.n_parallel = settings["n_slots"]
    params.n_threads_http = settings["n_slots"] + 2
    params.kv_unified = False
    params.fit_params = False
    params.ctx_shift = False
    params.cache_ram_mib = 0
    params.cpuparams.n_threads = settings["n_threads"]
    params.cpuparams_batch.n_threads = settings["n_threads"]
    cache_type = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{settings['cache_type'].upper()}")
    params.cache_type_k = cache_type
    params.cache_type_v = cache_type
    if settings["cache_type"] == "f32":  # its fused attention rounds: up to 0.1 nats on a float32 model
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    adapters = []
    for path in settings["adapter_paths"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = path
        adapter.scale = 0.0
        adapters.append(adapter)
    params.lora_adapters = adapters
    params.lora_init_without_apply = True
    return xllamacpp.Server(params)


def main() -> None:
    """Serve until the parent closes the pipe."""
    server = start(json.loads(sys.stdin.readline()))
    import xllamacpp

    print(json.dumps({"address": server.listening_address, "version": xllamacpp.__version__}), flush=True)
    sys.stdin.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    main()
