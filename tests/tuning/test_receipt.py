"""The receipt: what it measures, and that each planted fault is caught by its name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.models.template import ChatTemplate, Message
from homespun.models.tokenizer import Tokenizer
from homespun.tuning.encode import encode_example
from homespun.tuning.errors import ReceiptError
from homespun.tuning.examples import EncodedExample, Example
from homespun.tuning.receipt import WAYS, Bounds, Receipt, make_receipt, read_receipt, write_receipt
from homespun.tuning.receipt_checks import missing_parts, wrong_template
from homespun.tuning.receipt_rows import MOST_TOKENS, choose_samples, mean_kl

# Heads of 32: with half of a head a single pair, both orders of rotary rows would be the same.
SHAPE = Shape(n_layers=3, hidden=64, n_heads=2, n_kv_heads=1, ffn=96)
KINDS = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
QUESTIONS = ("When is it open?", "Who is there on Friday?", "How much is a plaster?", "Where do I wait?")


def chats() -> list[Example]:
    return [
        Example(
            (Message("user", q), Message("assistant", f"It is the answer {n} to that.")), file="a", line=n
        )
        for n, q in enumerate(QUESTIONS, 1)
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return write_random(tmp_path_factory.mktemp("receipt") / "tiny.gguf", SHAPE)


@pytest.fixture(scope="module")
def encoded(model: Path) -> list[EncodedExample]:
    file = read_gguf(model)
    tokenizer = Tokenizer.from_gguf(file)
    template = ChatTemplate.from_gguf(file, tokenizer)
    return [encode_example(example, template, tokenizer) for example in chats()]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    tensors = adapter_tensors(SHAPE, KINDS, 4, seed=5)
    return write_adapter(tmp_path_factory.mktemp("trained") / "a", tensors, 4, alpha=4)


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "adapter_model.safetensors")


def made(model, adapter, encoded, *, ways=("exact",), **given) -> Receipt:
    # tiny random models round worse than real ones; the two other ways have tests on the starter model
    bounds = Bounds(fast=0.2, llama_cpp=0.5)
    return make_receipt(
        model, adapter, encoded, trained=encoded, sources=chats(), ways=ways, bounds=bounds, **given
    )


@pytest.fixture(scope="module")
def good(model: Path, adapter: Path, encoded: list[EncodedExample]) -> Receipt:
    return made(model, adapter, encoded, ways=WAYS)


def test_an_adapter_that_is_served_as_trained_holds(good: Receipt, model: Path) -> None:
    assert good.holds and good.reasons == ()
    assert good.kl_exact is not None and good.kl_exact <= 1e-6
    assert good.kl_fast is not None and good.kl_llama_cpp is not None
    assert good.ids_equal and good.n_ids_checked == good.n_examples == 4
    assert good.n_positions >= 4 * 5
    assert good.tensors_matched == 2 * 3 * 7
    assert good.weights_checked == len(read_gguf(model).tensors)
    assert good.effect_nats > 0.001
    assert good.stop_learnt is not None and good.stop_learnt.n_answers == 4


def test_a_receipt_is_kept_beside_its_adapter(good: Receipt, tmp_path: Path) -> None:
    assert read_receipt(tmp_path) is None
    write_receipt(tmp_path, good)
    found = read_receipt(tmp_path)
    assert found is not None and found["kl_exact"] == good.kl_exact and found["verdict"] == "holds"
    assert {"kl_fast", "kl_llama_cpp", "ids_equal", "effect_nats", "stop_learnt"} <= set(found)
    (tmp_path / "receipt.json").write_text("[1]")
    with pytest.raises(ReceiptError, match="no receipt"):
        read_receipt(tmp_path)


def test_wrong_alpha_is_named(model, adapter, encoded, tmp_path: Path) -> None:
    served = write_adapter(tmp_path / "s", tensors_of(adapter), 4, alpha=10)
    receipt = made(model, adapter, encoded, served=served)
    assert receipt.verdict == "refused" and receipt.reasons[0].name == "wrong alpha"
    assert "2.5 times" in receipt.reasons[0].text


@pytest.mark.long
def test_forgotten_rank_stabilised_scaling_is_a_wrong_alpha(model, adapter, encoded, tmp_path: Path) -> None:
    trained = write_adapter(tmp_path / "t", tensors_of(adapter), 4, alpha=4, use_rslora=True)
    receipt = made(model, trained, encoded, served=adapter)
    assert receipt.reasons[0].name == "wrong alpha" and "0.5 times" in receipt.reasons[0].text


def test_permuted_heads_are_named(model, adapter, encoded, tmp_path: Path) -> None:
    from homespun.engines.row_order import interleaved_to_half

    tensors = tensors_of(adapter)
    for name in tensors:
        if "q_proj.lora_B" in name or "k_proj.lora_B" in name:
            n_heads = 2 if "q_proj" in name else 1
            tensors[name] = np.ascontiguousarray(
                tensors[name][interleaved_to_half(len(tensors[name]), n_heads)]
            )
    served = write_adapter(tmp_path / "s", tensors, 4, alpha=4)
    receipt = made(model, adapter, encoded, served=served)
    assert receipt.verdict == "refused" and receipt.reasons[0].name == "permuted heads"


@pytest.mark.parametrize("says_so", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_missing_layer_is_named(model, adapter, encoded, tmp_path: Path, says_so: bool) -> None:
    tensors = {name: values for name, values in tensors_of(adapter).items() if ".layers.1." not in name}
    changes = {"layers_to_transform": [0, 2]} if says_so else {}
    served = write_adapter(tmp_path / "s", tensors, 4, alpha=4, **changes)
    receipt = made(model, adapter, encoded, served=served)
    assert receipt.verdict == "refused" and receipt.reasons[0].name == "missing layer"
    assert "layer 1" in receipt.reasons[0].text


@pytest.mark.parametrize("with_sources", [True, False])
def test_a_wrong_template_is_named(model, adapter, encoded, with_sources: bool) -> None:
    file = read_gguf(model)
    tokenizer = Tokenizer.from_gguf(file)
    other = ChatTemplate(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
        tokenizer,
    )
    trained = [encode_example(example, other, tokenizer) for example in chats()]
    receipt = make_receipt(
        model, adapter, encoded, trained=trained, sources=chats() if with_sources else (), ways=()
    )
    assert receipt.verdict == "refused" and receipt.reasons[0].name == "wrong template"
    assert not receipt.ids_equal


def test_an_adapter_without_effect_is_refused(model, adapter, encoded, tmp_path: Path) -> None:
    tensors = {n: v * 0 if "lora_B" in n else v for n, v in tensors_of(adapter).items()}
    receipt = made(model, write_adapter(tmp_path / "zero", tensors, 4), encoded)
    assert [reason.name for reason in receipt.reasons] == ["no effect"]


def test_examples_without_a_labelled_end_are_refused(model, adapter, encoded) -> None:
    cut = [replace(e, token_ids=e.token_ids[:-1], labelled=e.labelled[:-1]) for e in encoded]
    receipt = make_receipt(model, adapter, cut, trained=cut, ways=())
    assert [reason.name for reason in receipt.reasons] == ["no end"]


def test_nothing_to_compare_on_is_said(model, adapter) -> None:
    with pytest.raises(ReceiptError, match="no held-out example"):
        make_receipt(model, adapter, [])


def test_samples_are_bounded_and_hold_the_first_and_the_last_label() -> None:
    examples = [EncodedExample(tuple(range(900)), (False,) * 400 + (True,) * 500) for _ in range(40)]
    samples = choose_samples(examples, 50_000, 8192)
    assert sum(len(sample.token_ids) for sample in samples) <= MOST_TOKENS
    assert all(sample.places[0] == 400 for sample in samples)
    short = choose_samples([EncodedExample((1, 2, 3, 4), (False, False, True, True))], 50_000, 8192)
    assert short[0].places == (2, 3) and short[0].token_ids == (1, 2, 3, 4)
    assert choose_samples([], 50_000, 8192) == []


def test_kl_by_hand() -> None:
    p, q = np.log([[0.5, 0.25, 0.25]]), np.log([[0.25, 0.5, 0.25]])
    expected = 0.5 * np.log(2) - 0.25 * np.log(2)
    assert mean_kl([p], [q]) == pytest.approx(expected)
    assert mean_kl([p, p], [q, p]) == pytest.approx(expected / 2)


def test_layers_that_were_left_out_on_purpose_are_not_missing(adapter, model, encoded) -> None:
    from homespun.engines.openvino.adapters import read_adapter

    file = read_gguf(model)
    pairs = read_adapter(adapter, file, ModelConfig.from_gguf(file).n_layers)
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert missing_parts(pairs, config) is None
    upper = {site: pair for site, pair in pairs.items() if ".layers.0." not in site}
    assert "layer 0" in str(missing_parts(upper, config))
    assert missing_parts(upper, {**config, "layers_to_transform": [1, 2]}) is None
    tokenizer = Tokenizer.from_gguf(file)
    text = encode_example(Example(text="Just a text."), ChatTemplate.from_gguf(file, tokenizer), tokenizer)
    assert wrong_template([text, *encoded], ChatTemplate.from_gguf(file, tokenizer)) is None
