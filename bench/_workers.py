"""One engine in a process of its own, asked over standard input for one measurement at a time.

`python bench/_workers.py ENGINE MODEL` where ENGINE is one of WORKERS: Homespun's engines,
and beside them the bare xllamacpp server and transformers.
Each line of input names a task; each line of output is one JSON object. Several workers stay loaded and
are asked in turn, so that a machine whose speed drifts drifts for all of them.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from _texts import chat_prompts, long_prompt

from homespun.engines.choose import EngineChoice, open_engine
from homespun.engines.engine import EngineOptions, Mode
from homespun.engines.processor import usable_threads

READ_TOKENS = 1100
WRITE_TOKENS = 64
CLIENTS = 16
CLIENT_TOKENS = 48
WINDOW = 2048


class HomespunWorker:
    """One of Homespun's engines, as a user gets it."""

    def __init__(self, model: Path, engine: EngineChoice, mode: Mode) -> None:
        cache = Path.home() / ".cache" / "homespun-bench"
        # 16 clients with the window that the bare server gets, too.
        options = EngineOptions(mode=mode, window=WINDOW, cache_tokens=WINDOW * CLIENTS)
        self.engine = open_engine(model, options, engine=engine, cache_path=cache)
        self._round = 0

    def _request(self, ids: list[int], n_new: int) -> object:
        from homespun.engines.engine import GenerateOptions, Request

        return Request(tuple(ids), GenerateOptions(max_new_tokens=n_new))

    def read(self) -> float:
        ids = long_prompt(self.engine.tokenizer.encode, READ_TOKENS, self._next())
        started = time.perf_counter()
        self.engine.generate([self._request(ids, 1)])
        return len(ids) / (time.perf_counter() - started)

    def write(self) -> float:
        ids = self.engine.tokenizer.encode(chat_prompts(1, self._next())[0])
        result = self.engine.generate([self._request(ids, WRITE_TOKENS)])[0]
        return (len(result.steps) - 1) / result.write_s

    def clients(self) -> float:
        prompts = [self.engine.tokenizer.encode(p) for p in chat_prompts(CLIENTS, self._next())]
        started = time.perf_counter()
        results = self.engine.generate([self._request(p, CLIENT_TOKENS) for p in prompts])
        return sum(len(r.steps) for r in results) / (time.perf_counter() - started)

    def _next(self) -> int:
        self._round += 1
        return self._round

    def facts(self) -> dict:
        facts = self.engine.facts
        return {
            "version": facts.version,
            "precision": facts.precision,
            "cache_precision": facts.cache_precision,
            "threads": facts.threads,
            "processor": facts.processor,
        }


