"""Vectors from a GGUF file by llama.cpp, in a process of its own."""

import contextlib
from functools import cached_property
from pathlib import Path

import numpy as np

from homespun.engines.errors import EngineError
from homespun.engines.llama_cpp_process import LlamaCppProcess, ServerSettings
from homespun.engines.processor import usable_threads
from homespun.models.digest import file_digest
from homespun.models.gguf import read_gguf
from homespun.retrieval.embedders.counted import CountedEmbedder, FloatArray
from homespun.retrieval.errors import EmbedderError

#: Longest text: passages are far shorter, and memory grows with it.
MAX_WINDOW = 2048
_POOLED_ALONE = "pooling_type"


class GGUFEmbedder(CountedEmbedder):
    """An embedding model, pooled as its file says, or any language model with the mean of its states."""

    _batch_size = 8

    def __init__(self, name: str, path: Path, prefixes: tuple[str, str] = ("", ""), threads: int = 0) -> None:
        """Read the file's header; llama.cpp starts with the first `embed`.

        Raises:
            ModelFileError: no whole, well-formed GGUF.
            EmbedderError: a file that states no sizes.
        """
        file = read_gguf(path)
        architecture = str(file.metadata.get("general.architecture", ""))
        dimensions = file.metadata.get(f"{architecture}.embedding_length")
        window = file.metadata.get(f"{architecture}.context_length")
        if not isinstance(dimensions, int) or not isinstance(window, int):
            raise EmbedderError("This GGUF file does not state its sizes.", where=str(path))
        self._path = file.path
        self._window = min(int(window), MAX_WINDOW)
        self._threads = threads or usable_threads()
        self._pooling = "" if f"{architecture}.{_POOLED_ALONE}" in file.metadata else "mean"
        identity = f"{file_digest(file.path)} {self._pooling} {prefixes}"
        super().__init__(name, identity, int(dimensions), self._window - 4, prefixes)

    @cached_property
    def _process(self) -> LlamaCppProcess:
        settings = ServerSettings(
            model_path=self._path,
            n_context=self._window,
            n_slots=1,
            n_threads=self._threads,
            cache_type="f16",
            device="cpu",
            embedding=True,
            pooling=self._pooling,
        )
        return LlamaCppProcess(settings, ())

    def _vectors(self, texts: list[str]) -> FloatArray:
        try:
            answer = self._process.ask("/v1/embeddings", {"input": texts})
        except ConnectionError:  # it is gone: once more, in a new one
            self.close()
            answer = self._process.ask("/v1/embeddings", {"input": texts})
        except EngineError as error:
            raise EmbedderError(f"{self.name} could not read a text ({error.sentence()})") from None
        rows = sorted(answer["data"], key=lambda row: row["index"])
        return np.array([row["embedding"] for row in rows], np.float32)

    def close(self) -> None:
        """End the process; the next `embed` starts another."""
        process = self.__dict__.pop("_process", None)
        if process is not None:
            process.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()
