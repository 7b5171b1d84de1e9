"""Texts to vectors: the one interface that libraries use, and the embedder that runs on this machine."""

import hashlib
import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from homespun.documents.split import TokenLimit
from homespun.models.digest import file_digest
from homespun.progress import Progress, no_progress
from homespun.retrieval.embedders.card import folder_languages, prefixes_of
from homespun.retrieval.errors import EmbedderError

if TYPE_CHECKING:  # both load native libraries, which listing a library does not need
    from tokenizers import Tokenizer

    from homespun.engines.openvino.encoder import EmbedderOptions, Encoder

FloatArray = npt.NDArray[np.float32]

#: Some embedders were trained with another prefix before questions than before passages.
Kind = Literal["query", "passage"]


class Embedder(Protocol):
    """Whatever turns texts into unit vectors whose products are similarities."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def identity(self) -> str:
        """Equal only for embedders whose vectors may be compared: a digest of its files, pooling and prefixes.

        The precision is not in it: only one whose first ten results agree with float32's is ever used.
        """

    @property
    def dimensions(self) -> int: ...

    @property
    def max_tokens(self) -> int:
        """Tokens of its own tokenizer that a text may have, its special tokens and prefix not counted."""

    @property
    def token_limit(self) -> TokenLimit:
        """`max_tokens` and the tokenizer, for `split_document`."""

    def embed(self, texts: Sequence[str], kind: Kind, progress: Progress = no_progress) -> FloatArray:
        """Vectors of texts: float32 (n texts, dimensions), rows of length 1.

        Raises:
            EmbedderError: a passage is longer than `max_tokens`.
        """


_SURROGATES = re.compile("[\ud800-\udfff]")

#: What of an embedder's folder decides its vectors.
_DECIDING_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "modules.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
    "2_Dense/model.safetensors",
    "3_Dense/config.json",
    "3_Dense/model.safetensors",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
)


class FolderEmbedder:
    """A sentence-transformers folder of the BERT family, run on OpenVINO.

    Text is never cut. A passage above `max_tokens` is refused. A longer query is read in windows of equal
    length, and its vector is the mean of theirs, scaled to length 1. Text that looks like one of the
    tokenizer's special tokens stays text.

    Attributes:
        name, identity, dimensions, max_tokens: see `Embedder`.
        encoder: what runs it; knows the precision and threads in force.
        languages: codes of the languages that it was made for; () where that is not known, or for many.
    """

    def __init__(
        self,
        name: str,
        identity: str,
        encoder: "Encoder",
        tokenizer: "Tokenizer",
        window: int,
        prefixes: dict[Kind, str],
        languages: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.identity = identity
        self.encoder = encoder
        self.dimensions = encoder.dimensions
        self.languages = languages
        self._window = window
        self._tokenizer = tokenizer
        self._prefixes = prefixes
        self._room: dict[Kind, int] = {
            kind: window - len(tokenizer.encode(prefix).ids) for kind, prefix in prefixes.items()
        }
        self.max_tokens = self._room["passage"]
        if min(self._room.values()) < 1:
            raise EmbedderError(
                f"The embedder's window of {window} tokens leaves no room for text.", where=name
            )

    @property
    def token_limit(self) -> TokenLimit:
        return TokenLimit(self.token_offsets, self.max_tokens)

    def token_offsets(self, text: str) -> list[tuple[int, int]]:
        """The (start, end) in code points of each token of a text, special tokens left out."""
        encoding = self._tokenizer.encode(readable(text), add_special_tokens=False)
        return list(encoding.offsets)

    def embed(self, texts: Sequence[str], kind: Kind, progress: Progress = no_progress) -> FloatArray:
        """Vectors of texts: float32 (n texts, dimensions), rows of length 1.

        Raises:
            EmbedderError: a passage is longer than `max_tokens`.
        """
        texts = [readable(text) for text in texts]
        prefix = self._prefixes[kind]
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch([prefix + t for t in texts])]
        if all(len(ids) <= self._window for ids in encoded):
            return self.encoder.encode(encoded, progress)
        pieces: list[list[int]] = []
        owners: list[int] = []
        for row, (text, ids) in enumerate(zip(texts, encoded, strict=True)):
            parts = [ids]
            if len(ids) > self._window:
                windows = [prefix + window for window in self._windows(text, kind)]
                parts = [encoding.ids for encoding in self._tokenizer.encode_batch(windows)]
            pieces.extend(parts)
            owners.extend([row] * len(parts))
        vectors = self.encoder.encode(pieces, progress)
        sums = np.zeros((len(texts), self.dimensions), np.float32)
        np.add.at(sums, owners, vectors)
        return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)

    def _windows(self, text: str, kind: Kind) -> list[str]:
        """The text itself, or a long query in as few parts of about equal token counts as fit."""
        room = self._room[kind]
        offsets = self.token_offsets(text)
        if len(offsets) <= room:
            return [text]
        if kind == "passage":
            raise EmbedderError(
                f"A passage has {len(offsets)} tokens, and {self.name} reads {room}.",
                remedy="Ingest again with shorter passages (target_tokens).",
            )
        n_windows = -(-len(offsets) // room)
        while True:
            cuts = [offsets[len(offsets) * part // n_windows][0] for part in range(n_windows)] + [len(text)]
            windows = [text[start:end] for start, end in itertools.pairwise(cuts)]
            if all(len(self.token_offsets(window)) <= room for window in windows):
                return windows
            n_windows += 1  # a word divided by a cut can have more tokens than before


def open_embedder(
    path: Path,
    options: "EmbedderOptions | None" = None,
    *,
    cache_path: Path | None = None,
    name: str | None = None,
) -> FolderEmbedder:
    """Open a sentence-transformers folder as an embedder.

    Args:
        path: the folder, with config.json, model.safetensors, tokenizer.json and 1_Pooling.
        options: precision, threads and batch of the encoder.
        cache_path: where the compiled graph is kept; None keeps none.
        name: what people call it; the folder's name by default.

    Raises:
        EmbedderError: no such folder, or a tokenizer that cannot be read.
        EngineError: weights or configuration that cannot be run.
    """
    from homespun.engines.openvino.encoder import Encoder

    path = Path(path)
    if not path.is_dir():
        raise EmbedderError("There is no embedder in this folder.", where=str(path))
    encoder = Encoder.open(path, options, cache_path)
    tokenizer = read_tokenizer(path / "tokenizer.json")
    window = _optional_json(path / "sentence_bert_config.json").get("max_seq_length") or encoder.max_tokens
    names = [name or "", path.name, str(_optional_json(path / "config.json").get("_name_or_path") or "")]
    prefixes = prefixes_of(_optional_json(path / "config_sentence_transformers.json"), names)
    identity = folder_identity(path, [] if prefixes.are_stated else [prefixes.query, prefixes.passage])
    return FolderEmbedder(
        name or path.name,
        identity,
        encoder,
        tokenizer,
        min(int(window), encoder.max_tokens),
        {"query": prefixes.query, "passage": prefixes.passage},
        folder_languages(path, names),
    )


def read_tokenizer(path: Path) -> "Tokenizer":
    """The tokenizer.json of a folder; it neither cuts nor pads, and takes special tokens in text as text.

    Raises:
        EmbedderError: the file is missing or no tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise EmbedderError(
            f"The embedder's tokenizer cannot be read ({error}).",
            where=str(path),
            remedy="Fetch the embedder again.",
        ) from error
    # The file may say where to cut and how far to pad; we do neither.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def _optional_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise EmbedderError("This file of the embedder is not JSON.", where=str(path)) from error
    return value if isinstance(value, dict) else {}


def folder_identity(path: Path, added: Sequence[str] = ()) -> str:
    """SHA-256 over the files that decide the vectors; the folder's name and place do not count.

    Args:
        path: the folder.
        added: what else decides them, such as prefixes that are not in these files; empty texts do not count.
    """
    lines = [f"{file_digest(path / name)} {name}" for name in _DECIDING_FILES if (path / name).is_file()]
    lines += [f"prefix {text}" for text in added if text]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def readable(text: str) -> str:
    """The text with what UTF-8 cannot hold replaced one for one, so that offsets stay."""
    return _SURROGATES.sub("\ufffd", text)
