"""Pulling, against real servers on this machine that speak the hub's and Ollama's protocols and misbehave."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from homespun.models import download, package_index
from homespun.models import pull as pull_module
from homespun.models.errors import FetchError, HomeError, ModelFileError
from homespun.models.pull import PullOptions, pull_model

COMMIT = "c0ffee" + "0" * 34
TOKEN = "hf_secret_of_the_test"


class Server(ThreadingHTTPServer):
    """One port; remembers who asked what with which login and range."""

    daemon_threads = True

    def __init__(self, answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[tuple[str, str, str]] = []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        login, asked = self.headers.get("Authorization", ""), self.headers.get("Range", "")
        self.server.asked.append((self.path, login, asked))
        self.server.answer(self)

    def log_message(self, *_) -> None:
        pass

    def reply(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", str(len(content))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


class Hub:
    """A hub on one port, which sends large files from another one."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.listed: dict[str, str] = {}
        self.small: set[str] = set()
        self.needs_token = False
        self.cuts: list[int] = []
        self.after_cut: bytes | None = None
        self.front = Server(self.answer)
        self.store = Server(self.send)

    def close(self) -> None:
        for server in (self.front, self.store):
            server.shutdown()
            server.server_close()

    def sibling(self, path: str, content: bytes) -> dict:
        git_id = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        entry = {"rfilename": path, "size": len(content), "blobId": git_id}
        if path not in self.small:
            sha256 = self.listed.get(path) or hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
        return entry

    def answer(self, request: Handler) -> None:
        if self.needs_token and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return request.reply(401)
        if request.path == "/api/models/maker/tiny/revision/main?blobs=true":
            siblings = [self.sibling(path, content) for path, content in self.files.items()]
            listing = {"sha": COMMIT, "siblings": siblings, "tags": ["gguf", "license:apache-2.0"]}
            return request.reply(200, json.dumps(listing).encode())
        path = request.path.removeprefix(f"/maker/tiny/resolve/{COMMIT}/")
        if path in self.small:
            return request.reply(200, self.files[path])
        if path in self.files:
            return request.reply(302, Location=f"{self.store.url}/{path}?Signature=of-the-store")
        return request.reply(404)

    def send(self, request: Handler) -> None:
        content = self.files[request.path[1:].partition("?")[0]]
        asked = request.headers.get("Range")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        end = len(content)
        extra = {"Content_Range": f"bytes {start}-{end - 1}/{end}"} if asked else {}
        if self.cuts:
            stop = start + self.cuts.pop(0)
            request.reply(206 if asked else 200, content[start:stop], length=str(end - start), **extra)
            if self.after_cut is not None:
                self.files[request.path[1:].partition("?")[0]] = self.after_cut
            request.close_connection = True
            return
        request.reply(206 if asked else 200, content[start:], **extra)


