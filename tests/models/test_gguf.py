"""Whole files are read as the reference reader does; every other file is refused in one sentence."""

import struct

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homespun.models.digest import hash_file
from homespun.models.errors import ModelFileError
from homespun.models.formats import BLOCK_FORMATS
from homespun.models.gguf import read_gguf


def refusal(path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_gguf(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def tiny(byte_level_gguf):
    return byte_level_gguf("gpt-2", r"\s*\S+\s*")


@pytest.fixture(scope="module")
def reference(starter_gguf):
    return gguf.GGUFReader(starter_gguf)


def test_starter_is_read_as_by_the_reference(starter_gguf, reference):
    ours, theirs = read_gguf(starter_gguf), reference
    assert [info.name for info in ours.tensors.values()] == [tensor.name for tensor in theirs.tensors]
    for tensor in theirs.tensors:
        info = ours.tensors[tensor.name]
        assert info.ggml_type == tensor.tensor_type.name
        assert info.shape == tuple(reversed(tensor.shape.tolist()))
        assert (info.offset, info.size_bytes) == (tensor.data_offset, tensor.n_bytes)
    fields = {key: field for key, field in theirs.fields.items() if not key.startswith("GGUF.")}
    assert list(ours.metadata) == list(fields)
    for key, field in fields.items():
        value = ours.metadata[key]
        assert (value.tolist() if isinstance(value, np.ndarray) else value) == field.contents()


def test_starter_facts(starter_gguf):
    file = read_gguf(starter_gguf)
    assert (file.version, file.architecture, len(file.tensors)) == (3, "llama", 272)
    assert file.n_parameters == 134_515_008
    assert file.digest == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    assert file.size_bytes == starter_gguf.stat().st_size
    assert file.tensors["token_embd.weight"].shape == (49_152, 576)


@pytest.mark.parametrize("name", ["token_embd.weight", "blk.7.ffn_down.weight", "blk.0.attn_norm.weight"])
def test_values_are_those_of_the_reference(starter_gguf, reference, name):
    theirs = {tensor.name: tensor for tensor in reference.tensors}[name]
    file = read_gguf(starter_gguf)
    assert np.array_equal(file.data(name).reshape(-1), theirs.data.view(np.uint8).reshape(-1))
    values = file.dequantize(name)
    assert values.dtype == np.float32 and values.shape == file.tensors[name].shape
    assert np.array_equal(values, gguf.dequantize(theirs.data, theirs.tensor_type))


def test_raw_bytes_are_rows_and_cannot_be_written(starter_gguf):
    data = read_gguf(starter_gguf).data("blk.0.ffn_down.weight")
    assert data.shape == (576, 1536 // 32 * 20)
    with pytest.raises(ValueError, match="read-only"):
        data[0, 0] = 1


def test_unknown_tensor(tiny):
    with pytest.raises(ModelFileError, match=r"no tensor 'blk\.9\.x'"):
        read_gguf(tiny).data("blk.9.x")


def test_block_sizes_are_those_of_ggml():
    assert {int(kind) for kind in gguf.GGML_QUANT_SIZES} == set(BLOCK_FORMATS)
    for number, block in BLOCK_FORMATS.items():
        kind = gguf.GGMLQuantizationType(number)
        assert (kind.name, gguf.GGML_QUANT_SIZES[kind]) == (block.name, (block.n_values, block.size_bytes))


def test_ten_cuts_of_the_starter(starter_gguf, tmp_path):
    path = tmp_path / "cut.gguf"
    whole = starter_gguf.read_bytes()
    path.write_bytes(whole)
    for size in [len(whole) - 1, *(len(whole) * tenth // 10 for tenth in range(9, 0, -1)), 1_000_000, 100]:
        with path.open("r+b") as out:
            out.truncate(size)
        assert "cut off" in refusal(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.floats(0, 1, exclude_max=True))
def test_any_cut_is_refused(tiny, tmp_path, part):
    whole = tiny.read_bytes()
    path = tmp_path / "cut.gguf"
    path.write_bytes(whole[: int(len(whole) * part)])
    refusal(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_headers_never_get_past_with_ranges_outside(tiny, tmp_path, data):
    """Any bytes of the header may be wrong: refused, or still wholly inside the file."""
    whole = bytearray(tiny.read_bytes())
    header_bytes = min(info.offset for info in read_gguf(tiny).tensors.values())
    for _ in range(data.draw(st.integers(1, 3))):
        # Half of the damage where the counts are: the metadata's start and the tensors' descriptions.
        place = data.draw(
            st.integers(0, 300)
            | st.integers(header_bytes - 700, header_bytes - 1)
            | st.integers(0, header_bytes)
        )
        whole[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.gguf"
    path.write_bytes(whole)
    try:
        file = read_gguf(path)
    except ModelFileError as error:
        assert "\n" not in str(error)
        return
    for name, info in file.tensors.items():
        assert info.offset + info.size_bytes <= len(whole)
        assert file.data(name).nbytes == info.size_bytes


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\0" * 10_000, "zeros"),
        (b"<!DOCTYPE html>\n<html><head><title>Sign in</title>", "web page"),
        (b"\n  <html lang='en'>", "web page"),
        (b"\xef\xbb\xbf<!doctype html>", "web page"),
        (b"version https://git-lfs\noid sha256:00\nsize 98362432\n", "Git LFS pointer"),
        (b"PK\x03\x04aaaaaaaa", "zip archive"),
        (b"tjgg\3\0\0\0", "older GGML format"),
        (struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}}', "safetensors"),
        (b"hello, this is a text file", "not a GGUF model"),
        (b"GG", "cut off"),
        (b"GGUF", "cut off"),
        (b"GGUF" + struct.pack("<I", 1) + bytes(50), "version 1"),
        (b"GGUF" + struct.pack("<I", 99) + bytes(50), "version 99"),
        (b"GGUF" + struct.pack(">I", 3) + bytes(50), "big-endian"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**40, 1), "claims 1,099,511,627,776 tensors"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**50), "bytes long"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 0), "what kind of model"),
    ],
)
def test_impostors(tmp_path, content, says):
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert says in refusal(path)


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def entry(key: str, value: object) -> bytes:
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    if isinstance(value, list):
        return text(key) + struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
    return text(key) + struct.pack("<II", 4, value)


def tensor(name: str, sizes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def build(entries: list[bytes], tensors: list[bytes], data_bytes: int = 4096) -> bytes:
    entries = [entry("general.architecture", "llama"), *entries]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join([*entries, *tensors])
    return head + bytes(-len(head) % 32) + bytes(data_bytes)


def test_a_file_built_by_hand(tmp_path):
    path = tmp_path / "a.gguf"
    path.write_bytes(build([entry("llama.block_count", 2)], [tensor("a", [32, 4], kind=8, offset=64)], 200))
    info = read_gguf(path).tensors["a"]
    assert (info.shape, info.ggml_type, info.size_bytes, info.n_values) == ((4, 32), "Q8_0", 136, 128)
    path.write_bytes(path.read_bytes()[:-1])
    assert "cut off" in refusal(path)


@pytest.mark.parametrize(
    ("entries", "tensors", "says"),
    [
        ([], [tensor("a", [8]), tensor("a", [8], offset=32)], "'a' appears twice"),
        ([], [tensor("a", [32]), tensor("b", [8], offset=32)], "overlaps"),
        ([], [tensor("a", [8], offset=4)], "multiple of 32"),
        ([], [tensor("a", [8], kind=4)], "number 4"),
        ([], [tensor("a", [33], kind=2)], "not whole blocks of Q4_0"),
        ([], [tensor("a", [8, 0])], "claims 0 values"),
        ([], [tensor("a", [2**40, 2**40])], "values"),
        ([], [tensor("a", [1] * 5)], "5 dimensions"),
        ([], [tensor("a", [8], offset=2**63)], "cut off"),
        ([entry("x", 1), entry("x", 2)], [], "appears twice"),
        ([entry("general.alignment", 3)], [], "alignment is 3"),
        ([entry("llama.block_count", 4_000_000_000)], [], "llama.block_count is 4000000000"),
        ([entry("llama.context_length", "long")], [], "llama.context_length is 'long'"),
        ([entry("split.count", 3)], [], "one of 3 parts"),
        (
            [entry("tokenizer.ggml.tokens", ["a", "b", "c"])],
            [tensor("token_embd.weight", [8, 2])],
            "3 tokens, but the embedding table only 2 rows",
        ),
        ([entry("tokenizer.ggml.tokens", ["a", "b", "a"])], [], "'a' is 2 times"),
        ([text("x") + struct.pack("<I", 77)], [], "unknown type 77"),
        ([text("x") + struct.pack("<IIQ", 9, 5, 2**60)], [], "cut off"),
        ([text("x") + struct.pack("<IIQ", 9, 8, 2**60)], [], "cut off"),
        ([text("x") + struct.pack("<IIQ", 9, 9, 2**60)], [], "cut off"),
    ],
)
def test_headers_that_contradict_themselves(tmp_path, entries, tensors, says):
    path = tmp_path / "bad.gguf"
    path.write_bytes(build(entries, tensors))
    assert says in refusal(path)


def test_what_is_no_file(tmp_path):
    assert "folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "missing.gguf")


def test_digests_are_remembered_in_the_home_only_for_the_same_state(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMESPUN_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    path = tmp_path / "a.gguf"
    path.write_bytes(build([], [tensor("a", [8])]))
    first = read_gguf(path).digest
    assert first == hash_file(path)
    (note,) = (tmp_path / "home" / "cache" / "digests").iterdir()
    note.write_text(note.read_text().replace(first, "0" * 64))
    assert read_gguf(path).digest == "0" * 64
    path.write_bytes(build([], [tensor("b", [8])]) + b"!")
    assert read_gguf(path).digest == hash_file(path)
