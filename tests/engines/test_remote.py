"""Remote models: a real OpenAI-compatible server (llama.cpp's), and a server that fails in each known way."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from gguf_writer import Shape, write_random, write_script
from hypothesis import given
from hypothesis import strategies as st

from homespun.engines.engine import EngineOptions, GenerateOptions, Request, ScoreRequest
from homespun.engines.errors import AdapterError, ConstraintError, RemoteError
from homespun.engines.llama_cpp_process import LlamaCppProcess, ServerSettings
from homespun.engines.load import load_engine
from homespun.engines.providers import PROVIDERS, remote_model
from homespun.engines.remote_engine import RemoteEngine
from homespun.engines.remote_text import RemoteTemplate, RemoteTokenizer
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.template import Message
from homespun.models.tokenizer import Tokenizer
from homespun.sizing.prices import Price

KEY = "key-that-nobody-may-see-4711"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[LlamaCppProcess]:
    """llama.cpp's server on a tiny random model."""
    path = write_random(tmp_path_factory.mktemp("remote") / "tiny.gguf", Shape())
    process = LlamaCppProcess(ServerSettings(path, 1024, 2, 1, "f16"), [])
    yield process
    process.close()


@pytest.fixture
def engine(server, monkeypatch) -> Iterator[RemoteEngine]:
    monkeypatch.setenv("HOMESPUN_API_KEY", server._key)
    remote = remote_model(f"http://127.0.0.1:{server._port}/v1")
    assert remote is not None
    with RemoteEngine(remote, price=Price(1.0, 10.0)) as opened:
        yield opened


def ask(engine: RemoteEngine, text: str, **options: object) -> Request:
    ids = engine.template.encode([Message("system", "Be kind."), Message("user", text)])
    return Request(tuple(ids), GenerateOptions(**{"max_new_tokens": 6, **options}))  # type: ignore[arg-type]


# --- text and ids ---------------------------------------------------------------------------------------


@given(st.text())
def test_text_comes_back_from_its_pieces(text: str) -> None:
    tokenizer = RemoteTokenizer()
    ids, spans = tokenizer.encode_with_offsets(text)
    assert tokenizer.decode(ids) == text
    assert "".join(text[start:end] for start, end in spans) == text
    assert not set(ids) & tokenizer.control_ids


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text()), min_size=1))
def test_messages_come_back_from_their_ids(turns: list[tuple[str, str]]) -> None:
    tokenizer = RemoteTokenizer()
    messages = [Message(role, text) for role, text in turns]  # type: ignore[arg-type]
    back = tokenizer.chat(RemoteTemplate(tokenizer).encode(messages)).messages
    assert back == [{"role": role, "content": text} for role, text in turns]


def test_plain_text_is_one_user_message() -> None:
    tokenizer = RemoteTokenizer()
    assert tokenizer.chat(tokenizer.encode("Hi <user> there")).messages == [
        {"role": "user", "content": "Hi <user> there"}
    ]


def test_a_text_counts_about_as_many_pieces_as_tokens(starter_gguf) -> None:
    text = "The clinic keeps children's records until the patient is 25 years old, as the law asks. " * 5
    true = Tokenizer.from_gguf(read_gguf(starter_gguf)).count(text)
    assert 0.7 < RemoteTokenizer().count(text) / true < 1.6


# --- the real server ------------------------------------------------------------------------------------


def test_an_answer_with_its_counts_alternatives_and_cost(engine) -> None:
    result = engine.generate([ask(engine, "Hello", n_best=3)])[0]
    assert result.finish == "length" and len(result.steps) <= 6
    assert result.text == "".join(step.text for step in result.steps)
    whole = [step for step in result.steps if step.best]
    assert whole and all(len(step.best) == 3 for step in whole)
    for step in whole:  # greedy: the token is its own best alternative
        assert step.best[0].log_probability == pytest.approx(step.log_probability)
        assert math.exp(step.log_probability) <= 1
    assert result.cost_usd == pytest.approx((result.n_prompt_tokens + 60) / 1e6)
    assert result.n_prompt_tokens > 20  # the server counts its own template, too