@pytest.fixture
def hub(monkeypatch):
    made = Hub()
    monkeypatch.setenv("HF_ENDPOINT", made.front.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(download, "FIRST_WAIT_S", 0.0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def model_bytes(byte_level_gguf) -> bytes:
    return byte_level_gguf("gpt-2", r"\s*\S+\s*").read_bytes()


def parts(home) -> list:
    return list(home.root.rglob("*.part"))


def test_the_only_file_is_pulled_and_registered_and_the_token_stays_with_the_hub(
    hub, home, model_bytes, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.needs_token = True
    hub.files = {"tiny.Q8_0.gguf": model_bytes, "mmproj-tiny.gguf": b"x", "README.md": b"y"}
    told = []
    pulled = pull_model(home, "hf:maker/tiny", PullOptions(name="mine"), lambda *step: told.append(step))
    assert pulled.path.read_bytes() == model_bytes and home.model("mine").path == pulled.path
    assert (pulled.licence, pulled.source) == ("apache-2.0", f"hf:maker/tiny@{COMMIT}")
    assert {login for _, login, _ in hub.front.asked} == {f"Bearer {TOKEN}"}
    assert {login for _, login, _ in hub.store.asked} == {""}
    assert ("Fetching tiny.Q8_0.gguf", len(model_bytes), len(model_bytes)) in told
    assert not parts(home)
    before = len(hub.store.asked)
    pull_model(home, "hf:maker/tiny")
    assert len(hub.store.asked) == before


def test_cut_connections_go_on_where_they_stopped(hub, home, model_bytes):
    hub.files = {"a.gguf": model_bytes}
    hub.cuts = [1000, 5000]
    assert pull_model(home, "hf:maker/tiny").path.read_bytes() == model_bytes
    assert [asked for _, _, asked in hub.store.asked] == ["", "bytes=1000-", "bytes=6000-"]


def test_an_interrupt_leaves_a_part_that_the_next_pull_goes_on_with(hub, home, model_bytes):
    hub.files = {"a.gguf": model_bytes}

    def interrupt(what: str, done: float, total: float | None) -> None:
        if what.startswith("Fetching") and done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull_model(home, "hf:maker/tiny", progress=interrupt)
    (part,) = parts(home)
    have = part.stat().st_size
    assert have > 0 and not home.models()
    if have < len(model_bytes):
        hub.store.asked.clear()
        assert pull_model(home, "hf:maker/tiny").path.read_bytes() == model_bytes
        assert hub.store.asked[0][2] == f"bytes={have}-"
    assert pull_model(home, "hf:maker/tiny").path.read_bytes() == model_bytes


def test_a_file_that_changed_between_two_pulls_is_never_mixed(hub, home, model_bytes):
    hub.files = {"a.gguf": bytes(len(model_bytes))}
    hub.cuts = [4000] + [0] * 10
    with pytest.raises(FetchError, match="given up"):
        pull_model(home, "hf:maker/tiny")
    assert len(parts(home)) == 1
    hub.files, hub.cuts = {"a.gguf": model_bytes}, []
    hub.store.asked.clear()
    assert pull_model(home, "hf:maker/tiny").path.read_bytes() == model_bytes
    assert [asked for _, _, asked in hub.store.asked] == [""]
    assert not parts(home)


def test_a_file_that_changes_while_it_is_pulled_starts_anew(hub, home, model_bytes):
    hub.listed["a.gguf"] = hashlib.sha256(model_bytes).hexdigest()
    hub.files, hub.cuts, hub.after_cut = {"a.gguf": bytes(len(model_bytes))}, [4000], model_bytes
    assert pull_model(home, "hf:maker/tiny").path.read_bytes() == model_bytes
    assert [asked for _, _, asked in hub.store.asked] == ["", "bytes=4000-", ""]


def test_wrong_bytes_are_refused_and_leave_nothing(hub, home, model_bytes):
    hub.files, hub.listed = {"a.gguf": model_bytes}, {"a.gguf": "0" * 64}
    with pytest.raises(FetchError, match="not the expected one"):
        pull_model(home, "hf:maker/tiny")
    assert not home.models() and not parts(home) and not list(home.root.rglob("*.gguf"))


def test_a_whole_download_of_no_model_is_refused(hub, home):
    hub.files = {"a.gguf": b"<!doctype html>"}
    with pytest.raises(ModelFileError, match="web page"):
        pull_model(home, "hf:maker/tiny")
    assert not home.models()


@pytest.mark.parametrize("token", [None, "hf_wrong_one"])
def test_a_closed_repository_asks_for_licence_and_token_and_never_shows_it(hub, home, monkeypatch, token):
    hub.needs_token = True
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(FetchError, match=r"not open to you.*accept its licence.*HF_TOKEN") as caught:
        pull_model(home, "hf:maker/tiny")
    assert "\n" not in str(caught.value) and "hf_wrong_one" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hf:maker/none", "no such thing: the repository maker/none"),
        ("hf:none", "written owner/name"),
        ("hf:../x/y", "written owner/name"),
        ("maker/tiny", "hf:owner/repo"),
        ("ollama:a b", "name:tag"),
    ],
)
def test_names_that_mean_nothing(hub, home, name, says):
    with pytest.raises(FetchError, match=says):
        pull_model(home, name)


def test_a_server_that_is_not_there_and_one_that_never_answers(hub, home, monkeypatch):
    monkeypatch.setattr(package_index, "TIMEOUT_S", 0.05)
    released = threading.Event()
    slow = Server(lambda request: released.wait(5))
    monkeypatch.setenv("HF_ENDPOINT", slow.url)
    with pytest.raises(FetchError, match=r"cannot be reached .*timed out"):
        pull_model(home, "hf:maker/tiny")
    released.set()
    slow.shutdown()
    slow.server_close()
    with pytest.raises(FetchError, match=r"cannot be reached \(Connection refused"):
        pull_model(home, "hf:maker/tiny")


def test_several_models_are_listed_unless_one_is_named_or_is_q4_k_m(hub, home, model_bytes, monkeypatch):
    monkeypatch.setattr(pull_module, "memory_bytes", lambda: 2 * len(model_bytes))
    hub.files = {"t.Q8_0.gguf": model_bytes, "t.F16.gguf": bytes(2 * len(model_bytes))}
    with pytest.raises(FetchError) as caught:
        pull_model(home, "hf:maker/tiny")
    assert "t.Q8_0.gguf (0.00 GB, fits here)" in str(caught.value)
    assert "t.F16.gguf (0.00 GB, too large for this machine's memory)" in str(caught.value)
    assert not hub.store.asked
    assert pull_model(home, "hf:maker/tiny:q8_0").path.name == "t.Q8_0.gguf"
    hub.files["t.Q4_K_M.gguf"] = model_bytes + b"!"
    assert pull_model(home, "hf:maker/tiny").path.name == "t.Q4_K_M.gguf"
    with pytest.raises(FetchError, match="no one GGUF model 'Q2'"):
        pull_model(home, "hf:maker/tiny:Q2")


def test_what_does_not_fit_the_disk_is_not_begun(hub, home, model_bytes, monkeypatch):
    hub.files = {"a.gguf": model_bytes}
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(HomeError, match="too full"):
        pull_model(home, "hf:maker/tiny")
    assert not hub.store.asked


def test_files_that_would_leave_the_folder_or_run_are_not_fetched(hub, home):
    hub.files = {"../../evil.gguf": b"x", "pytorch_model.bin": b"y", "modeling.py": b"z"}
    with pytest.raises(FetchError, match="neither GGUF nor safetensors"):
        pull_model(home, "hf:maker/tiny")


def test_of_a_folder_only_data_is_fetched_and_a_wrong_small_file_is_refused(hub, home):
    hub.small = {"config.json", "tokenizer.json", "modeling.py"}
    hub.files = dict.fromkeys(("config.json", "tokenizer.json", "modeling.py"), b"{}")
    hub.files |= {"model.safetensors": b"w" * 100, "pytorch_model.bin": b"p"}
    with pytest.raises(ModelFileError):  # this is no real folder: it is checked once all of it is here
        pull_model(home, "hf:maker/tiny")
    folder = home.models_path / "maker--tiny"
    assert {path.name for path in folder.iterdir()} == {"config.json", "tokenizer.json", "model.safetensors"}
    original = Hub.sibling
    hub.sibling = lambda path, content: {**original(hub, path, content), "blobId": "0" * 40}
    with pytest.raises(FetchError, match=r"config\.json is not the file"):
        pull_model(home, "hf:maker/tiny")


def test_ollamas_manifest_leads_to_the_weights(home, model_bytes, monkeypatch):
    sha256 = hashlib.sha256(model_bytes).hexdigest()
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "1" * 64, "size": 3},
        {
            "mediaType": "application/vnd.ollama.image.model",
            "digest": f"sha256:{sha256}",
            "size": len(model_bytes),
        },
    ]

    def answer(request: Handler) -> None:
        known = {
            "/v2/library/tiny/manifests/135m": json.dumps({"layers": layers}).encode(),
            f"/v2/library/tiny/blobs/sha256:{sha256}": model_bytes,
        }
        content = known.get(request.path)
        request.reply(404) if content is None else request.reply(200, content)

    server = Server(answer)
    monkeypatch.setenv("HOMESPUN_OLLAMA_REGISTRY", server.url)
    pulled = pull_model(home, "ollama:tiny:135m")
    assert pulled.path.read_bytes() == model_bytes and pulled.model in home.models()
    with pytest.raises(FetchError, match="no such thing: the Ollama model tiny:7b"):
        pull_model(home, "ollama:tiny:7b")
    server.shutdown()
    server.server_close()
