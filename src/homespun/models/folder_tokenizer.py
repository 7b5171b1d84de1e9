"""The tokenizer of a Hugging Face folder, checked to belong to its model.

The encoder is the one that tokenizer.json describes, without the tokens that stand for structure: they are
taken out of its vocabulary, so that no text of a person or document can become one.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from homespun.models.errors import TokenizerError
from homespun.models.folder import ModelFolder
from homespun.models.folder_check import check_belongs
from homespun.models.folder_vocabulary import FolderTokens, read_tokens
from homespun.models.tokenizer import Tokenizer
from homespun.models.vocabulary import SPACE_MARK, Vocabulary

#: Begins what no text can spell: every normalizer of a Unigram model has turned its spaces into U+2581.
_UNSPELLABLE = " taken out "


def folder_tokenizer(folder: ModelFolder) -> Tokenizer:
    """The tokenizer of a folder.

    Raises:
        TokenizerError: a kind that is not known, or one that does not belong to the model; naming what
            differs.
    """
    tokens = read_tokens(folder)
    check_belongs(folder, tokens)
    vocabulary = Vocabulary(
        tokens.kind,
        tokens.padded_texts(folder.vocab_size),
        tokens.padded_types(folder.vocab_size),
        tokens.named_ids,
        folder.stop_ids,
    )
    return Tokenizer(
        vocabulary,
        _plain_encoder(folder, vocabulary),
        add_bos=_adds_bos(folder, tokens),
        space_prefix=_adds_space(folder.tokenizer),
    )


def _plain_encoder(folder: ModelFolder, vocabulary: Vocabulary) -> Any:
    from tokenizers import Tokenizer as Encoder

    content: dict[str, Any] = json.loads(json.dumps(dict(folder.tokenizer)))  # never change the folder's own
    content.update(post_processor=None, truncation=None, padding=None)
    spaces = set(vocabulary.space_texts)
    content["added_tokens"] = [t for t in content.get("added_tokens", []) if t["content"] in spaces]
    model = content["model"]
    if model["type"] == "BPE":
        unknown = model.get("unk_token")
        kept = vocabulary.plain_ids
        if unknown in model["vocab"] and not model.get("ignore_merges"):
            kept = {**kept, unknown: model["vocab"][unknown]}
        model["vocab"] = kept
        model["merges"] = _usable_merges(model["merges"], vocabulary.plain_ids)
    else:
        markers = set(vocabulary.markers.values())
        for number in markers - {model.get("unk_id")}:
            if number < len(model["vocab"]):
                model["vocab"][number][0] = f"{_UNSPELLABLE}{number}"
    try:
        return Encoder.from_str(json.dumps(content))
    except Exception as error:  # the library raises bare exceptions
        raise TokenizerError(f"tokenizer.json cannot be used ({error})", where=str(folder.path)) from None


def _usable_merges(merges: Sequence[Any], tokens: Mapping[str, int]) -> list[list[str]]:
    pairs = [merge.split(" ", 1) if isinstance(merge, str) else list(merge) for merge in merges]
    return [[a, b] for a, b in pairs if a in tokens and b in tokens and a + b in tokens]


def _adds_bos(folder: ModelFolder, tokens: FolderTokens) -> bool:
    """Whether texts begin with the begin token: seen on what tokenizer.json does with a text."""
    from tokenizers import Tokenizer as Encoder

    bos = tokens.named_ids.get("bos")
    if bos is None:
        return False
    try:
        ids = Encoder.from_str(json.dumps(dict(folder.tokenizer))).encode("a").ids
    except Exception as error:
        raise TokenizerError(f"tokenizer.json cannot be used ({error})", where=str(folder.path)) from None
    return bool(ids) and ids[0] == bos


def _adds_space(content: Mapping[str, Any]) -> bool:
    """Whether a space is put before a text, which answers must not show."""

    def steps(part: Any) -> list[dict[str, Any]]:
        if not isinstance(part, dict):
            return []
        inner = part.get("pretokenizers") or part.get("normalizers")
        return [step for one in inner for step in steps(one)] if inner else [part]

    for step in steps(content.get("normalizer")) + steps(content.get("pre_tokenizer")):
        if step.get("type") == "Prepend" and step.get("prepend") == SPACE_MARK:
            return True
        if step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") != "never":
            return True
        if step.get("type") == "ByteLevel" and step.get("add_prefix_space"):
            return True
    return False
