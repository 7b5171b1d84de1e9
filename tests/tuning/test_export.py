"""Exports: each is read by the program that it is for, and what is off is not left."""

from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.engines.openvino.adapters import read_adapter
from homespun.errors import HomespunError
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.home import Home
from homespun.models.safetensors_file import read_safetensors
from homespun.models.template import ChatTemplate, Message
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.adapters import BaseFacts, Lineage, write_lineage
from homespun.tuning.errors import ExportError, TuneError
from homespun.tuning.export.export import export_adapter
from homespun.tuning.export.merged import merged_values
from homespun.tuning.export.ollama import find_pieces, modelfile

SHAPE = Shape(n_layers=2)
KINDS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home whose adapter belongs to its tiny model."""
    root = tmp_path_factory.mktemp("export")
    home = Home.open(root / "home")
    model = home.add_model(write_random(root / "tiny.gguf", SHAPE), "tiny")
    folder = home.adapters_path / "a"
    # small, as a real adapter's change is against its base
    tensors = {k: v * 0.3 for k, v in adapter_tensors(SHAPE, KINDS, 4, 7).items()}
    write_adapter(folder, tensors, 4, alpha=4)
    write_lineage(folder, Lineage("a", "finished", BaseFacts("tiny", model.digest)))
    return home, model.path, folder


def test_merged_weights_are_base_plus_change(made) -> None:
    from homespun.engines.torch_engine import TorchEngine

    _, model, folder = made
    file = read_gguf(model)
    config = ModelConfig.from_gguf(file)
    values = merged_values(file, config, read_adapter(folder, file, config.n_layers))
    with TorchEngine(model) as engine:
        engine.load_adapter("a", folder)
        whole = engine.module.merge_and_unload()
        up = whole.model.layers[1].mlp.up_proj.weight.detach().numpy()
        q = whole.model.layers[0].self_attn.q_proj.weight.detach().numpy()
    np.testing.assert_allclose(values("blk.1.ffn_up.weight"), up, atol=1e-6)
    # transformers keeps the two of a rotary pair half a head apart, ggml side by side
    heads, half = SHAPE.n_heads, SHAPE.head // 2
    q = q.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(q.shape)
    np.testing.assert_allclose(values("blk.0.attn_q.weight"), q, atol=1e-6)
    np.testing.assert_array_equal(values("output_norm.weight"), file.dequantize("output_norm.weight"))


def test_a_merged_gguf_keeps_metadata_and_says_what_it_lost(made, tmp_path: Path) -> None:
    home, model, _ = made
    out = tmp_path / "merged.gguf"
    export = export_adapter(home, "a", "merged", out, target="Q8_0")
    assert export.loss_nats is not None and 0 < export.loss_nats < 0.03
    assert export.kl_llama_cpp is not None and export.kl_llama_cpp < 0.05
    before, after = read_gguf(model), read_gguf(out)
    assert list(before.tensors) == list(after.tensors)
    own = {"general.file_type", "general.quantization_version", "general.name"}
    for key in before.metadata.keys() - own:
        np.testing.assert_array_equal(after.metadata[key], before.metadata[key], err_msg=key)
    assert after.metadata["general.name"] == "merged"
    assert after.tensors["blk.0.ffn_up.weight"].ggml_type == "Q8_0"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.long
@pytest.mark.parametrize("target", ["F16", "Q4_K_M"])
def test_other_formats_with_their_fallbacks(made, tmp_path: Path, target: str) -> None:
    export = export_adapter(made[0], "a", "merged", tmp_path / "m.gguf", target=target)
    # rows of 64 and 96 are no multiple of 256
    assert bool(export.fallbacks) == (target == "Q4_K_M")
    assert export.loss_nats is not None and export.loss_nats < (0.001 if target == "F16" else 1)


def test_an_adapter_gguf_is_read_by_llama_cpp(made, tmp_path: Path) -> None:
    export = export_adapter(made[0], "a", "gguf", tmp_path / "a.gguf")
    assert export.kl_llama_cpp is not None and export.kl_llama_cpp < 0.05
    assert read_gguf(tmp_path / "a.gguf").metadata["general.type"] == "adapter"


def test_rank_stabilised_scaling_reaches_llama_cpp(made, tmp_path: Path) -> None:
    home, _, folder = made
    other = home.adapters_path / "rs"
    write_adapter(other, read_safetensors(folder / "adapter_model.safetensors"), 4, alpha=2, use_rslora=True)
    export = export_adapter(home, "rs", "gguf", tmp_path / "a.gguf", model="tiny")
    assert export.kl_llama_cpp is not None and export.kl_llama_cpp < 0.05


def test_a_peft_folder_is_a_copy(made, tmp_path: Path) -> None:
    export_adapter(made[0], "a", "peft", tmp_path / "p")
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_what_is_off_is_refused_and_removed(made, tmp_path: Path, monkeypatch) -> None:
    from homespun.tuning.export import merged

    monkeypatch.setattr(merged, "to_half_order", lambda *given: None)  # the fault: heads permuted
    with pytest.raises(ExportError, match=r"nats from base \+ adapter.*it was removed"):
        export_adapter(made[0], "a", "merged", tmp_path / "m.gguf", target="F16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("a", "zip"), "--to is 'zip'; it must be one of peft, gguf"),
        (("b", "peft"), "there is no adapter 'b'"),
    ],
)
def test_bad_input_is_told(made, tmp_path: Path, given, said: str) -> None:
    with pytest.raises(HomespunError, match=said):
        export_adapter(made[0], *given, tmp_path / "x")
    with pytest.raises(ExportError, match="already"):
        export_adapter(made[0], "a", "peft", tmp_path)
    with pytest.raises(ExportError, match="no such folder"):
        export_adapter(made[0], "a", "peft", tmp_path / "no" / "x")
    with pytest.raises(ExportError, match="'Q9' is not one of"):
        export_adapter(made[0], "a", "merged", tmp_path / "x.gguf", target="Q9")
    with pytest.raises(ExportError, match="--format is for merged"):
        export_adapter(made[0], "a", "gguf", tmp_path / "x.gguf", target="Q8_0")


def test_a_base_that_is_gone_is_told(made, tmp_path: Path) -> None:
    home, _, _ = made
    other = home.adapters_path / "orphan"
    write_adapter(other, adapter_tensors(SHAPE, KINDS, 4, 7), 4)
    write_lineage(other, Lineage("orphan", "finished", BaseFacts("old", "ee" * 32, "/gone.gguf")))
    with pytest.raises(TuneError, match="no longer here: old"):
        export_adapter(home, "orphan", "peft", tmp_path / "x")


def test_a_modelfile_writes_chats_as_the_template_does(made) -> None:
    file = read_gguf(made[1])
    tokenizer = Tokenizer.from_gguf(file)
    template = ChatTemplate.from_gguf(file, tokenizer)
    text = modelfile("a.gguf", template, tokenizer)
    assert text.startswith("FROM ./a.gguf\n") and 'PARAMETER stop "<|im_end|>"' in text
    assert (
        '{{ if eq .Role "user" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n'
        '{{ else if eq .Role "assistant" }}<|im_start|>assistant\n{{ .Content }}<|im_end|>\n{{ end }}'
    ) in text
    assert text.count("{{ end }}") == text.count("{{ if") + text.count("{{ range")


@pytest.mark.parametrize(
    "text",
    [
        "{% for m in messages %}{{ '[INST] ' + m.content + ' [/INST]' if m.role == 'user' else m.content + '</s>' }}"
        "{% endfor %}",
        "{% if messages[0].role != 'system' %}<S>Be kind.</S>{% endif %}{% for m in messages %}<{{ m.role }}>"
        "{{ m.content }}</>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
    ],
)
def test_pieces_of_other_templates(made, text: str) -> None:
    file = read_gguf(made[1])
    template = ChatTemplate(text, Tokenizer.from_gguf(file))
    pieces = find_pieces(template, "")
    chat = [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert pieces.write(None, chat) == template.render([Message(role, said) for role, said in chat])


def test_a_template_that_is_more_than_turns_is_refused(made) -> None:
    file = read_gguf(made[1])
    counted = "{% for m in messages %}{{ loop.index }}{{ m.role }}: {{ m.content }};{% endfor %}"
    with pytest.raises(ExportError, match="more than turns"):
        find_pieces(ChatTemplate(counted, Tokenizer.from_gguf(file)), "")


@pytest.fixture(scope="module")
def starter(tmp_path_factory, starter_gguf: Path):
    """The real small model with an adapter of random numbers, small against the base's."""
    home = Home.open(tmp_path_factory.mktemp("starter") / "home")
    model = home.add_model(starter_gguf, "smollm2", reference=True)
    shape = Shape(n_layers=30, hidden=576, n_heads=9, n_kv_heads=3, ffn=1536)
    folder = home.adapters_path / "a"
    write_adapter(folder, {k: v * 0.2 for k, v in adapter_tensors(shape, KINDS, 4, 3).items()}, 4, alpha=2)
    write_lineage(folder, Lineage("a", "finished", BaseFacts("smollm2", model.digest)))
    return home


