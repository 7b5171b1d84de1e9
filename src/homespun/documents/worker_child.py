"""The process that reads files for a `ReadingPool`; it imports readers and nothing else of the program.

Requests and answers are JSON with its length before it. JSON, because a broken file may take over the
native library that reads it, and unpickling what such a process says would hand that on.
"""

import contextlib
import json
import os
import signal
import struct
import sys
from dataclasses import astuple
from pathlib import Path
from typing import IO, Any

from homespun.documents import pulse
from homespun.documents.document import Document, Heading, Page, Place
from homespun.documents.read import TOO_LARGE, ReadOptions, read_document, shown_name

_LENGTH = struct.Struct("<Q")
#: So many times its time a file may take by the clock where other work keeps the processor busy.
PATIENCE = 4
#: A child whose parent was killed ends by itself so long after that.
ORPHAN_S = 10.0


def send(pipe: IO[bytes], message: Any) -> None:
    """Write one message."""
    data = json.dumps(message, separators=(",", ":")).encode("ascii")
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """The next message; None at the end of the pipe."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _LENGTH.unpack(head)[0]
    data = pipe.read(size)
    return json.loads(data) if len(data) == size else None


def packed(document: Document) -> dict[str, Any]:
    """A document as what JSON can hold, all but its path."""
    return {
        "name": document.name,
        "text": document.text,
        "pages": [astuple(page) for page in document.pages],
        "headings": [astuple(heading) for heading in document.headings],
        "status": document.status,
        "reason": document.reason,
        "digest": document.digest,
        "rows": document.rows,
        "places": [(place.start, place.end, place.label) for place in document.places],
    }


def unpacked(path: Path, message: dict[str, Any]) -> Document:
    """The document that `packed` packed."""
    return Document(
        path,
        message["name"],
        message["text"],
        tuple(Page(*page) for page in message["pages"]),
        tuple(Heading(*heading) for heading in message["headings"]),
        message["status"],
        message["reason"],
        message["digest"],
        tuple((start, end) for start, end in message["rows"]),
        tuple(Place(*place) for place in message["places"]),
    )


def main() -> None:
    """Read what stdin asks for until it ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # what a library prints must not come between the answers
    os.dup2(quiet, 2)
    with contextlib.suppress(ValueError, OSError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt ends
    while (request := receive(requests)) is not None:
        _limit_memory(request["memory_bytes"])
        seconds = PATIENCE * request["timeout_s"] + ORPHAN_S

        def beat(seconds: float = seconds) -> None:
            _limit_time(seconds)
            send(answers, "beat")

        pulse.listen(beat)
        _limit_time(seconds)
        document = _read(request)
        _limit_time(0)
        _limit_memory(None)  # the text was read: that it is written out once more is no fault of the file
        send(answers, packed(document) | {"peak_bytes": _peak_bytes()})


def _read(request: dict[str, Any]) -> Document:
    path, name = Path(request["path"]), request["name"]
    try:
        return read_document(path, name, request["member"], options=ReadOptions(**request["options"]))
    except MemoryError:
        _limit_memory(None)  # also saying so needs some
    return Document(path, shown_name(name), "", (), (), "not read", TOO_LARGE, "")


def _limit_time(seconds: float) -> None:
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever native code it is in
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _peak_bytes() -> int:
    """The most memory that this process has held so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _limit_memory(n_bytes: int | None) -> None:
    """Bound the address space; None lifts the bound. Where the system has no such thing, the parent looks."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        soft = hard if n_bytes is None else n_bytes
        if hard != resource.RLIM_INFINITY:
            soft = min(soft, hard) if soft != resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


if __name__ == "__main__":
    main()
