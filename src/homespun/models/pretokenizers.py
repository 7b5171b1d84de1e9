"""How text is cut into words before byte pairs are merged, by the name that a GGUF gives it.

A byte-pair vocabulary was learned on words cut by one set of patterns; cut otherwise, the same text
gets other tokens than in training. The names and patterns are those that llama.cpp defines for
`tokenizer.ggml.pre`; each is tested against it. A name that is not here is refused.
"""

from dataclasses import dataclass
from typing import Any

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_ENDINGS = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3 = _ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _SPACES
_QWEN2 = _ENDINGS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + _SPACES
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + _SPACES
)


@dataclass(frozen=True)
class PreTokenizer:
    """One way of cutting.

    Attributes:
        patterns: applied one after the other, each to the pieces that the one before left; both
            what matches and what lies between matches is a piece.
        whole_words: a word that is in the vocabulary is one token, whatever the merges say.
        add_bos: whether the text begins with the begin token when the file does not say.
    """

    patterns: tuple[str, ...]
    whole_words: bool = False
    add_bos: bool = False


_BY_GPT2 = PreTokenizer((_GPT2,))
_BY_DIGITS = PreTokenizer((r"\p{N}", _GPT2))
_BY_LLAMA3 = PreTokenizer((_LLAMA3,), whole_words=True, add_bos=True)
_BY_QWEN2 = PreTokenizer((_QWEN2,))
_BY_DEFAULT = PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", "[0-9][0-9][0-9]"))

PRE_TOKENIZERS: dict[str, PreTokenizer] = {
    **dict.fromkeys(("gpt-2", "phi-2", "jina-es", "jina-de", "mpt", "olmo"), _BY_GPT2),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone"), _BY_DIGITS),
    **dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"),
        _BY_LLAMA3,
    ),
    **dict.fromkeys(("smaug-bpe", "dbrx"), PreTokenizer((_LLAMA3,))),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "kormo", "megrez"), _BY_QWEN2),
    "tekken": PreTokenizer((_TEKKEN,), whole_words=True, add_bos=True),
    "default": _BY_DEFAULT,
}


def build_pretokenizer(kind: PreTokenizer) -> Any:
    """The `tokenizers` object that cuts text and spells the pieces in the byte-level alphabet."""
    from tokenizers import Regex, pre_tokenizers

    steps: list[Any] = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in kind.patterns]
    return pre_tokenizers.Sequence(
        [*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)]
    )
