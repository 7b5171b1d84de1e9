"""The facts about a model file."""

import pytest

from homespun.models.gguf import GGUFFile, read_gguf
from homespun.models.inspect import SpecialToken, describe_model, short_name


def test_starter(starter_gguf):
    facts = describe_model(read_gguf(starter_gguf))
    assert facts.name == "Smollm2 135M 8k Lc100K Mix1 Ep2"
    assert (facts.architecture, facts.n_parameters, facts.quantization) == ("llama", 134_515_008, "Q4_1")
    assert [(share.ggml_type, share.n_tensors) for share in facts.formats] == [
        ("Q4_1", 210),
        ("Q8_0", 1),
        ("F32", 61),
    ]
    # The embedding table: 49,152 rows of 576 values, 34 bytes for 32 of them.
    assert facts.formats[1].size_bytes == 49_152 * 576 // 32 * 34
    assert sum(share.share for share in facts.formats) == pytest.approx(1)
    assert sum(share.n_parameters for share in facts.formats) == facts.n_parameters
    assert (facts.context_length, facts.n_layers, facts.n_heads, facts.n_kv_heads) == (8192, 30, 9, 3)
    assert facts.tokenizer == "gpt2 (smollm)" and facts.licence == "apache-2.0"
    assert facts.chat_template and "<|im_start|>" in facts.chat_template
    assert SpecialToken("eos", 2, "<|im_end|>") in facts.special_tokens
    assert facts.digest.startswith("b179c952")


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("SmolLM2", "smollm2"),
        ("Qwen 2.5 / Coder", "qwen-2.5-coder"),
        ("../..", "model"),
        (None, "my-file.q4"),
    ],
)
def test_short_names(tmp_path, base, expected):
    file = GGUFFile(tmp_path / "My File.Q4.gguf", 3, {"general.basename": base}, {}, 0)
    assert short_name(file) == expected


def test_a_file_without_tokenizer_or_template(tmp_path):
    path = tmp_path / "bare.gguf"
    path.write_bytes(b"x")
    file = GGUFFile(path, 3, {"general.architecture": "odd"}, {}, 1)
    facts = describe_model(file)
    assert (facts.name, facts.tokenizer, facts.chat_template, facts.quantization) == (
        "bare",
        "none",
        None,
        "none",
    )
