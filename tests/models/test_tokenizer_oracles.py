"""Ids against llama.cpp and transformers, which read the same files with code of their own.

Where the two differ from each other, llama.cpp is followed, because a GGUF's tokenizer metadata is
defined by what llama.cpp does with it; each such place has a test that says so.
"""

import unicodedata
from functools import cache

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer

#: What the test vocabularies were learned on: so loosely that every way of cutting shows.
PATTERN = r"\s*\S+\s*"

#: What the starter has no token for.
MISSING_BYTES = {4, 6, 19, 20, 22, 29, 192, 193, *range(241, 256)} - {243, 244}

# llama.cpp works on whole code points and JSON carries no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80) | st.text(
    "ab1 2\n\r\t'sSé歪👍\u200d.<|im_end|>_\u0301\u00b2", max_size=40
)
RELAXED = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def tokenizer_of(path) -> Tokenizer:
    return Tokenizer.from_gguf(read_gguf(path))


def with_markers(tokenizer):
    return lambda text: tokenizer.encode(text, control=True)


def as_llama_cpp(oracle):
    return lambda text: oracle.encode(text, special=True)


def as_transformers(oracle):
    return lambda text: oracle.encode(text, add_special_tokens=False)


def differences(ours, theirs, texts) -> list[tuple]:
    pairs = ((text, ours(text), theirs(text)) for text in texts)
    return [(text, mine, other) for text, mine, other in pairs if mine != other]


def test_starter_agrees_with_llama_cpp(starter_gguf, llama_cpp, nasty_texts):
    ours, theirs = tokenizer_of(starter_gguf), llama_cpp(starter_gguf)
    assert differences(ours.encode, theirs.encode, nasty_texts) == []
    assert differences(with_markers(ours), as_llama_cpp(theirs), nasty_texts) == []


def test_a_long_letter_agrees_with_llama_cpp(starter_gguf, llama_cpp):
    ours, theirs = tokenizer_of(starter_gguf), llama_cpp(starter_gguf)
    assert ours.encode("a" * 100_000) == theirs.encode("a" * 100_000)


@RELAXED
@given(text=TEXTS)
def test_any_text_agrees_with_llama_cpp(starter_gguf, llama_cpp, text):
    """The starter has no token for 21 bytes (some control characters, beginnings of characters that
    nobody uses). All leave them out; transformers and ours then see their neighbours as one word."""
    ours, theirs = tokenizer_once(starter_gguf), llama_cpp(starter_gguf)
    assume(not set(text.encode()) & MISSING_BYTES)
    assert ours.encode(text) == theirs.encode(text)
    assert ours.encode(text, control=True) == theirs.encode(text, special=True)


def test_the_missing_bytes(starter_gguf):
    known = {stored[0] for stored in tokenizer_once(starter_gguf).vocabulary.token_bytes if len(stored) == 1}
    assert set(range(256)) - known == MISSING_BYTES


def test_starter_agrees_with_transformers(starter_gguf, transformers_tokenizer, nasty_texts):
    """transformers ignores the name "smollm" and cuts words as GPT-2; the model's published
    tokenizer cuts every digit off first. That is put in here, and then all texts agree."""
    from tokenizers import pre_tokenizers

    ours, theirs = tokenizer_of(starter_gguf), transformers_tokenizer(starter_gguf)
    as_loaded = differences(with_markers(ours), as_transformers(theirs), nasty_texts)
    assert [text for text, *_ in as_loaded if not any(sign in text for sign in "Ⅷ²½٣")] == []
    theirs.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    assert differences(with_markers(ours), as_transformers(theirs), nasty_texts) == []


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "default", "llama-bpe", "smaug-bpe", "qwen2"])
def test_byte_level_agrees_with_llama_cpp(pre, byte_level_gguf, llama_cpp, nasty_texts):
    path = byte_level_gguf(pre, PATTERN)
    ours, theirs = tokenizer_of(path), llama_cpp(path)
    assert differences(with_markers(ours), as_llama_cpp(theirs), nasty_texts) == []


def test_tekken_agrees_with_llama_cpp(byte_level_gguf, llama_cpp, nasty_texts):
    """llama.cpp only approximates this one: it takes a combining mark for no part of a word.
    transformers has the published pattern, and agrees with ours on all texts (below)."""
    path = byte_level_gguf("tekken", PATTERN)
    ours, theirs = tokenizer_of(path), llama_cpp(path)
    unlike = [text for text, *_ in differences(with_markers(ours), as_llama_cpp(theirs), nasty_texts)]
    assert [text for text in unlike if not any(unicodedata.category(sign)[0] == "M" for sign in text)] == []


@pytest.mark.parametrize("pre", ["gpt-2", "default", "llama-bpe", "qwen2"])
@settings(RELAXED, max_examples=25)
@given(text=TEXTS)
def test_any_text_is_cut_as_by_llama_cpp(pre, byte_level_gguf, llama_cpp, text):
    path = byte_level_gguf(pre, PATTERN)
    assert tokenizer_once(path).encode(text) == llama_cpp(path).encode(text)


@pytest.mark.parametrize("pre", ["gpt-2", "llama-bpe", "qwen2", "tekken"])
def test_byte_level_agrees_with_transformers(pre, byte_level_gguf, transformers_tokenizer, nasty_texts):
    path = byte_level_gguf(pre, PATTERN)
    ours, theirs = tokenizer_of(path), transformers_tokenizer(path)
    if pre in ("llama-bpe", "tekken"):
        # transformers forgets that these take a word of the vocabulary whole.
        theirs.backend_tokenizer.model.ignore_merges = True
    assert differences(with_markers(ours), as_transformers(theirs), nasty_texts) == []


def test_the_ways_of_cutting_do_differ(byte_level_gguf, nasty_texts):
    """Otherwise the tests above would pass with any of them."""
    kinds = ["smollm", "gpt-2", "default", "llama-bpe", "qwen2", "tekken"]
    seen = {
        pre: tuple(tuple(tokenizer_of(byte_level_gguf(pre, PATTERN)).encode(t)) for t in nasty_texts)
        for pre in kinds
    }
    assert len(set(seen.values())) == len(kinds)


def test_sentencepiece_agrees_with_llama_cpp(sentencepiece_gguf, llama_cpp, nasty_texts):
    ours, theirs = tokenizer_of(sentencepiece_gguf), llama_cpp(sentencepiece_gguf)
    texts = [*nasty_texts, "hi</s>\nthere <|user|> x"]
    assert differences(with_markers(ours), as_llama_cpp(theirs), texts) == []


def test_sentencepiece_agrees_with_transformers(sentencepiece_gguf, transformers_tokenizer, nasty_texts):
    """Two differences are known. transformers puts no space in front of a text that begins with
    one, and none behind a marker; llama.cpp and the original tokenizers of Llama 2 do both."""
    ours, theirs = tokenizer_of(sentencepiece_gguf), transformers_tokenizer(sentencepiece_gguf)
    alike = [text for text in nasty_texts if not text.startswith(" ") and "</s>" not in text]
    assert len(alike) >= 14
    assert differences(with_markers(ours), as_transformers(theirs), alike) == []


@cache
def tokenizer_once(path) -> Tokenizer:
    return tokenizer_of(path)
