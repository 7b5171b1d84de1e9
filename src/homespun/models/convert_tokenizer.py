"""A folder's tokenizer as a GGUF describes one; it is compared with the folder's after writing."""

from typing import Any

import numpy as np

from homespun.models.errors import TokenizerError
from homespun.models.folder import ModelFolder
from homespun.models.pretokenizers import PRE_TOKENIZERS
from homespun.models.tokenizer import Tokenizer
from homespun.models.vocabulary import TokenType

_ANY_CASE = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#: What the two tokenizers must agree on before a file gets its name.
CHECK_TEXTS = (
    "The quick brown fox doesn't jump over 1234567 lazy dogs; I'LL see: 3.14e-10!",
    "  two  spaces,\ttabs\n\n\nand lines\r\n   indented = {'a': [1, 2]}  # comment",
    "Größe, naïve café, Ελληνικά, Русский, हिन्दी १२३, 日本語のテキスト, 한국어, עברית",
    "👍🏽 emoji 🇩🇪, quotes “so” — dash … and \u200b unusual\u00a0spaces\u3000here",
    "CamelCaseHTMLParser snake_case_name http://x.y/z?q=1&r=2 $9.99 100% #tag @name",
    "<|im_start|>user\nnot a marker<|im_end|></s><eos><bos><unk>",
)


def add_tokenizer(writer: Any, folder: ModelFolder, tokenizer: Tokenizer) -> tuple[str, ...]:
    """Write the tokenizer's metadata.

    Returns:
        what a person should know: what a GGUF cannot say.

    Raises:
        TokenizerError: a kind, or a way of cutting words, that a GGUF cannot name.
    """
    vocabulary = tokenizer.vocabulary
    notes: tuple[str, ...] = ()
    writer.add_tokenizer_model(vocabulary.kind)
    if vocabulary.kind == "gpt2":
        notes = _check_normalizer(folder)
        writer.add_tokenizer_pre(pretokenizer_name(folder))
        writer.add_token_merges([" ".join(pair) for pair in _merges(folder)])
    else:
        writer.add_tokenizer_pre("default")
        writer.add_token_scores(_scores(folder, tokenizer))
        writer.add_add_space_prefix(tokenizer._space_prefix)
    writer.add_token_list(list(vocabulary.texts))
    writer.add_token_types(vocabulary.types.tolist())
    adders = {"bos": writer.add_bos_token_id, "eos": writer.add_eos_token_id}
    adders |= {"unknown": writer.add_unk_token_id, "padding": writer.add_pad_token_id}
    for name, add in adders.items():
        if name in vocabulary.named_ids:
            add(vocabulary.named_ids[name])
    others = sorted(vocabulary.more_stop_ids - {vocabulary.named_ids.get("eos")})
    for number, add in zip(others, (writer.add_eot_token_id, writer.add_eom_token_id), strict=False):
        add(number)
    writer.add_add_bos_token(tokenizer.add_bos)
    if folder.chat_template:
        writer.add_chat_template(folder.chat_template)
    return notes


def check_same(folder_tokenizer: Tokenizer, written: Tokenizer, where: str) -> None:
    """Refuse a written tokenizer that reads any of the check texts otherwise.

    Raises:
        TokenizerError: with the text at which they part.
    """
    for text in CHECK_TEXTS:
        if folder_tokenizer.encode(text) != written.encode(text):
            raise TokenizerError(
                f"a GGUF cannot express this tokenizer: {text[:40]!r} would get other tokens",
                where=where,
                remedy="Run the folder itself with the torch engine.",
            )
    ends = folder_tokenizer.stop_ids - written.stop_ids
    if ends or folder_tokenizer.control_ids != written.control_ids:
        raise TokenizerError("a GGUF cannot name all ends and markers of this tokenizer", where=where)


def pretokenizer_name(folder: ModelFolder) -> str:
    """GGUF's name for the way in which a byte-level tokenizer cuts words.

    Raises:
        TokenizerError: there is none that Homespun knows.
    """
    patterns = tuple(_patterns(folder.tokenizer.get("pre_tokenizer")))
    is_whole = bool(folder.tokenizer["model"].get("ignore_merges"))
    for name, kind in PRE_TOKENIZERS.items():
        if kind.patterns == patterns and kind.whole_words == is_whole:
            return name
    raise TokenizerError(
        "its tokenizer cuts words in a way that no GGUF name known here stands for",
        where=str(folder.path),
        remedy="Run the folder itself with the torch engine, or get the model's GGUF.",
    )


def _patterns(part: Any) -> list[str]:
    """The regular expressions that cut, one after the other; an unknown step gives one that matches none."""
    if not isinstance(part, dict):
        return []
    kind = part.get("type")
    if kind == "Sequence":
        return [pattern for step in part["pretokenizers"] for pattern in _patterns(step)]
    if kind == "Split" and part.get("behavior") == "Isolated" and not part.get("invert"):
        pattern = part["pattern"].get("Regex", "")
        endings = PRE_TOKENIZERS["qwen2"].patterns[0].split("|[^", 1)[0]
        return [pattern.replace(_ANY_CASE, endings)]
    if kind == "Digits" and part.get("individual_digits"):
        return [r"\p{N}"]
    if kind == "ByteLevel" and not part.get("add_prefix_space"):
        return list(PRE_TOKENIZERS["gpt-2"].patterns) if part.get("use_regex", True) else []
    return [f"unknown step {kind}"]


def _check_normalizer(folder: ModelFolder) -> tuple[str, ...]:
    normalizer = folder.tokenizer.get("normalizer")
    kind = normalizer.get("type") if isinstance(normalizer, dict) else None
    if kind == "NFC":
        return ("the folder brings text into NFC first, which a GGUF cannot say: give it text in NFC",)
    if kind is not None:
        raise TokenizerError(f"its normalizer {kind} cannot be said in a GGUF", where=str(folder.path))
    return ()


def _merges(folder: ModelFolder) -> list[tuple[str, str]]:
    merges = folder.tokenizer["model"].get("merges") or []
    pairs = [merge.split(" ", 1) if isinstance(merge, str) else merge for merge in merges]
    return [(str(left), str(right)) for left, right in pairs]


def _scores(folder: ModelFolder, tokenizer: Tokenizer) -> list[float]:
    """A score for each token, best first in the order of the merges: what SentencePiece would have stored.

    Raises:
        TokenizerError: the merges are not those that follow from scores.
    """
    if folder.tokenizer["model"]["type"] != "BPE":
        raise TokenizerError("a Unigram tokenizer is not converted", where=str(folder.path))
    merges = _merges(folder)
    ranks: dict[str, int] = {}
    for left, right in merges:
        ranks.setdefault(left + right, len(ranks))
    texts, types = tokenizer.vocabulary.texts, tokenizer.vocabulary.types
    worst = len(ranks)
    scores = np.zeros(len(texts))
    for number, text in enumerate(texts):
        if types[number] == TokenType.NORMAL:
            scores[number] = -float(ranks.get(text, worst + number))
    return [float(score) for score in scores]
