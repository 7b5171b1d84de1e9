"""What goes over the wire to a remote server and what must not; keys; the command from end to end."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import keyring
import pytest
from gguf_writer import Shape, write_random
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from homespun.cli.main import exit_code
from homespun.cli.render import print_json
from homespun.engines.conversation import Conversation
from homespun.engines.engine import GenerateOptions, Request, Step
from homespun.engines.errors import ConstraintError, RemoteError
from homespun.engines.keys import find_key, known_keys
from homespun.engines.llama_cpp_process import LlamaCppProcess, ServerSettings
from homespun.engines.providers import PROVIDERS, remote_model
from homespun.engines.remote_engine import RemoteEngine
from homespun.engines.remote_schema import keeps_to_schema, read_schema
from homespun.models.template import Message, ToolCall
from homespun.sizing.prices import Price

KEY = "key-that-nobody-may-see-4711"
Answer = Callable[[BaseHTTPRequestHandler], None]


class Recorder:
    """A local server that keeps what it was sent."""

    def __init__(self, answer: Answer) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times_s: list[float] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorder.headers.append(dict(self.headers))
                send(self, json.dumps({"object": "list", "data": [{"id": "m", "owned_by": "me"}]}), "json")

            def do_POST(self) -> None:
                recorder.times_s.append(time.monotonic())
                recorder.headers.append(dict(self.headers))
                recorder.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                answer(self)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def engine(self, **more: Any) -> RemoteEngine:
        remote = remote_model(self.url)
        assert remote is not None
        return RemoteEngine(remote, **more)


def send(handler: BaseHTTPRequestHandler, body: str, kind: str = "json", status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", {"json": "application/json", "events": "text/event-stream"}[kind])
    handler.send_header("Content-Length", str(len(body.encode())))
    handler.end_headers()
    handler.wfile.write(body.encode())


def chunk(text: str, finish: str | None = None) -> str:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'id': '1', 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


def saying(text: str) -> Answer:
    return lambda handler: send(handler, chunk(text) + chunk("", "stop") + "data: [DONE]\n\n", "events")


def ask(engine: RemoteEngine, **options: Any) -> Request:
    ids = engine.template.encode([Message("user", "Hi")])
    return Request(tuple(ids), GenerateOptions(**{"max_new_tokens": 8, **options}))


# --- the wire -------------------------------------------------------------------------------------------


def test_only_what_was_asked_for_is_sent(monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-somebody")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Secret: {KEY}")
    with Recorder(saying("Hello")) as server, server.engine() as engine:
        engine.generate([ask(engine, temperature=0.5, seed=3, stop=("a", "\n"))])
    sent = json.dumps(server.headers)
    assert KEY not in sent and "org-of-somebody" not in sent
    body = server.bodies[0]
    assert body["messages"] == [{"role": "user", "content": "Hi"}]
    assert (body["temperature"], body["seed"], body["max_tokens"], body["stop"]) == (0.5, 3, 8, ["a"])
    assert "logprobs" not in body and "response_format" not in body


def test_a_redirect_takes_neither_prompt_nor_key_along(monkeypatch) -> None:
    monkeypatch.setenv("HOMESPUN_API_KEY", KEY)

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", other.url + "/chat/completions")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with Recorder(saying("Gotcha")) as other, Recorder(elsewhere) as server, server.engine() as engine:
        with pytest.raises(RemoteError, match="redirect 307") as error:
            engine.generate([ask(engine)])
        assert KEY not in error.value.sentence()
    assert other.bodies == [] and other.headers == []


def test_a_cancel_does_not_wait_for_a_server_that_hangs() -> None:
    let_go = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()
        handler.wfile.write(chunk("Hel").encode())
        handler.wfile.flush()
        let_go.wait(30)

    with Recorder(hang) as server, server.engine() as engine:
        stream = engine.stream(ask(engine))
        steps = iter(stream)
        assert next(steps).text == "Hel"
        threading.Timer(0.05, stream.cancel).start()
        assert list(steps) == []
        assert not let_go.is_set()  # it still hangs
        assert (stream.result.text, stream.result.finish) == ("Hel", "cancelled")
        let_go.set()


def test_requests_keep_their_pace() -> None:
    with Recorder(saying("Hello")) as server, server.engine(requests_per_minute=600) as engine:
        engine.generate([ask(engine)] * 3)
    first, _, last = sorted(server.times_s)
    assert last - first > 0.15  # 0.1 s apart; never sooner


def test_without_counts_no_cost_is_claimed() -> None:
    with Recorder(saying("Hello")) as server, server.engine(price=Price(1.0, 1.0)) as engine:
        assert engine.generate([ask(engine)])[0].cost_usd is None


def test_a_held_back_beginning_of_a_stop_text_is_given_out_once() -> None:
    with Recorder(saying("Hello you")) as server, server.engine() as engine:
        result = engine.generate([ask(engine, stop=("you there",))])[0]
        assert result.text == "Hello you" == engine.tokenizer.decode(result.token_ids)


# --- what cannot be promised ----------------------------------------------------------------------------


def test_a_schema_that_was_not_kept_is_an_error() -> None:
    schema = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    assert keeps_to_schema('{"n": 3}', schema) and keeps_to_schema('{\n "n":3}\n', schema)
    for answer in ('{"n": "x"}', "{}", '{"n": 3', "Sure: {}", ""):
        assert not keeps_to_schema(answer, schema), answer
    with (
        Recorder(saying('{"n": "three"}')) as server,
        server.engine() as engine,
        pytest.raises(RemoteError, match="did not keep"),
    ):
        engine.generate([ask(engine, json_schema=schema)])
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == json.loads(schema)
    for bad in ("[", "3", '{"type": "unheard-of"}'):
        with pytest.raises(ConstraintError):
            read_schema(bad)


def test_options_that_a_provider_ignores_are_refused_before_anything_is_sent(monkeypatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    remote = remote_model("anthropic:some-model")
    assert remote is not None
    with RemoteEngine(remote) as engine:  # opening sends nothing
        for options, told in (
            ({"seed": 1}, "seed"),
            ({"json_schema": "{}"}, "json_schema"),
            ({"temperature": 1.5}, "temperature"),
            ({"n_best": 2}, "n_best"),
            ({"min_p": 0.1}, "min_p"),
        ):
            with pytest.raises(RemoteError, match=told):
                engine.stream(ask(engine, **options))
        with pytest.raises(RemoteError, match="documents"):
            engine.template.encode([Message("user", "Hi")], documents=["x"])


# --- tools ----------------------------------------------------------------------------------------------

LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def calling(*parts: dict[str, Any]) -> Answer:
    """A server whose answer is a call, sent in parts as servers do."""
    choices = [{"index": 0, "delta": {"tool_calls": [{"index": 0, **part}]}} for part in parts]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    events = [{"id": "1", "object": "chat.completion.chunk", "choices": [choice]} for choice in choices]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    return lambda handler: send(handler, body, "events")


def test_tools_are_offered_called_and_answered() -> None:
    parts = (
        {"id": "x", "type": "function", "function": {"name": "look", "arguments": ""}},
        {"function": {"arguments": '{"where": '}},
        {"function": {"arguments": '"the <user> drawer"}'}},
    )
    with Recorder(calling(*parts)) as server, server.engine() as engine:
        conversation = Conversation(engine, tools=(LOOK,))
        reply = conversation.ask("Where is it?", GenerateOptions(max_new_tokens=30))
        list(reply)
        assert reply.answer.tool_calls == (ToolCall("look", {"where": "the <user> drawer"}),)
        assert reply.answer.tool_errors == () and reply.result.finish == "stop"
        turns = [*conversation.messages, Message("tool", "under a hat")]
        ids = engine.template.encode(turns, tools=(LOOK,))
        engine.generate([Request(tuple(ids), GenerateOptions(max_new_tokens=8))])
    first, second = server.bodies
    assert first["tools"] == second["tools"] == [LOOK]
    asked, called, answered = second["messages"]
    assert asked == {"role": "user", "content": "Where is it?"}
    (call,) = called["tool_calls"]
    assert call["function"]["name"] == "look"
    assert json.loads(call["function"]["arguments"]) == {"where": "the <user> drawer"}
    assert answered == {"role": "tool", "content": "under a hat", "tool_call_id": call["id"]}


def test_an_answer_of_a_tool_that_nobody_called_is_refused() -> None:
    with Recorder(saying("Hello")) as server, server.engine() as engine:
        ids = engine.template.encode([Message("user", "Hi"), Message("tool", "under a hat")])
        with pytest.raises(RemoteError, match="nothing before it called"):
            engine.generate([Request(tuple(ids), GenerateOptions(max_new_tokens=8))])
    assert server.bodies == []


# --- keys -----------------------------------------------------------------------------------------------


class Memory(KeyringBackend):
    """A key store that forgets."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("none")


