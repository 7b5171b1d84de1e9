"""What holds for every tokenizer, whatever its ids (those are held against others elsewhere)."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.models.errors import TokenizerError
from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.tokenizer import Tokenizer, marker_pattern
from homespun.models.vocabulary import TokenType, byte_level_alphabet

PATTERN = r"\s*\S+\s*"
SETTINGS = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def starter(starter_gguf) -> Tokenizer:
    return Tokenizer.from_gguf(read_gguf(starter_gguf))


@pytest.fixture(scope="module")
def sentencepiece(sentencepiece_gguf) -> Tokenizer:
    return Tokenizer.from_gguf(read_gguf(sentencepiece_gguf))


@pytest.fixture(scope="module", params=["starter", "sentencepiece", "llama-bpe", "qwen2", "default"])
def tokenizer(request, byte_level_gguf) -> Tokenizer:
    if request.param in ("starter", "sentencepiece"):
        return request.getfixturevalue(request.param)
    return Tokenizer.from_gguf(read_gguf(byte_level_gguf(request.param, PATTERN)))


def texts_with(markers):
    return st.lists(st.sampled_from(sorted(markers)) | st.text(max_size=10), max_size=6).map("".join)


def changed(file: GGUFFile, **metadata) -> GGUFFile:
    """The same file, saying something else."""
    entries = {**file.metadata, **{key.replace("__", "."): value for key, value in metadata.items()}}
    return GGUFFile(file.path, file.version, entries, file.tensors, file.size_bytes)


@SETTINGS
@given(data=st.data())
def test_plain_text_is_never_a_marker(tokenizer, data):
    text = data.draw(texts_with(tokenizer.vocabulary.markers))
    marker_ids = set(tokenizer.vocabulary.markers.values())
    assert not marker_ids & set(tokenizer.encode(text))
    assert not marker_ids & set(tokenizer.encode_with_offsets(text)[0])


@SETTINGS
@given(data=st.data())
def test_plain_text_is_kept_literally(tokenizer, data):
    text = data.draw(texts_with(tokenizer.vocabulary.markers))
    # What the starter never learned: see the test of its missing bytes.
    text = "".join(sign for sign in text if " " <= sign < "\U00040000" or sign in "\n\t")
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_marker_is_parsed_only_when_asked(tokenizer):
    for text, token_id in tokenizer.vocabulary.markers.items():
        assert tokenizer.encode(text, control=True) == [token_id]
        assert token_id not in tokenizer.encode(text)


def test_nasty_texts_come_back(tokenizer, nasty_texts):
    for text in nasty_texts:
        if "\x1f" not in text:
            assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bytes_that_the_starter_never_learned_are_left_out(starter):
    """Its vocabulary has no token for six of the control characters; llama.cpp drops them too."""
    assert starter.decode(starter.encode("a\x04\x06\x13\x14\x16\x1db\x1f")) == "ab\x1f"


@SETTINGS
@given(text=st.text(max_size=60))
def test_offsets(tokenizer, text):
    ids, offsets = tokenizer.encode_with_offsets(text)
    assert ids == tokenizer.encode(text)
    assert len(ids) == len(offsets) == tokenizer.count(text)
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert [start for start, _ in offsets] == sorted(start for start, _ in offsets)


def test_offsets_are_code_points(starter):
    text = "歪 👍 ß Hello"
    _, offsets = starter.encode_with_offsets(text)
    words = {text[start:end] for start, end in offsets}
    assert {"歪", " 👍", " ß", " Hello"} <= words
    assert offsets[-1] == (5, 11)


def test_surrogates_are_read_as_the_replacement_character(tokenizer):
    assert tokenizer.encode("a\ud83db") == tokenizer.encode("a\ufffdb")
    assert tokenizer.encode("\ud83d\ude00") == tokenizer.encode("\ufffd\ufffd")
    _, offsets = tokenizer.encode_with_offsets("a\ud83db")
    assert offsets[-1][1] == 3


@pytest.mark.parametrize("sign", ["a", " ", "\n", "1", "<", "é", "👍", "ab "])
def test_a_hundred_thousand_of_one_sign(tokenizer, sign):
    """Quadratic merging would take minutes here."""
    text = sign * (100_000 // len(sign))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@SETTINGS
@given(data=st.data())
def test_a_stream_is_the_plain_answer(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.n_vocab - 1), max_size=20))
    decoder = tokenizer.stream_decoder()
    parts = [decoder.push(token_id) for token_id in ids]
    assert "".join(parts) + decoder.flush() == tokenizer.decode(ids)
    joined = b"".join(tokenizer.token_bytes(i) for i in ids if not tokenizer.is_control(i))
    plain = joined.decode("utf-8", "replace")
    assert tokenizer.decode(ids) in (plain, plain.removeprefix(" "))


def test_no_part_of_a_character_is_given_out(starter):
    for text in ["歪", "👍", "ß", "👩‍👩‍👧", "नमस्ते"]:
        decoder = starter.stream_decoder()
        parts = [decoder.push(token_id) for token_id in starter.encode(text)]
        assert "".join(parts) == text and "\ufffd" not in "".join(parts)
        assert decoder.flush() == ""


def test_a_dangling_tail_is_flushed(starter):
    ids = starter.encode("ok 👍")[:-1]
    decoder = starter.stream_decoder()
    assert "".join(map(decoder.push, ids)) == "ok "
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""


def test_starter_facts(starter):
    assert starter.n_vocab == 49_152
    assert (starter.bos_id, starter.eos_id, starter.add_bos) == (1, 2, False)
    assert starter.control_ids == frozenset(range(17))
    assert starter.stop_ids == {0, 2}
    assert starter.token_text(2) == "<|im_end|>" and starter.is_control(2)
    assert starter.decode([2, *starter.encode("Hi"), 2]) == "Hi"
    assert starter.decode([2, *starter.encode("Hi")], skip_control=False) == "<|im_end|>Hi"


def test_sentencepiece_bytes(sentencepiece):
    ids = {text: i for i, text in enumerate(sentencepiece.vocabulary.texts)}
    assert sentencepiece.token_bytes(ids["<0x0A>"]) == b"\n"
    assert sentencepiece.token_bytes(ids["\u2581t"]) == b" t"
    assert sentencepiece.add_bos and sentencepiece.bos_id == 1
    assert sentencepiece.decode(sentencepiece.encode(" two  spaces ")) == " two  spaces "


def test_the_end_of_a_turn_stops_even_if_the_file_names_another_end(starter_gguf):
    file = changed(read_gguf(starter_gguf), tokenizer__ggml__eos_token_id=0)
    assert Tokenizer.from_gguf(file).stop_ids == {0, 2}


def test_a_marker_listed_as_text_is_still_a_marker(starter_gguf):
    file = read_gguf(starter_gguf)
    types = file.metadata["tokenizer.ggml.token_type"].copy()
    types[1:3] = TokenType.NORMAL
    tokenizer = Tokenizer.from_gguf(changed(file, tokenizer__ggml__token_type=types))
    assert {1, 2} <= tokenizer.control_ids
    assert not {1, 2} & set(tokenizer.encode("<|im_end|><|im_start|>"))


def test_space_tokens_serve_text(starter_gguf):
    """User-defined runs of white space are no structure; text becomes them as in training."""
    file = read_gguf(starter_gguf)
    tokens = [*file.metadata["tokenizer.ggml.tokens"][:-1], "\n\n\n"]
    types = file.metadata["tokenizer.ggml.token_type"].copy()
    types[-1] = TokenType.USER_DEFINED
    tokenizer = Tokenizer.from_gguf(
        changed(file, tokenizer__ggml__tokens=tokens, tokenizer__ggml__token_type=types)
    )
    ids = tokenizer.encode("a\n\n\nb")
    assert ids[1] == len(tokens) - 1 and tokenizer.decode(ids) == "a\n\n\nb"


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({"tokenizer__ggml__pre": "klingon"}, "'klingon'"),
        ({"tokenizer__ggml__model": "bert"}, "'bert'"),
        ({"tokenizer__ggml__model": None}, "no tokenizer in it"),
        ({"tokenizer__ggml__tokens": None}, "no tokenizer in it"),
        ({"tokenizer__ggml__merges": None}, "no merges"),
        ({"tokenizer__ggml__eos_token_id": 99_999}, "eos token is number 99999"),
        ({"tokenizer__ggml__token_type": [1, 1]}, "2 token types"),
        ({"tokenizer__ggml__model": "llama"}, "no score"),
    ],
)
def test_what_cannot_be_read_is_named(starter_gguf, metadata, says):
    with pytest.raises(TokenizerError, match=says) as caught:
        Tokenizer.from_gguf(changed(read_gguf(starter_gguf), **metadata))
    assert "\n" not in str(caught.value)


def test_longest_marker_first():
    pattern = marker_pattern(["<a", "<a>", "]"])
    assert [match[0] for match in pattern.finditer("<a> <a] ^-\\")] == ["<a>", "<a", "]"]
    assert not marker_pattern([]).search("anything")


def test_byte_alphabet():
    from tokenizers.pre_tokenizers import ByteLevel

    alphabet = byte_level_alphabet()
    assert set(alphabet) == set(ByteLevel.alphabet())
    assert sorted(alphabet.values()) == list(range(256))
    assert (alphabet["Ġ"], alphabet["Ċ"], alphabet["A"]) == (32, 10, 65)