def test_the_same_seed_gives_the_same_text_and_several_run_at_once(engine) -> None:
    requests = [ask(engine, "Tell me", temperature=1.0, seed=seed) for seed in (1, 2, 1, 3)]
    texts = [result.text for result in engine.generate(requests)]
    assert texts[0] == texts[2]
    assert len(set(texts)) > 1


def test_a_cancelled_stream_ends(engine) -> None:
    stream = engine.stream(ask(engine, "Go on", max_new_tokens=400))
    for _ in stream:
        stream.cancel()
    assert stream.result.finish == "cancelled"
    assert len(stream.result.steps) < 400


def test_stop_texts_are_ours(tmp_path, monkeypatch) -> None:
    tokenizer = Tokenizer.from_gguf(read_gguf(write_random(tmp_path / "a.gguf", Shape())))
    last = tokenizer.encode("\n")[-1]  # what the template ends with
    chain = [last, *tokenizer.encode("abcdefg")]
    path = write_script(tmp_path / "script.gguf", Shape(), chain)
    process = LlamaCppProcess(ServerSettings(path, 512, 1, 1, "f16"), [])
    try:
        monkeypatch.setenv("HOMESPUN_API_KEY", process._key)
        remote = remote_model(f"http://127.0.0.1:{process._port}/v1")
        assert remote is not None
        with RemoteEngine(remote) as engine:
            assert engine.generate([ask(engine, "x", max_new_tokens=5)])[0].text == "abcde"
            stopped = engine.generate([ask(engine, "x", max_new_tokens=7, stop=("cd",))])[0]
            assert (stopped.text, stopped.finish) == ("ab", "stop")
    finally:
        process.close()


def test_a_json_schema_is_obeyed_by_a_server_that_knows_it(engine) -> None:
    schema = json.dumps({"enum": ["red", "blue"]})
    result = engine.generate([ask(engine, "Colour?", json_schema=schema, max_new_tokens=30)])[0]
    assert json.loads(result.text) in ("red", "blue")


def test_what_a_server_cannot_do_is_refused(engine, tmp_path) -> None:
    ids = engine.tokenizer.encode("some text here")
    for call in (
        lambda: engine.score([ScoreRequest(tuple(ids), 1)]),
        lambda: engine.distributions(ids),
        lambda: engine.generate([ask(engine, "x", n_best=101)]),
    ):
        with pytest.raises(RemoteError):
            call()
    with pytest.raises(AdapterError):
        engine.load_adapter("mine", tmp_path)
    with pytest.raises(ConstraintError):
        engine.generate([ask(engine, "x", regex="a+")])


# --- a server that fails --------------------------------------------------------------------------------

Answer = Callable[[BaseHTTPRequestHandler], None]


class _Faulty:
    """A local server; `answers` are given in turn to chat requests."""

    def __init__(self, *answers: Answer) -> None:
        self.n_asked = 0
        faulty = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _send(self, 200, json.dumps({"object": "list", "data": [_MODEL]}))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                faulty.n_asked += 1
                answers[min(faulty.n_asked, len(answers)) - 1](self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


_MODEL = {"id": "m", "object": "model", "created": 0, "owned_by": "somebody"}


def _send(handler: BaseHTTPRequestHandler, status: int, body: str, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body.encode())))
    handler.end_headers()
    handler.wfile.write(body.encode())


