"""llama.cpp's server in a process of its own: run by path, never imported.

It takes over signal handlers and may end the process that it is in, so it gets one to itself. Reads its
settings as one JSON line, answers {"address": ...} as one line, and ends when its standard input ends, which
it does when the parent is gone, however that went.
"""

import json
import os
import sys
from typing import Any

ALL_LAYERS = 999


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
    params.n_gpu_layers = settings["n_gpu_layers"]
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
    if settings.get("embedding"):
        params.embedding = True
        params.n_batch = params.n_ubatch = settings["n_context"] // settings["n_slots"]  # a text is one batch
        if settings.get("pooling"):
            name = f"LLAMA_POOLING_TYPE_{settings['pooling'].upper()}"
            params.pooling_type = getattr(xllamacpp.llama_pooling_type, name)
    adapters = []
    for path in settings["adapter_paths"]:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = path
        adapter.scale = 0.0
        adapters.append(adapter)
    params.lora_adapters = adapters
    params.lora_init_without_apply = True
    return xllamacpp.Server(params)


def gpus(device: str) -> list[str]:
    """GPUs that this build of llama.cpp can use: any for `auto`, else of the kind that was asked for."""
    import xllamacpp

    kinds = {"cuda": "CUDA", "mps": ("Metal", "MTL")}
    found = [entry for entry in xllamacpp.get_device_info() if "GPU" in entry["type"].name]
    if device in kinds:
        found = [entry for entry in found if entry["name"].startswith(kinds[device])]
    return [] if device == "cpu" else [entry["description"] for entry in found]


def main() -> None:
    """Serve until the parent closes the pipe."""
    settings = json.loads(sys.stdin.readline())
    found = gpus(settings["device"])
    if settings["device"] in ("cuda", "mps") and not found:
        print(json.dumps({"address": "", "missing": settings["device"]}), flush=True)
        return
    server = start({**settings, "n_gpu_layers": ALL_LAYERS if found else 0})
    import xllamacpp

    answer = {"address": server.listening_address, "version": xllamacpp.__version__, "gpus": found}
    print(json.dumps(answer), flush=True)
    sys.stdin.read()
    del server
    os._exit(0)


if __name__ == "__main__":
    main()
