"""A server's chunks read in a thread of their own, so that the one who waits for them can leave at any time."""

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any


class ChunkReader:
    """Reads as soon as it is made. Iterate once; `cancel` ends the iteration at once, from any thread.

    The connection is closed with the next thing that the server sends, or when it times out.
    """

    def __init__(self, chunks: Iterator[Any]) -> None:
        self._chunks = chunks
        self._read: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._is_cancelled = Event()
        self._thread = Thread(target=self._run, name="homespun remote answer", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        while True:
            kind, value = self._read.get()
            if kind == "end" or self._is_cancelled.is_set():
                return
            if kind == "error":
                raise value
            yield value

    def cancel(self) -> None:
        """Stop reading."""
        self._is_cancelled.set()
        self._read.put(("end", None))

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if self._is_cancelled.is_set():
                    break
                self._read.put(("chunk", chunk))
        except BaseException as error:  # told to the one who waits
            self._read.put(("error", error))
        finally:
            self._chunks.close()  # type: ignore[attr-defined]
            self._read.put(("end", None))
