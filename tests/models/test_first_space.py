"""Constrained answers of tokenizers that write a space in front of the text."""

import re

import numpy as np

from homespun.engines.constraint import begin_constraint
from homespun.engines.engine import GenerateOptions
from homespun.models.gguf import read_gguf
from homespun.models.tokenizer import Tokenizer


def test_the_space_that_sentencepiece_takes_off_is_no_part_of_the_answer(sentencepiece_gguf):
    tokenizer = Tokenizer.from_gguf(read_gguf(sentencepiece_gguf))
    mask = begin_constraint(GenerateOptions(regex="[a-z ]+"), tokenizer).mask()
    for token_id in np.flatnonzero(mask).tolist():
        assert re.fullmatch("[a-z ]+", tokenizer.decode([token_id]))
    for token_id in range(tokenizer.n_vocab):
        if re.fullmatch("[a-z]+", tokenizer.decode([token_id])):
            assert mask[token_id], tokenizer.token_bytes(token_id)