@pytest.mark.long
def test_a_safetensors_folder_is_what_transformers_loads(starter: Home, tmp_path: Path, starter_gguf) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out = tmp_path / "folder"
    export = export_adapter(starter, "a", "safetensors", out)
    assert export.loss_nats is not None and export.loss_nats < 0.001
    file = read_gguf(starter_gguf)
    tokenizer = Tokenizer.from_gguf(file)
    template = ChatTemplate.from_gguf(file, tokenizer)
    theirs = AutoTokenizer.from_pretrained(out)
    chat = [{"role": "user", "content": "Which day is it?"}]
    ids = theirs.apply_chat_template(chat, add_generation_prompt=True, tokenize=True)["input_ids"]
    assert ids == template.encode([Message("user", "Which day is it?")])
    model = AutoModelForCausalLM.from_pretrained(out)
    assert model.config.eos_token_id in (sorted(tokenizer.stop_ids), tokenizer.eos_id)


@pytest.mark.long
def test_an_ollama_folder_holds_a_checked_model(starter: Home, tmp_path: Path) -> None:
    out = tmp_path / "ollama"
    export = export_adapter(starter, "a", "ollama", out)
    assert sorted(path.name for path in out.iterdir()) == ["Modelfile", "a.gguf"]
    assert export.loss_nats is not None and export.kl_llama_cpp is not None
    text = (out / "Modelfile").read_text()
    assert text.startswith("FROM ./a.gguf") and 'PARAMETER stop "<|im_end|>"' in text