@pytest.fixture
def store(monkeypatch) -> Iterator[Memory]:
    for provider in PROVIDERS.values():
        monkeypatch.delenv(provider.key_variable, raising=False)
    before = keyring.get_keyring()
    memory = Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


def test_a_key_is_kept_listed_by_name_used_and_removed(store, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(KEY + "\n"))
    assert exit_code(["keys", "set", "openai"]) == 0
    assert store.kept == {("homespun", "openai"): KEY}
    assert find_key(PROVIDERS["openai"]) == KEY and known_keys() == {"openai": "key store"}
    assert exit_code(["keys", "list"]) == 0 and exit_code(["keys", "list", "--json"]) == 0
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    assert find_key(PROVIDERS["openai"]) == "another"
    assert exit_code(["keys", "remove", "openai"]) == 0 and store.kept == {}
    assert exit_code(["keys", "remove", "openai"]) == 2
    shown = "".join(capsys.readouterr())
    assert KEY not in shown and "key store" in shown


def test_a_key_of_a_url_is_found_however_it_is_spelt(store, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(KEY))
    assert exit_code(["keys", "set", "http://127.0.0.1:8080/v1/"]) == 0
    remote = remote_model("http://127.0.0.1:8080/v1#big")
    assert remote is not None and find_key(remote.provider) == KEY