class LlamaWorker:
    """xllamacpp's prebuilt wheel, with its prompt cache off where it would hide the reading."""

    def __init__(self, model: Path) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_ctx = WINDOW * CLIENTS
        params.n_parallel = CLIENTS
        params.cpuparams.n_threads = usable_threads()
        params.cpuparams_batch.n_threads = usable_threads()
        params.port = _free_port()
        params.ui = False
        params.cache_ram_mib = 0
        params.verbosity = 0
        self.server = xllamacpp.Server(params)
        from homespun.models.gguf import read_gguf
        from homespun.models.tokenizer import Tokenizer

        self.encode = Tokenizer.from_gguf(read_gguf(model)).encode
        self._round = 0
        self._version = getattr(xllamacpp, "__version__", "")

    def _complete(self, ids: list[int], n_new: int) -> dict:
        return self.server.handle_completions(
            {"prompt": ids, "max_tokens": n_new, "n_predict": n_new, "temperature": 0, "cache_prompt": False}
        )

    def read(self) -> float:
        self._round += 1
        ids = long_prompt(self.encode, READ_TOKENS, self._round)
        started = time.perf_counter()
        self._complete(ids, 1)
        return len(ids) / (time.perf_counter() - started)

    def write(self) -> float:
        self._round += 1
        answer = self._complete(self.encode(chat_prompts(1, self._round)[0]), WRITE_TOKENS)
        return float(answer["timings"]["predicted_per_second"])

    def clients(self) -> float:
        self._round += 1
        prompts = [self.encode(p) for p in chat_prompts(CLIENTS, self._round)]
        counts: list[int] = []
        started = time.perf_counter()
        threads = [
            threading.Thread(
                target=lambda ids=ids: counts.append(
                    self._complete(ids, CLIENT_TOKENS)["usage"]["completion_tokens"]
                )
            )
            for ids in prompts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(counts) / (time.perf_counter() - started)

    def facts(self) -> dict:
        return {"version": self._version, "precision": "llama.cpp", "threads": usable_threads()}


class TransformersWorker:
    """transformers on the unpacked weights, bfloat16, `generate`."""

    def __init__(self, model: Path) -> None:
        import torch
        import transformers
        from transformers import AutoModelForCausalLM

        from homespun.models.gguf import read_gguf
        from homespun.models.tokenizer import Tokenizer

        transformers.logging.set_verbosity_error()
        torch.set_num_threads(usable_threads())
        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(
            model.parent, gguf_file=model.name, dtype=torch.bfloat16
        )
        self.encode = Tokenizer.from_gguf(read_gguf(model)).encode
        self._round = 0
        self._version = transformers.__version__

    def _generate(self, rows: list[list[int]], n_new: int) -> int:
        longest = max(len(row) for row in rows)
        ids = self.torch.tensor([[0] * (longest - len(row)) + row for row in rows])
        mask = self.torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
        with self.torch.no_grad():
            out = self.model.generate(
                ids, attention_mask=mask, max_new_tokens=n_new, min_new_tokens=n_new, do_sample=False
            )
        return int((out.shape[1] - longest) * len(rows))

    def read(self) -> float:
        self._round += 1
        ids = long_prompt(self.encode, READ_TOKENS, self._round)
        started = time.perf_counter()
        with self.torch.no_grad():
            self.model(self.torch.tensor([ids]), logits_to_keep=1)
        return len(ids) / (time.perf_counter() - started)

    def write(self) -> float:
        self._round += 1
        ids = self.encode(chat_prompts(1, self._round)[0])
        started = time.perf_counter()
        n = self._generate([ids], WRITE_TOKENS)
        return n / (time.perf_counter() - started)

    def clients(self) -> float:
        self._round += 1
        rows = [self.encode(p) for p in chat_prompts(CLIENTS, self._round)]
        started = time.perf_counter()
        n = self._generate(rows, CLIENT_TOKENS)
        return n / (time.perf_counter() - started)

    def facts(self) -> dict:
        return {"version": self._version, "precision": "bf16", "threads": usable_threads()}


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def peak_memory_bytes() -> int:
    """Largest resident sizes of this process and its children (llama.cpp's server is one) so far, added."""
    return sum(_peak_of(pid) for pid in ("self", *_children()))


def _children() -> list[str]:
    """Process numbers of this process's children (Linux)."""
    found = Path("/proc/self/task").glob("*/children")
    return [pid for listing in found for pid in listing.read_text().split()]


def _peak_of(pid: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


WORKERS: dict[str, Callable[[Path], object]] = {
    "openvino": lambda model: HomespunWorker(model, "openvino", "fast"),
    "openvino-exact": lambda model: HomespunWorker(model, "openvino", "exact"),
    "llama.cpp": lambda model: HomespunWorker(model, "llama.cpp", "fast"),
    "torch": lambda model: HomespunWorker(model, "torch", "exact"),
    "xllamacpp": LlamaWorker,
    "transformers": TransformersWorker,
}


def main() -> None:
    started = time.perf_counter()
    worker = WORKERS[sys.argv[1]](Path(sys.argv[2]))
    out = sys.stdout
    print(json.dumps({"load_s": time.perf_counter() - started, **worker.facts()}), file=out, flush=True)
    for line in sys.stdin:
        task = line.strip()
        if task == "memory":
            value: float = peak_memory_bytes()
        else:
            value = getattr(worker, task)()
        print(json.dumps({"task": task, "value": value}), file=out, flush=True)


if __name__ == "__main__":
    main()
