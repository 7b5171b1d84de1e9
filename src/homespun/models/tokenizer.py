"""One tokenizer per model, built from the model's own file.

It is the same for running, counting, training and citing. Text from people and documents goes
through `encode(text)`, which cannot produce a marker; only a chat template's own text is encoded
with `control=True`.
"""

import codecs
import re
from collections.abc import Iterable, Sequence
from typing import Any

from homespun.models.bpe import adds_space_prefix, build_byte_level, build_sentencepiece, pretokenizer_of
from homespun.models.errors import TokenizerError
from homespun.models.folder import ModelFolder
from homespun.models.gguf import GGUFFile
from homespun.models.vocabulary import Vocabulary

_SURROGATES = re.compile("[\ud800-\udfff]")
_KINDS = ("gpt2", "llama")


class Tokenizer:
    """Text to token ids and back. Safe to share between threads."""

    def __init__(self, vocabulary: Vocabulary, encoder: Any, *, add_bos: bool, space_prefix: bool) -> None:
        self.vocabulary = vocabulary
        self.add_bos = add_bos
        self._encoder = encoder
        self._space_prefix = space_prefix
        self._marker_pattern = marker_pattern(vocabulary.markers)

    @classmethod
    def from_gguf(cls, file: GGUFFile) -> "Tokenizer":
        """Build the tokenizer that a file describes.

        Raises:
            TokenizerError: a kind of tokenizer or a way of cutting words that is not known.
        """
        kind = file.metadata.get("tokenizer.ggml.model")
        if kind not in _KINDS:
            raise TokenizerError(
                f"its tokenizer is of the kind {kind!r}, which Homespun does not know "
                f"(known: {', '.join(_KINDS)})"
                if kind
                else "the file has no tokenizer in it",
                where=str(file.path),
                remedy="Use another model.",
            )
        vocabulary = Vocabulary.from_gguf(file)
        add_bos = file.metadata.get("tokenizer.ggml.add_bos_token")
        if kind == "gpt2":
            encoder = build_byte_level(file, vocabulary)
            default_bos, space_prefix = pretokenizer_of(file).add_bos, False
        else:
            encoder = build_sentencepiece(file, vocabulary)
            default_bos, space_prefix = True, adds_space_prefix(file)
        return cls(
            vocabulary,
            encoder,
            add_bos=default_bos if add_bos is None else bool(add_bos),
            space_prefix=space_prefix,
        )

    @classmethod
    def from_folder(cls, folder: ModelFolder) -> "Tokenizer":
        """Build the tokenizer of a Hugging Face folder, checked to belong to its model.

        Raises:
            TokenizerError: a kind that is not known, or one that does not fit the model.
        """
        from homespun.models.folder_tokenizer import folder_tokenizer

        return folder_tokenizer(folder)

    @property
    def n_vocab(self) -> int:
        """How many tokens there are."""
        return len(self.vocabulary.texts)

    @property
    def bos_id(self) -> int | None:
        """The token that begins a text, if the file names one."""
        return self.vocabulary.named_ids.get("bos")

    @property
    def begin_ids(self) -> list[int]:
        """What a text of its own begins with: the begin token where the model wants one."""
        return [self.bos_id] if self.add_bos and self.bos_id is not None else []

    @property
    def eos_id(self) -> int | None:
        """The token that the file names as the end; see `stop_ids` for all that end an answer."""
        return self.vocabulary.named_ids.get("eos")

    @property
    def control_ids(self) -> frozenset[int]:
        """Tokens that mark structure and have no text of their own."""
        return self.vocabulary.control_ids

    @property
    def stop_ids(self) -> frozenset[int]:
        """All tokens that end a turn or a text."""
        return self.vocabulary.stop_ids

    def encode(self, text: str, *, control: bool = False) -> list[int]:
        """Token ids of a text; no begin token is added (see `add_bos`).

        Args:
            text: any string. A lone surrogate, which is no character, is read as U+FFFD.
            control: also turn the spelling of markers into markers. Only for a template's own text.
        """
        text = _SURROGATES.sub("\ufffd", text)
        if not control:
            return self._encode_plain(text)
        ids: list[int] = []
        for run, marker_id in self.split_markers(text):
            ids.extend(self._encode_plain(run))
            if marker_id is not None:
                ids.append(marker_id)
        return ids

    def split_markers(self, text: str) -> Iterable[tuple[str, int | None]]:
        """The text between markers, each with the marker that follows it (None at the end)."""
        start = 0
        for match in self._marker_pattern.finditer(text):
            yield text[start : match.start()], self.vocabulary.markers[match[0]]
            start = match.end()
        yield text[start:], None

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids of a plain text, and for each the code points that it came from.

        Returns:
            ids, and as many (start, end) into `text`. Tokens that hold only some bytes of a
            character each have that whole character's range. A space that the tokenizer puts in
            front has an empty range.
        """
        if not text:
            return [], []
        encoding = self._encoder.encode(_SURROGATES.sub("\ufffd", text), add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def count(self, text: str) -> int:
        """How many tokens a plain text takes."""
        return len(self.encode(text))

    def decode(self, ids: Sequence[int], *, skip_control: bool = True) -> str:
        """The text of some tokens; bytes that are no valid UTF-8 become U+FFFD."""
        decoder = StreamDecoder(self, skip_control=skip_control)
        return "".join(map(decoder.push, ids)) + decoder.flush()

    def stream_decoder(self) -> "StreamDecoder":
        """A decoder to push tokens into as they are written."""
        return StreamDecoder(self)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token stands for; for a marker, its spelling."""
        return self.vocabulary.token_bytes[token_id]

    def token_text(self, token_id: int) -> str:
        """A token by itself, for people: parts of a character show as U+FFFD."""
        return self.token_bytes(token_id).decode("utf-8", "replace")

    def is_control(self, token_id: int) -> bool:
        """Whether the token marks structure and has no text."""
        return token_id in self.vocabulary.control_ids

    def _encode_plain(self, text: str) -> list[int]:
        if not text:
            return []
        return list(self._encoder.encode(text, add_special_tokens=False).ids)


class StreamDecoder:
    """Turns tokens into text as they come, never giving out a part of a character.

    What `push` and `flush` return, joined, is what `Tokenizer.decode` gives for the same tokens.
    """

    def __init__(self, tokenizer: Tokenizer, *, skip_control: bool = True) -> None:
        self._vocabulary = tokenizer.vocabulary
        self._skip = tokenizer.control_ids if skip_control else frozenset()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._drop_space = tokenizer._space_prefix

    def push(self, token_id: int) -> str:
        """The characters that this token completes, often none."""
        if token_id in self._skip:
            return ""
        stored = self._vocabulary.token_bytes[token_id]
        if self._drop_space and stored:
            # SentencePiece wrote a space before the text, which is not part of it.
            stored = stored.removeprefix(b" ")
            self._drop_space = False
        return self._decoder.decode(stored)

    def flush(self) -> str:
        """What is left of a character that never got whole, as U+FFFD; empty otherwise."""
        return self._decoder.decode(b"", final=True)


def marker_pattern(markers: Iterable[str]) -> re.Pattern[str]:
    """Matches the longest marker at the first place where there is one; never matches without any."""
    texts = sorted(markers, key=lambda text: (-len(text), text))
    if not texts:
        return re.compile(r"(?!)")
    # A marker is tried only where one may begin: vocabularies have up to thousands of them.
    first = "".join(sorted({re.escape(text[0]) for text in texts}))
    return re.compile(f"(?=[{first}])(?:{'|'.join(map(re.escape, texts))})")
