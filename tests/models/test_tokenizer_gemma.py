"""Gemma 3's own vocabulary, of 262,144 pieces with scores, against llama.cpp and transformers."""

import pytest

from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer

pytestmark = pytest.mark.long

MORE_TEXTS = [
    " one space  two   three    and a trailing one ",
    "<start_of_turn>user\nhello<end_of_turn>\n<eos> <bos> <table> </div> <0x0A> [multimodal]",
    "\u2581 the sign that stands for a space \u2581\u2581 in the vocabulary",
    "\u0d9a\u0ddc\u0dc4\u0ddc\u0db8\u0daf? Xin ch\u00e0o, ti\u1ebfng Vi\u1ec7t; dzie\u0144 dobry",
]


@pytest.fixture(scope="module")
def tokenizer(gemma_gguf) -> Tokenizer:
    return Tokenizer.from_gguf(read_gguf(gemma_gguf))


def test_it_agrees_with_llama_cpp(gemma_gguf, tokenizer, llama_cpp, nasty_texts):
    oracle = llama_cpp(gemma_gguf)
    for text in [*nasty_texts, *MORE_TEXTS]:
        assert tokenizer.encode(text, control=True) == oracle.encode(text, special=True), text
        # llama.cpp takes pieces such as <table> whole in any text; ours does where markers may be read.
        if not set(text) & set("<\u2581"):
            assert tokenizer.encode(text) == oracle.encode(text), text


def test_it_agrees_with_transformers(gemma_gguf, tokenizer, transformers_tokenizer, nasty_texts):
    """transformers joins a run of spaces in another order, and keeps no sign for a space apart from one;
    llama.cpp, which the file is made for, is followed."""
    oracle = transformers_tokenizer(gemma_gguf)
    alike = [text for text in [*nasty_texts, *MORE_TEXTS] if " " * 32 not in text and "\u2581" not in text]
    assert len(alike) == len(nasty_texts) + len(MORE_TEXTS) - 2
    for text in alike:
        assert tokenizer.encode(text, control=True) == oracle.encode(text, add_special_tokens=False), text


def test_text_comes_back_and_never_becomes_a_marker(tokenizer, nasty_texts):
    for text in [*nasty_texts, *MORE_TEXTS]:
        ids = tokenizer.encode(text)
        assert not set(ids) & tokenizer.control_ids
        assert tokenizer.decode(ids) == text.replace("\u2581", " ")
