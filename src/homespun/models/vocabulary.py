"""A model's tokens: their bytes, and which of them stand for structure instead of text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np

from homespun.models.errors import TokenizerError
from homespun.models.gguf import GGUFFile

SPACE_MARK = "\u2581"


class TokenType(IntEnum):
    """What a GGUF says a token is (`tokenizer.ggml.token_type`)."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


#: Tokens that end a turn or a text, whatever the file calls its end token: files often name only one.
STOP_TEXTS = frozenset(
    {
        "<|im_end|>",
        "<|endoftext|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|end_of_text|>",
        "<|end|>",
        "<|return|>",
        "<|call|>",
        "<|endofturn|>",
        "<|end_of_turn|>",
        "<end_of_turn>",
        "<turn|>",
        "</s>",
        "<eos>",
        "<EOT>",
        "<｜end▁of▁sentence｜>",
    }
)
#: Markers that some files wrongly list as ordinary text: believed, a document could write them.
MARKER_TEXTS = (STOP_TEXTS - {"</s>", "<eos>"}) | {
    "<|im_start|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<start_of_turn>",
    "<|start|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
}


def byte_level_alphabet() -> dict[str, int]:
    """The character that byte-level BPE writes for each byte (GPT-2's table), as char -> byte.

    Printable Latin-1 characters stand for themselves; the other bytes take 256, 257, ... in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in set(printable))
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(256 + place): byte for place, byte in enumerate(others)})
    return alphabet


@dataclass(frozen=True)
class Vocabulary:
    """All tokens of one model.

    Attributes:
        kind: "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE).
        texts: each token as the file spells it.
        types: the `TokenType` of each, corrected where the file contradicts itself.
        named_ids: ids that the file names, by name: "bos", "eos", "eot", "eom", "unknown", "padding".
        more_stop_ids: ends that the model names beside those.
    """

    kind: str
    texts: Sequence[str]
    types: np.ndarray
    named_ids: Mapping[str, int]
    more_stop_ids: frozenset[int] = frozenset()

    @classmethod
    def from_gguf(cls, file: GGUFFile) -> "Vocabulary":
        """Read the tokens of a file.

        Raises:
            TokenizerError: there are none, or their lists do not fit together.
        """
        metadata = file.metadata
        texts = metadata.get("tokenizer.ggml.tokens")
        if not isinstance(texts, list) or not texts or not isinstance(texts[0], str):
            raise TokenizerError("the file has no tokenizer in it", where=str(file.path))
        types = metadata.get("tokenizer.ggml.token_type")
        if types is None:
            types = np.full(len(texts), TokenType.NORMAL, dtype=np.int32)
        if len(types) != len(texts):
            raise TokenizerError(
                f"the file has {len(texts):,} tokens but {len(types):,} token types", where=str(file.path)
            )
        types = np.array(types, dtype=np.int32)
        named_ids = _named_ids(metadata, len(texts), str(file.path))
        _correct_types(texts, types, named_ids)
        return cls(str(metadata.get("tokenizer.ggml.model")), texts, types, named_ids)

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Tokens that mark structure and have no text."""
        return frozenset(np.flatnonzero(self.types == TokenType.CONTROL).tolist())

    @cached_property
    def markers(self) -> dict[str, int]:
        """Text -> id of every token that only a template may write."""
        special = (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN)
        ids = np.flatnonzero(np.isin(self.types, special)).tolist()
        return {text: i for i in ids if (text := self.texts[i]) and not text.isspace()}

    @cached_property
    def space_texts(self) -> list[str]:
        """User-defined tokens that are only white space: no structure, and text needs them whole."""
        ids = np.flatnonzero(self.types == TokenType.USER_DEFINED).tolist()
        return [self.texts[token_id] for token_id in ids if self.texts[token_id].isspace()]

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end a turn or the text."""
        named = {self.named_ids[name] for name in ("eos", "eot", "eom") if name in self.named_ids}
        markers = self.markers
        return self.more_stop_ids | named | {markers[text] for text in STOP_TEXTS if text in markers}

    @cached_property
    def plain_ids(self) -> dict[str, int]:
        """Text -> id of the tokens that plain text may become."""
        types = self.types.tolist()
        plain = (TokenType.NORMAL, TokenType.BYTE)
        spaces = set(self.space_texts)
        return {text: i for i, text in enumerate(self.texts) if types[i] in plain or text in spaces}

    @cached_property
    def token_bytes(self) -> list[bytes]:
        """The bytes that each token stands for; markers stand for their own spelling."""
        spell = _byte_level_bytes if self.kind == "gpt2" else _sentencepiece_bytes
        verbatim = {TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN}
        return [
            text.encode() if token_type in verbatim else spell(text, token_type)
            for text, token_type in zip(self.texts, self.types.tolist(), strict=True)
        ]


def _named_ids(metadata: Mapping[str, Any], n_vocab: int, where: str) -> dict[str, int]:
    named = {}
    for name in ("bos", "eos", "eot", "eom", "unknown", "padding"):
        token_id = metadata.get(f"tokenizer.ggml.{name}_token_id")
        if token_id is None:
            continue
        if not isinstance(token_id, int) or not 0 <= token_id < n_vocab:
            # Files without such a token often write -1 or 2^32 - 1 for it.
            if token_id in (-1, 2**32 - 1):
                continue
            raise TokenizerError(
                f"its {name} token is number {token_id}, but it has only {n_vocab:,} tokens", where=where
            )
        named[name] = token_id
    return named


def _correct_types(texts: list[str], types: np.ndarray, named_ids: Mapping[str, int]) -> None:
    """Files made by faulty tools list markers as ordinary text."""
    for token_id in np.flatnonzero(types == TokenType.NORMAL).tolist():
        if texts[token_id] in MARKER_TEXTS:
            types[token_id] = TokenType.CONTROL
    for name in {"bos", "eos", "eot", "eom"} & named_ids.keys():
        token_id = named_ids[name]
        if types[token_id] == TokenType.NORMAL and len(texts[token_id]) > 2:
            types[token_id] = TokenType.CONTROL


_ALPHABET = byte_level_alphabet()


def _byte_level_bytes(text: str, token_type: int) -> bytes:
    try:
        return bytes([_ALPHABET[character] for character in text])
    except KeyError:
        return text.encode()


def _sentencepiece_bytes(text: str, token_type: int) -> bytes:
    if token_type == TokenType.BYTE and len(text) == 6:
        return bytes([int(text[3:5], 16)])
    return text.replace(SPACE_MARK, " ").encode()
