"""The tokens of a tokenizer.json: their spelling, which of them are structure, and which ids are named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from homespun.models.errors import TokenizerError
from homespun.models.folder import ModelFolder
from homespun.models.vocabulary import MARKER_TEXTS, SPACE_MARK, TokenType

#: tokenizer_config.json's name -> ours.
_NAMES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
_MAX_TOKENS = 100_000_000


@dataclass(frozen=True)
class FolderTokens:
    """What tokenizer.json lists.

    Attributes:
        kind: "gpt2" (byte-level BPE) or "llama" (SentencePiece's spelling, BPE or Unigram).
        texts: id -> spelling; ids may have gaps.
        types: id -> `TokenType`.
        added: id -> the entry under added_tokens.
        named_ids: ids that the tokenizer itself names, as in `Vocabulary`.
    """

    kind: str
    texts: Mapping[int, str]
    types: Mapping[int, int]
    added: Mapping[int, Mapping[str, Any]]
    named_ids: Mapping[str, int]

    @property
    def n_tokens(self) -> int:
        """The highest id and one."""
        return max(self.texts) + 1

    def padded_texts(self, n_vocab: int) -> list[str]:
        """A spelling for each row of the embedding table; rows without a token are called [PAD<id>]."""
        return [self.texts.get(number, f"[PAD{number}]") for number in range(n_vocab)]

    def padded_types(self, n_vocab: int) -> np.ndarray:
        """The type of each row; those without a token are unused: (n_vocab,) int32."""
        return np.array([self.types.get(n, TokenType.UNUSED) for n in range(n_vocab)], dtype=np.int32)


def read_tokens(folder: ModelFolder) -> FolderTokens:
    """Read the tokens of a folder.

    Raises:
        TokenizerError: a kind that is not known, or entries that contradict each other.
    """
    where = str(folder.path / "tokenizer.json")
    model: Any = folder.tokenizer.get("model")
    kind = _kind(folder.tokenizer, model, where)
    try:
        texts = _model_texts(model)
        added = {int(entry["id"]): entry for entry in folder.tokenizer.get("added_tokens") or []}
        n_added = len(folder.tokenizer.get("added_tokens") or [])
        spelled = {number: str(entry["content"]) for number, entry in added.items()}
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise TokenizerError(f"an entry is not whole ({error!r})", where=where) from None
    if len(added) < n_added or len(set(spelled.values())) < n_added:
        raise TokenizerError("two added tokens have the same id or the same text", where=where)
    _check_added(folder, texts, spelled, where)
    texts.update(spelled)
    if not texts or min(texts) < 0 or max(texts) >= _MAX_TOKENS:
        raise TokenizerError("its token ids make no sense", where=where)
    named = _named_ids(folder, {text: number for number, text in texts.items()})
    return FolderTokens(kind, texts, _types(model, kind, texts, added, named), added, named)


def _kind(content: Mapping[str, Any], model: Any, where: str) -> str:
    kind = model.get("type") if isinstance(model, dict) else None
    if kind == "Unigram":
        return "llama"
    if kind == "BPE":
        if _mentions(content.get("pre_tokenizer"), "ByteLevel"):
            return "gpt2"
        if _mentions(content.get("normalizer"), SPACE_MARK) or _mentions(
            content.get("pre_tokenizer"), "Metaspace"
        ):
            return "llama"
        kind = "BPE without bytes or U+2581"
    raise TokenizerError(
        f"its tokenizer is of the kind {kind}, which Homespun does not know "
        "(known: byte-level BPE, SentencePiece BPE and Unigram)",
        where=where,
        remedy="Use another model.",
    )


def _mentions(part: Any, text: str) -> bool:
    """Whether a value stands anywhere inside a part of tokenizer.json."""
    if isinstance(part, dict):
        return any(_mentions(value, text) for value in part.values())
    if isinstance(part, list):
        return any(_mentions(value, text) for value in part)
    return bool(part == text)


def _model_texts(model: Mapping[str, Any]) -> dict[int, str]:
    if model["type"] == "BPE":
        return {int(number): str(text) for text, number in model["vocab"].items()}
    return {number: str(entry[0]) for number, entry in enumerate(model["vocab"])}


def _check_added(folder: ModelFolder, texts: Mapping[int, str], added: Mapping[int, str], where: str) -> None:
    """An added token whose id or text belongs to another token would be read as that one."""
    numbers = {text: number for number, text in texts.items()}
    for number, spelled in added.items():
        if texts.get(number, spelled) != spelled or numbers.get(spelled, number) != number:
            other = texts.get(number, f"number {numbers.get(spelled)}")
            raise TokenizerError(
                f"the added token {spelled!r} (number {number}) clashes with {other!r} of the vocabulary",
                where=where,
                remedy="Get the tokenizer files from where the model is published.",
            )
    decoder = folder.tokenizer_config.get("added_tokens_decoder")
    for key, entry in (decoder if isinstance(decoder, dict) else {}).items():
        text: Any = entry.get("content") if isinstance(entry, dict) else None
        number = int(key) if str(key).isdigit() else -1
        known = added.get(number, texts.get(number))
        if text != known:
            raise TokenizerError(
                f"token {key} is {text!r} in tokenizer_config.json, but {known!r} in tokenizer.json",
                where=str(folder.path),
                remedy="Get both files from where the model is published.",
            )


def _named_ids(folder: ModelFolder, numbers: Mapping[str, int]) -> dict[str, int]:
    named = {}
    for theirs, ours in _NAMES.items():
        value = folder.tokenizer_config.get(f"{theirs}_token")
        text = value.get("content") if isinstance(value, dict) else value
        if text is None:
            continue
        if text not in numbers:
            raise TokenizerError(
                f"its {theirs} token is {text!r}, but tokenizer.json has no such token",
                where=str(folder.path),
                remedy="Get the tokenizer files from where the model is published.",
            )
        named[ours] = numbers[text]
    for name in ("bos", "eos"):
        ids = sorted(folder.named_ids(name))
        if name not in named and ids:
            named[name] = ids[0]
    return named


def _types(
    model: Mapping[str, Any],
    kind: str,
    texts: Mapping[int, str],
    added: Mapping[int, Mapping[str, Any]],
    named: Mapping[str, int],
) -> dict[int, int]:
    types: dict[int, int] = dict.fromkeys(texts, TokenType.NORMAL)
    for number, text in texts.items():
        if number in added:
            is_marker = bool(added[number].get("special")) or text in MARKER_TEXTS
            types[number] = TokenType.CONTROL if is_marker else TokenType.USER_DEFINED
        elif text in MARKER_TEXTS:
            types[number] = TokenType.CONTROL
        elif kind == "llama" and len(text) == 6 and text.startswith("<0x") and text.endswith(">"):
            types[number] = TokenType.BYTE
    for name in ("bos", "eos"):
        number = named.get(name, -1)
        if types.get(number) == TokenType.NORMAL and len(texts[number]) > 2:
            types[number] = TokenType.CONTROL
    unknown = named.get("unknown", model.get("unk_id"))
    # A model may use one token for "unknown" and for an end (GPT-2): then it is a marker first.
    if unknown in types and (unknown not in named.values() or _is_only_unknown(unknown, named)):
        types[int(unknown)] = TokenType.UNKNOWN
    return types


def _is_only_unknown(number: int, named: Mapping[str, int]) -> bool:
    return all(other != number for name, other in named.items() if name not in ("unknown", "padding"))