@pytest.mark.parametrize("arguments", [["openai", KEY], [KEY], ["https://" + KEY + "@host/v1"]])
def test_a_key_typed_as_an_argument_is_not_repeated(store, monkeypatch, capsys, arguments) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("x"))
    assert exit_code(["keys", "set", *arguments, "--json"]) == 2
    assert KEY not in "".join(capsys.readouterr()) and store.kept == {}


def test_no_key_store_is_one_sentence(store, monkeypatch, capsys) -> None:
    from keyring.backends.fail import Keyring

    keyring.set_keyring(Keyring())
    monkeypatch.setattr("sys.stdin", StringIO(KEY))
    assert exit_code(["keys", "set", "openai"]) == 2
    told = capsys.readouterr().err
    assert "key store cannot be used" in told and KEY not in told and told.count("\n") == 1


# --- from end to end ------------------------------------------------------------------------------------


def test_run_with_a_url(tmp_path, monkeypatch, capsys) -> None:
    process = LlamaCppProcess(
        ServerSettings(write_random(tmp_path / "a.gguf", Shape()), 512, 1, 1, "f16"), []
    )
    try:
        monkeypatch.setenv("HOMESPUN_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("HOMESPUN_API_KEY", process._key)
        url = f"http://127.0.0.1:{process._port}/v1"
        (tmp_path / "home").mkdir()
        table = {url: {"input": 1e6, "output": 0}}  # a dollar a token read
        (tmp_path / "home" / "prices.json").write_text(json.dumps(table))
        assert exit_code(["run", "-m", url, "Hello", "--max-new-tokens", "4", "--json"]) == 0
        printed = capsys.readouterr()
        answer = json.loads(printed.out)
        assert answer["finish"] in ("length", "stop") and answer["tokens"]["prompt"] > 3
        assert answer["engine"]["engine"] == "remote"
        assert answer["cost_usd"] == answer["tokens"]["prompt"]
        assert process._key not in printed.out + printed.err
        monkeypatch.setenv("HOMESPUN_API_KEY", KEY)
        assert exit_code(["run", "-m", url, "Hello", "--json"]) == 2
        printed = capsys.readouterr()
        assert KEY not in printed.out + printed.err and printed.err.count("\n") == 1
        assert "refuses the key" in json.loads(printed.out)["error"]["message"]
    finally:
        process.close()


def test_preparing_opens_no_socket() -> None:
    code = """
import sys
attempts = []
sys.addaudithook(lambda event, _: attempts.append(event) if event.startswith("socket.") else None)
from homespun.engines.providers import remote_model
from homespun.engines.remote_engine import RemoteEngine
with RemoteEngine(remote_model("anthropic:some-model")) as engine:
    engine.tokenizer.count("Hello there")
print([event for event in attempts if event != "socket.gethostname"])
"""
    environment = {**os.environ, "ANTHROPIC_API_KEY": KEY}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_an_unknown_probability_is_null_in_json(capsys) -> None:
    print_json({"steps": (Step(1, "a", float("nan")),)})
    (step,) = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)["steps"]
    assert step["log_probability"] is None
