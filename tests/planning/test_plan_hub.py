"""Headers read from a server that speaks the hub's protocol and counts every byte that it sends."""

import hashlib
import json
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from homespun.models.errors import FetchError, ModelFileError
from homespun.models.hub import read_repo
from homespun.models.pull import choose_files
from homespun.models.remote_header import MOST_GGUF_BYTES, MOST_SAFETENSORS_BYTES, read_remote_header
from homespun.planning.options import PlanOptions
from homespun.planning.plan import plan_model


class Hub(ThreadingHTTPServer):
    """Files by path: their first bytes, and how long they are said to be (the rest is zeros, never sent)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, tuple[bytes, int]] = {}
        self.n_sent = 0
        self.knows_ranges = True
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_) -> None:
        """A client that has enough closes the connection."""

    def add(self, path: str, content: bytes, size: int = 0) -> None:
        self.files[path] = (content, max(size, len(content)))


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        if self.path.startswith("/api/"):
            siblings = [
                {
                    "rfilename": p,
                    "size": n,
                    "blobId": "0",
                    "lfs": {"sha256": hashlib.sha256(c).hexdigest(), "size": n},
                }
                for p, (c, n) in self.server.files.items()
            ]
            self._reply(200, json.dumps({"sha": "c0ffee", "siblings": siblings}).encode())
            return
        content, size = self.server.files[self.path.removeprefix("/maker/tiny/resolve/c0ffee/")]
        asked = self.headers.get("Range")
        assert asked, "only parts are asked for"
        start, end = (int(place) for place in asked.removeprefix("bytes=").split("-"))
        if not self.server.knows_ranges:
            start, end, status = 0, min(size, 1 << 20) - 1, 200
        else:
            end, status = min(end, size - 1), 206
        part = content[start : end + 1]
        part += b"\0" * (end + 1 - start - len(part))
        self.server.n_sent += len(part)
        self._reply(status, part)

    def _reply(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def hub(home, monkeypatch):
    monkeypatch.setenv("HOMESPUN_HOME", str(home.root))
    server = Hub()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    yield server
    server.shutdown()
    server.server_close()


def gguf_header(tmp_path, n_tokens: int, n_gigabytes: int) -> tuple[bytes, int]:
    """A header with so many tokens and merges, of a file of so many GB whose tensors are never written."""
    import gguf

    path = tmp_path / "header.gguf"
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_context_length(4096)
    writer.add_embedding_length(4096)
    writer.add_feed_forward_length(8192)
    writer.add_head_count(32)
    writer.add_head_count_kv(8)
    writer.add_token_list([f"token{number:08}" for number in range(n_tokens)])
    writer.add_token_types([1] * n_tokens)
    writer.add_token_merges([f"tok en{number:08}" for number in range(n_tokens)])
    n_rows = n_gigabytes * 10**9 // (4096 * 2)
    writer.add_tensor_info("token_embd.weight", (n_rows, 4096), np.dtype(np.float16), n_rows * 4096 * 2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    content = path.read_bytes()
    return content, len(content) + 64 + n_rows * 4096 * 2


def test_a_gguf_of_40_gb_is_planned_from_its_header(hub, tmp_path) -> None:
    content, size = gguf_header(tmp_path, 50_000, 40)
    hub.add("big-Q4_K_M.gguf", content, size)
    plan = plan_model("hf:maker/tiny", PlanOptions(window=4096, engine="llama.cpp", memory=24))
    assert 0 < plan.n_read_bytes == hub.n_sent < 16_000_000
    assert plan.weight_bytes == 40 * 10**9 // 8192 * 8192
    assert plan.cache_bytes_per_token == 2 * 8 * 256 * 2  # layers, heads, key and value, 16 bits
    assert not plan.fits


def test_m4_a_vision_part_of_the_repository_is_counted(hub, tmp_path) -> None:
    import gguf

    content, size = gguf_header(tmp_path, 1000, 1)
    hub.add("small-Q4_K_M.gguf", content, size)
    writer = gguf.GGUFWriter(str(tmp_path / "mmproj.gguf"), "clip")
    writer.add_string("clip.projector_type", "gemma3")
    for key, value in {"embedding_length": 64, "patch_size": 14, "image_size": 140}.items():
        writer.add_uint32(f"clip.vision.{key}", value)
    writer.add_tensor("v.patch_embd.weight", np.zeros((64, 588), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    hub.add("mmproj-F32.gguf", (tmp_path / "mmproj.gguf").read_bytes())
    hub.add("mmproj-F64.gguf", b"GGUF", 10**9)
    plan = plan_model("hf:maker/tiny", PlanOptions(engine="llama.cpp"))
    parts = {part.name: part.size_bytes for part in plan.parts}
    assert parts["vision part"] == len(hub.files["mmproj-F32.gguf"][0])
    assert parts["vision buffer"] == 4 * 100 * 8 * 64
    assert plan.n_read_bytes == hub.n_sent and not plan.unknown


def test_a_header_longer_than_the_bound_is_refused_within_it(hub, tmp_path) -> None:
    content, size = gguf_header(tmp_path, 1000, 1)
    # The vocabulary claims a token of 20 MB.
    key = content.index(b"token00000000") - 8
    hub.add("big.gguf", content[:key] + struct.pack("<Q", 20_000_000) + content[key + 8 :], size)
    repo = read_repo("maker/tiny")
    with pytest.raises(ModelFileError, match="longer than"):
        read_remote_header(repo, choose_files(repo, None))
    assert hub.n_sent <= MOST_GGUF_BYTES


def safetensors(name: str, n_tensors: int, n_values: int = 10**9) -> tuple[bytes, int]:
    entries, place = {}, 0
    for number in range(n_tensors):
        entries[f"model.layers.{number}.{name}.weight"] = {
            "dtype": "BF16",
            "shape": [n_values // 1000, 1000],
            "data_offsets": [place, place + 2 * n_values],
        }
        place += 2 * n_values
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header, 8 + len(header) + place


CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "num_attention_heads": 8,
    "vocab_size": 100,
}


def test_safetensors_are_planned_from_their_headers(hub) -> None:
    hub.add("config.json", json.dumps(CONFIG).encode())
    for number in range(4):
        hub.add(f"model-{number}.safetensors", *safetensors(f"part{number}", 100))
    plan = plan_model("hf:maker/tiny", PlanOptions(memory=24))
    assert plan.n_parameters == 4 * 100 * 10**9
    assert plan.weight_bytes == 2 * plan.n_parameters
    assert plan.n_read_bytes == hub.n_sent < 2_000_000
    assert not plan.unknown


def test_headers_beyond_the_bound_count_by_their_files_sizes(hub) -> None:
    hub.add("config.json", json.dumps(CONFIG).encode())
    for number in range(4):
        hub.add(f"model-{number}.safetensors", *safetensors(f"part{number}", 6000))
    plan = plan_model("hf:maker/tiny", PlanOptions(memory=24))
    assert hub.n_sent <= MOST_SAFETENSORS_BYTES
    assert plan.weight_bytes == pytest.approx(4 * 6000 * 2 * 10**9, rel=0.001)
    assert any("not read" in what for what in plan.unknown)


def test_a_server_that_sends_whole_files_only_is_left_alone(hub, tmp_path) -> None:
    hub.knows_ranges = False
    content, size = gguf_header(tmp_path, 20_000, 1)
    hub.add("big.gguf", content, size)
    with pytest.raises(FetchError, match="whole files only"):
        plan_model("hf:maker/tiny")
    assert hub.n_sent <= 2 << 20


def test_what_is_no_gguf_is_refused(hub) -> None:
    hub.add("page.gguf", b"<!doctype html>" + b" " * 1000)
    with pytest.raises(ModelFileError, match="web page"):
        plan_model("hf:maker/tiny")
