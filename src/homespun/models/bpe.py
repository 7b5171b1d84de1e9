"""Plain text to tokens, by byte-pair merges; built so that no text can become a marker.

Both kinds use the `tokenizers` library's BPE, whose merging is n log n in the length of a word, with
a vocabulary from which every control, user-defined and unused token was left out.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from homespun.models.errors import TokenizerError
from homespun.models.gguf import GGUFFile
from homespun.models.pretokenizers import PRE_TOKENIZERS, PreTokenizer, build_pretokenizer
from homespun.models.vocabulary import SPACE_MARK, TokenType, Vocabulary


def pretokenizer_of(file: GGUFFile) -> PreTokenizer:
    """The way of cutting that a byte-level file names.

    Raises:
        TokenizerError: a name that is not known.
    """
    name = str(file.metadata.get("tokenizer.ggml.pre", "default"))
    if name not in PRE_TOKENIZERS:
        raise TokenizerError(
            f"its tokenizer cuts words in the way {name!r}, which Homespun does not know "
            f"(known: {', '.join(sorted(PRE_TOKENIZERS))})",
            where=str(file.path),
            remedy="Use another model, or ask for this tokenizer to be added.",
        )
    return PRE_TOKENIZERS[name]


def build_byte_level(file: GGUFFile, vocabulary: Vocabulary) -> Any:
    """Byte-level BPE (GPT-2 and its many heirs) over the file's own merges."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE

    kind = pretokenizer_of(file)
    merges = file.metadata.get("tokenizer.ggml.merges")
    if not isinstance(merges, list):
        raise TokenizerError("its tokenizer has no merges", where=str(file.path))
    tokens = vocabulary.plain_ids
    pairs = _usable_merges(merges, tokens)
    encoder = Tokenizer(BPE(vocab=tokens, merges=pairs, ignore_merges=kind.whole_words))
    encoder.pre_tokenizer = build_pretokenizer(kind)
    _keep_spaces_whole(encoder, vocabulary)
    return encoder


def _usable_merges(merges: Sequence[str], tokens: dict[str, int]) -> list[tuple[str, str]]:
    """Merges whose parts and result are plain tokens: no chain of merges ends in a marker."""
    pairs = []
    for merge in merges:
        # The first space that is not at the very start parts them: a token may begin with a space.
        split = merge.find(" ", 1)
        left, right = merge[:split], merge[split + 1 :]
        if split > 0 and left in tokens and right in tokens and left + right in tokens:
            pairs.append((left, right))
    return pairs


def build_sentencepiece(file: GGUFFile, vocabulary: Vocabulary) -> Any:
    """SentencePiece BPE (Llama 2, TinyLlama, Mistral): merges follow from the tokens' scores.

    Spaces become U+2581 and, where the file asks for it, one is put in front. What no token spells
    is written byte by byte.
    """
    from tokenizers import Tokenizer, normalizers
    from tokenizers.models import BPE

    scores = file.metadata.get("tokenizer.ggml.scores")
    if scores is None or len(scores) != len(vocabulary.texts):
        raise TokenizerError("its tokenizer has no score for each token", where=str(file.path))
    unknown_id = vocabulary.named_ids.get("unknown")
    tokens = vocabulary.plain_ids
    merges = merges_from_scores(vocabulary, np.asarray(scores))
    extra: dict[str, Any] = {}
    if unknown_id is not None:
        unknown = vocabulary.texts[unknown_id]
        tokens = {**tokens, unknown: unknown_id}
        extra["unk_token"] = unknown
    encoder = Tokenizer(BPE(vocab=tokens, merges=merges, byte_fallback=True, fuse_unk=False, **extra))
    steps: list[Any] = [normalizers.Replace(" ", SPACE_MARK)]
    if adds_space_prefix(file):
        steps.insert(0, normalizers.Prepend(SPACE_MARK))
    encoder.normalizer = normalizers.Sequence(steps)
    _keep_spaces_whole(encoder, vocabulary)
    return encoder


def _keep_spaces_whole(encoder: Any, vocabulary: Vocabulary) -> None:
    from tokenizers import AddedToken

    encoder.add_tokens([AddedToken(text, normalized=False) for text in vocabulary.space_texts])


def adds_space_prefix(file: GGUFFile) -> bool:
    """Whether a SentencePiece file puts a space before text (it does unless it says no)."""
    return bool(file.metadata.get("tokenizer.ggml.add_space_prefix", True))


def merges_from_scores(vocabulary: Vocabulary, scores: np.ndarray) -> list[tuple[str, str]]:
    """Every way to put a token together from two others, best score first.

    SentencePiece joins the pair whose result has the best score; among equal ones the order is that
    which transformers gives them (longer left part first).
    """
    types = vocabulary.types.tolist()
    tokens = {text: i for i, text in enumerate(vocabulary.texts) if types[i] == TokenType.NORMAL}
    found = []
    for text, token_id in tokens.items():
        score = float(scores[token_id])
        for place in range(1, len(text)):
            left, right = text[:place], text[place:]
            if left in tokens and right in tokens:
                found.append((-score, token_id, -place, left, right))
    found.sort(key=lambda merge: merge[:3])
    return [(left, right) for *_, left, right in found]
