"""The child process that llama.cpp runs in: started, asked over loopback, restarted when it is gone."""

import contextlib
import http.client
import json
import secrets
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from homespun.engines.errors import EngineError

_CHILD = Path(__file__).with_name("llama_cpp_child.py")


QUIET, TALKATIVE = 1, 3  # llama.cpp's verbosity


@dataclass(frozen=True)
class ServerSettings:
    """What the server is started with; all sizes are set, none is left to its defaults.

    With `embedding` it gives vectors, pooled as the model's file says or by `pooling` (mean, cls or last).
    """

    model_path: Path
    n_context: int
    n_slots: int
    n_threads: int
    cache_type: str
    device: str = "auto"
    embedding: bool = False
    pooling: str = ""


class LlamaCppProcess:
    """One running server. `ask` may be called from several threads."""

    def __init__(self, settings: ServerSettings, adapter_paths: Sequence[Path]) -> None:
        """Start it and wait until the model is loaded.

        Raises:
            EngineError: xllamacpp is not installed, or llama.cpp refused the model; with its reason.
        """
        self._key = secrets.token_urlsafe(24)
        self._idle: deque[http.client.HTTPConnection] = deque()
        started = {
            "model_path": str(settings.model_path),
            "key": self._key,
            "n_context": settings.n_context,
            "n_slots": settings.n_slots,
            "n_threads": settings.n_threads,
            "cache_type": settings.cache_type,
            "device": settings.device,
            "embedding": settings.embedding,
            "pooling": settings.pooling,
            "adapter_paths": [str(path) for path in adapter_paths],
        }
        answer = self._launch({**started, "verbosity": QUIET})
        if answer is None:  # only a talkative one says why, and it would log every request
            answer = self._launch({**started, "verbosity": TALKATIVE})
        if answer is None:
            raise EngineError(
                f"llama.cpp could not load the model ({self._last_words()})",
                where=str(settings.model_path),
                remedy="Use another model, or a smaller window if memory is short.",
            )
        if "missing" in answer:
            self.close()
            raise EngineError(
                f"this build of llama.cpp has no {answer['missing']} device here",
                remedy="Use --device cpu, or install an xllamacpp that is built for this GPU.",
            )
        self.gpus: tuple[str, ...] = tuple(answer["gpus"])
        self.version: str = answer["version"]
        self._port = urlsplit(answer["address"]).port or 0

    def _launch(self, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """Start the child; what it says once the model is loaded, None where it ended before that."""
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            [sys.executable, str(_CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # an interrupt at the terminal is ours to handle
        )
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(OSError):  # it is gone already: its log says why
            print(json.dumps(settings), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith('{"address"'):
                answer: dict[str, Any] = json.loads(line)
                return answer
        self._process.wait()
        return None

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request, POST where there is a body.

        Raises:
            ConnectionError: the process is gone or did not answer.
            EngineError: it answered with an error.
        """
        data = None if body is None else json.dumps(body)
        try:
            status, text = self._exchange(path, data)
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(str(error)) from None
        answer: dict[str, Any] = json.loads(text)
        if status != 200:
            raise EngineError(
                f"llama.cpp refused the request ({answer.get('error', {}).get('message', answer)})"
            )
        return answer

    def _exchange(self, path: str, data: str | None) -> tuple[int, bytes]:
        """One request over a connection that is kept for the next one: status and text of the answer.

        There are never more connections than requests at once, so each finds a thread of the server.
        """
        try:
            return self._send(self._idle.pop(), path, data)
        except IndexError:
            pass  # all are in use
        except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected):
            pass  # the server closes what was idle for 5 s; if it is gone, the new one says so
        return self._send(http.client.HTTPConnection("127.0.0.1", self._port), path, data)

    def _send(self, connection: http.client.HTTPConnection, path: str, data: str | None) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        try:
            connection.request("GET" if data is None else "POST", path, data, headers)
            response = connection.getresponse()
            text = response.read()
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:  # it is closed where the server asked for that
            self._idle.append(connection)
        return response.status, text

    def close(self) -> None:
        """End it: kindly, then by force."""
        while self._idle:
            self._idle.pop().close()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _last_words(self) -> str:
        """The part of its log that says most about why it ended."""
        self._log.seek(0)
        lines = [line.strip() for line in self._log.read().decode("utf-8", "replace").splitlines()]
        self._log.close()
        for line in lines:
            _, found, reason = line.partition("error loading model: ")
            if found:
                return reason[:300]
        errors = [line for line in lines if "error" in line.lower()] or [line for line in lines if line]
        return errors[-1][:300] if errors else f"it ended with code {self._process.returncode}"
