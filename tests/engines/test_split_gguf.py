"""A model in three files is the model in one file: the same tensors, the same distributions."""

import gguf
import numpy as np
import pytest
from gguf_writer import Shape, write_random

from homespun.engines.choose import open_engine
from homespun.engines.engine import EngineOptions
from homespun.models.errors import ModelFileError
from homespun.models.gguf import read_gguf

PROMPT = [5, 60, 90, 256, 31]


def split(whole, folder, n_parts=3):
    """Tensors dealt out to parts in turn of their order; the metadata goes to the first."""
    reader = gguf.GGUFReader(whole)
    paths = []
    for number in range(n_parts):
        path = folder / f"tiny-{number + 1:05}-of-{n_parts:05}.gguf"
        writer = gguf.GGUFWriter(str(path), "llama")
        if number == 0:
            for key, found in reader.fields.items():
                if not key.startswith("GGUF.") and key != "general.architecture":
                    kind = found.types[0]
                    inner = found.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
                    writer.add_key_value(key, found.contents(), kind, inner)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", n_parts)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        n_each = -(-len(reader.tensors) // n_parts)
        for tensor in reader.tensors[number * n_each : (number + 1) * n_each]:
            writer.add_tensor(tensor.name, np.asarray(tensor.data), raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_random(tmp_path_factory.mktemp("whole") / "tiny.gguf", Shape(ggml_type="Q8_0"))


@pytest.fixture
def parts(whole, tmp_path):
    return split(whole, tmp_path)


def test_any_part_reads_as_the_whole_file(whole, parts):
    one = read_gguf(whole)
    for path in parts:
        file = read_gguf(path)
        assert file.path == parts[0] and file.paths == tuple(parts)
        assert list(file.tensors) == list(one.tensors)
        assert {info.path for info in file.tensors.values()} == set(parts)
        assert file.size_bytes == sum(part.stat().st_size for part in parts)
        assert file.n_parameters == one.n_parameters
        for name in one.tensors:
            assert np.array_equal(file.data(name), one.data(name))
            assert np.array_equal(file.dequantize(name), one.dequantize(name))


@pytest.mark.parametrize("engine", ["openvino", "llama.cpp"])
def test_distributions_are_those_of_the_whole_file(whole, parts, engine):
    def distribution(path):
        with open_engine(path, EngineOptions("exact", threads=1, cache_tokens=512), engine=engine) as loaded:
            return loaded.distributions(PROMPT)

    assert np.array_equal(distribution(whole), distribution(parts[1]))


def test_missing_cut_and_swapped_parts_are_named(parts):
    last = parts[2].read_bytes()
    parts[2].unlink()
    with pytest.raises(
        ModelFileError, match=r"split into 3 files, and tiny-00003-of-00003\.gguf is not there"
    ):
        read_gguf(parts[0])
    parts[2].write_bytes(last[:-32])
    with pytest.raises(ModelFileError, match=r"00003-of-00003.*cut off"):
        read_gguf(parts[0])
    parts[2].write_bytes(parts[1].read_bytes())
    with pytest.raises(ModelFileError, match="part 3 of 3, but the file does not"):
        read_gguf(parts[0])


def test_digest_depends_on_every_part(parts):
    before = read_gguf(parts[0]).digest
    stored = bytearray(parts[2].read_bytes())
    stored[-1] ^= 1
    parts[2].write_bytes(stored)
    assert read_gguf(parts[0]).digest != before


def test_a_home_takes_and_removes_all_parts_together(home, parts):
    model = home.add_model(parts[1], "tiny")
    assert sorted(path.name for path in model.path.parent.iterdir()) == [path.name for path in parts]
    assert model.path.name == parts[0].name
    assert read_gguf(model.path).digest == model.digest
    assert home.add_model(parts[2]).name == "tiny"
    home.remove_model("tiny")
    assert not model.path.parent.exists() and all(path.exists() for path in parts)


def test_a_home_refers_to_the_first_part(home, parts):
    model = home.add_model(parts[2], "tiny", reference=True)
    assert model.path == parts[0]
    home.remove_model("tiny")
    assert all(path.exists() for path in parts)