def _chunk(text: str, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


def good(handler: BaseHTTPRequestHandler) -> None:
    body = _chunk("Hello ") + _chunk("you.") + _chunk("", "stop") + "data: [DONE]\n\n"
    _send(handler, 200, body, Content_Type="text/event-stream")


def refused(status: int, message: str, **headers: str) -> Answer:
    return lambda handler: _send(handler, status, json.dumps({"error": {"message": message}}), **headers)


def html(handler: BaseHTTPRequestHandler) -> None:
    _send(handler, 200, "<html><body>Log in, please</body></html>", Content_Type="text/html")


def cut(handler: BaseHTTPRequestHandler) -> None:
    _send(handler, 200, _chunk("Hel"), Content_Type="text/event-stream")


def silent(handler: BaseHTTPRequestHandler) -> None:
    threading.Event().wait(3)


FAULTS = {
    "wrong key": (refused(401, f"Incorrect API key provided: {KEY}"), "refuses the key"),
    "no permission": (refused(403, "no"), "does not allow"),
    "no model": (refused(404, "no such model"), "has no model"),
    "html": (html, "without finishing|OpenAI-compatible"),
    "cut": (cut, "without finishing"),
    "too long": (refused(400, "context length exceeded"), "error 400"),
    "slow": (silent, "did not answer in time"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_failure_is_one_sentence_without_the_key(name, monkeypatch) -> None:
    answer, told = FAULTS[name]
    monkeypatch.setenv("HOMESPUN_API_KEY", KEY)
    monkeypatch.setattr("homespun.engines.remote_client.MAX_RETRIES", 0)
    server = _Faulty(answer)
    try:
        remote = remote_model(server.url)
        assert remote is not None
        with RemoteEngine(remote, timeout_s=0.5) as engine:
            assert KEY not in repr(engine._client) + repr(engine.facts)
            with pytest.raises(RemoteError, match=told) as error:
                engine.generate([ask(engine, "Hi")])
            assert KEY not in error.value.sentence()
            assert "\n" not in error.value.sentence()
    finally:
        server.close()


def test_a_busy_server_is_asked_again(monkeypatch) -> None:
    monkeypatch.setenv("HOMESPUN_API_KEY", KEY)
    server = _Faulty(refused(429, "slow down", Retry_After="0"), good)
    try:
        remote = remote_model(server.url)
        assert remote is not None
        with RemoteEngine(remote) as engine:
            result = engine.generate([ask(engine, "Hi")])[0]
        assert (result.text, result.finish, server.n_asked) == ("Hello you.", "stop", 2)
    finally:
        server.close()


def test_a_sampling_option_that_might_be_ignored_is_refused(monkeypatch) -> None:
    server = _Faulty(good)
    try:
        remote = remote_model(server.url)
        assert remote is not None
        with RemoteEngine(remote) as engine, pytest.raises(RemoteError, match="top_k"):
            engine.generate([ask(engine, "Hi", top_k=5, temperature=1.0)])
        assert server.n_asked == 0
    finally:
        server.close()


# --- names ----------------------------------------------------------------------------------------------


def test_names() -> None:
    assert remote_model("smollm2") is None
    assert remote_model("ollama:smollm2:135m") is None  # a file of Ollama's, not its server
    assert remote_model("folder/model.gguf") is None
    for name, provider in PROVIDERS.items():
        remote = remote_model(f"{name}:some/model:1")
        assert remote is not None and remote.provider is provider and remote.model == "some/model:1"
        assert remote.shown == f"{name}:some/model:1"
    remote = remote_model("http://127.0.0.1:8080/v1/#big")
    assert remote is not None and (remote.provider.base_url, remote.model) == (
        "http://127.0.0.1:8080/v1",
        "big",
    )
    for address in ("https://user:secret@host/v1", "https://host/v1?api_key=secret"):
        with pytest.raises(RemoteError) as error:
            remote_model(address)
        assert "secret" not in error.value.sentence()


def test_a_provider_without_its_key_is_told_how_to_give_it(home: Home, monkeypatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(RemoteError, match="OPENAI_API_KEY"):
        load_engine(home, "openai:some-model")


def test_nobody_there(home: Home) -> None:
    with pytest.raises(RemoteError, match="cannot be reached"):
        load_engine(home, "http://127.0.0.1:9/v1", EngineOptions())
