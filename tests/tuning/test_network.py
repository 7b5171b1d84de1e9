"""The training network gives transformers' and PEFT's loss and gradients, however its tokens are packed."""

import math

import numpy as np
import pytest
import torch
from gguf_writer import Shape, write_random

from homespun.engines.torch_model import build_model
from homespun.models.config import ModelConfig
from homespun.models.gguf import read_gguf
from homespun.tuning.errors import TuneError
from homespun.tuning.examples import EncodedExample
from homespun.tuning.network.attention import SHORT, attend
from homespun.tuning.network.batch import pack
from homespun.tuning.network.frozen import FrozenWeights
from homespun.tuning.network.head import SummedLoss, token_log_probabilities
from homespun.tuning.network.network import Network
from homespun.tuning.network.parameters import LoraParameters, checked_targets, chosen_layers
from homespun.tuning.network.precision import choose_precision
from homespun.tuning.options import TuneOptions
from homespun.tuning.trainer import Trainer

FAMILIES = {
    "llama": Shape(),
    "llama, long rope, own head": Shape(has_rope_freqs=True, is_tied=False),
    "qwen2": Shape("qwen2", has_bias=True),
    "qwen3": Shape("qwen3", head_size=16),
    "gemma3": Shape("gemma3", n_layers=6, sliding_window=8),
}


def examples(lengths=(23, 5, 40), n_answer=4):
    random = np.random.default_rng(1)
    return [
        EncodedExample(
            tuple(random.integers(3, 250, n).tolist()), tuple(place >= n - n_answer for place in range(n))
        )
        for n in lengths
    ]


def network(path, options=TuneOptions(rank=4), *, packed=False, recompute=False, dropout=0.0, seed=3):
    file = read_gguf(path)
    weights = FrozenWeights(file, ModelConfig.from_gguf(file), torch.float32, packed=packed)
    learnt = LoraParameters(weights, options)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for group in learnt.groups.values():
            for b in group.bs:
                b.copy_(torch.randn(b.shape, generator=random) * 0.1)
    return Network(weights, learnt, recompute=recompute, dropout=dropout), learnt


def trainer(net, learnt, tokens_at_once=1 << 20):
    return Trainer(
        net,
        learnt,
        choose_precision("f32", "cpu"),
        tokens_at_once=tokens_at_once,
        weight_decay=0.0,
        clip=0.0,
        seed=0,
    )


def gradient(net, learnt, given, **options):
    figures = trainer(net, learnt, **options).gradient(given, number=0)
    return figures, learnt.flat.grad.clone()


def peft_loss(path, learnt, given):
    """transformers with PEFT's layers, example by example, from our adapter: loss and gradients by name."""
    from peft import LoraConfig, get_peft_model

    file = read_gguf(path)
    config = {
        key: value
        for key, value in learnt.peft_config("base").items()
        if key not in ("peft_type", "inference_mode", "base_model_name_or_path")
    }
    model = get_peft_model(build_model(file, ModelConfig.from_gguf(file), "cpu"), LoraConfig(**config))
    named = {
        name.replace(".weight", ".default.weight").replace(
            "_vector", "_vector.default.weight"
        ): torch.from_numpy(v)
        for name, v in learnt.tensors().items()
    }
    assert not model.load_state_dict(named, strict=False).unexpected_keys
    total, n_labelled = 0.0, sum(example.n_labelled for example in given)
    for example in given:
        ids = torch.tensor([example.token_ids])
        wanted = torch.tensor(
            [t if is_one else -100 for t, is_one in zip(example.token_ids, example.labelled, strict=True)]
        )
        logits = model(input_ids=ids).logits[0].float()
        total = total + torch.nn.functional.cross_entropy(
            logits[:-1], wanted[1:], ignore_index=-100, reduction="sum"
        )
    (total / n_labelled).backward()
    grads = {
        name.replace(".default", "").replace("magnitude_vector.weight", "magnitude_vector"): p.grad.numpy()
        for name, p in model.named_parameters()
        if p.grad is not None
    }
    return float(total.detach()) / n_labelled, grads


def ours_by_name(learnt):
    found = {}
    for group in learnt.groups.values():
        for place, name in enumerate(group.names):
            stem = f"base_model.model.{name}"
            found[f"{stem}.lora_A.weight"] = group.a.grad[slice(*group.spans[place].ranks)].numpy()
            found[f"{stem}.lora_B.weight"] = group.bs[place].grad.numpy()
            if group.magnitudes:
                found[f"{stem}.lora_magnitude_vector"] = group.magnitudes[place].grad.numpy()
    return found


@pytest.mark.parametrize("shape", FAMILIES.values(), ids=FAMILIES)
def test_loss_and_gradients_are_those_of_transformers_and_peft(tmp_path, shape):
    path = write_random(tmp_path / "m.gguf", shape)
    net, learnt = network(path)
    figures, _ = gradient(net, learnt, examples())
    loss, grads = peft_loss(path, learnt, examples())
    assert figures.loss == pytest.approx(loss, rel=1e-5)
    ours = ours_by_name(learnt)
    assert ours.keys() == grads.keys()
    for name, grad in grads.items():
        np.testing.assert_allclose(ours[name], grad, rtol=2e-3, atol=2e-5 * np.abs(grad).max() + 1e-9)


@pytest.mark.parametrize(
    "options",
    [
        TuneOptions(rank=4, rslora=True, alpha=6),
        TuneOptions(rank=3, method="dora"),
        TuneOptions(rank=4, targets=("q_proj", "up_proj"), layers="upper:1"),
    ],
    ids=["rank-stabilised", "dora", "chosen targets and layers"],
)
def test_every_kind_of_adapter_is_pefts(tmp_path, options):
    path = write_random(tmp_path / "m.gguf", Shape())
    net, learnt = network(path, options)
    figures, _ = gradient(net, learnt, examples())
    loss, grads = peft_loss(path, learnt, examples())
    assert figures.loss == pytest.approx(loss, rel=1e-5)
    ours = ours_by_name(learnt)
    assert ours.keys() == grads.keys()
    for name, grad in grads.items():
        np.testing.assert_allclose(ours[name], grad, rtol=2e-3, atol=2e-5 * np.abs(grad).max() + 1e-9)


def test_packed_weights_recomputing_and_cutting_a_batch_change_nothing(tmp_path):
    path = write_random(tmp_path / "m.gguf", Shape(ggml_type="Q8_0"))
    figures, plain = gradient(*network(path), examples())
    for changes, options in (
        ({"packed": True}, {}),
        ({"recompute": True}, {}),
        ({}, {"tokens_at_once": 1}),  # each example alone: one step of three parts (T6)
    ):
        again, grads = gradient(*network(path, **changes), examples(), **options)
        assert again.loss == pytest.approx(figures.loss, rel=1e-6)
        assert again.gradient_norm == pytest.approx(figures.gradient_norm, rel=1e-5)
        torch.testing.assert_close(grads, plain, rtol=1e-4, atol=1e-7)


def test_frozen_lower_layers_are_computed_once_and_change_nothing(tmp_path):
    path = write_random(tmp_path / "m.gguf", Shape(n_layers=3))
    options = TuneOptions(rank=4, layers="2-2")
    net, learnt = network(path, options)
    one = trainer(net, learnt)
    first = one.gradient(examples(), number=0)
    learnt.flat.grad.zero_()
    calls = []
    below = net.below
    net.below = lambda batch: calls.append(1) or below(batch)
    again = one.gradient(examples(), number=0)
    assert not calls
    assert again == first
    assert first.loss == pytest.approx(peft_loss(path, learnt, examples())[0], rel=1e-5)


def test_dropout_leaves_out_the_same_again_and_nothing_when_looking(tmp_path):
    path = write_random(tmp_path / "m.gguf", Shape())
    net, learnt = network(path, dropout=0.5)
    plain = gradient(*network(path), examples())[0].loss
    net.seed_dropout(1)
    first = gradient(net, learnt, examples())[0].loss
    net.seed_dropout(1)
    assert gradient(net, learnt, examples())[0].loss == first != pytest.approx(plain, rel=1e-6)
    assert trainer(net, learnt).loss(examples()) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("n_tokens", [7, SHORT + 9])
def test_attention_on_a_processor_is_torchs(n_tokens):
    torch.manual_seed(0)
    shapes = ((n_tokens + 3, 6, 16), (n_tokens + 3, 2, 16), (n_tokens + 3, 2, 16))
    ours = [torch.randn(shape, requires_grad=True) for shape in shapes]
    theirs = [t.detach().clone().requires_grad_() for t in ours]
    out = attend(*ours, (n_tokens, 3), None)
    wanted = attend(*theirs, (n_tokens, 3), n_tokens - 1 if n_tokens == 7 else None)
    if n_tokens == 7:  # the window hides the first token from the last one only
        torch.testing.assert_close(out[: n_tokens - 1], wanted[: n_tokens - 1], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(out[n_tokens - 1], wanted[n_tokens - 1])
        return
    parts = [
        torch.nn.functional.scaled_dot_product_attention(
            *(t.transpose(0, 1)[None] for t in one), is_causal=True, enable_gqa=True
        )[0].transpose(0, 1)
        for one in zip(*(t.split((n_tokens, 3)) for t in theirs), strict=True)
    ]
    wanted = torch.cat(parts).flatten(1)
    torch.testing.assert_close(out, wanted, rtol=1e-4, atol=1e-5)
    weight = torch.randn_like(out)
    (out * weight).sum().backward()
    (wanted * weight).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-4)


def test_the_loss_by_hand_and_in_parts_of_the_vocabulary():
    # Logits are the hidden state itself: softmax of (0, ln 3) gives 1/4 and 3/4.
    hidden = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)]], requires_grad=True)
    targets = torch.tensor([1, 0])
    for parts in ([(0, torch.eye(2))], [(0, torch.eye(2)[:1]), (1, torch.eye(2)[1:])]):
        hidden.grad = None
        loss = SummedLoss.apply(hidden, targets, lambda parts=parts: iter(parts))
        assert float(loss.detach()) == pytest.approx(math.log(4 / 3) + math.log(4))
        loss.backward()
        torch.testing.assert_close(hidden.grad, torch.tensor([[0.25, -0.25], [-0.75, 0.75]]))
        found = token_log_probabilities(hidden, targets, lambda parts=parts: iter(parts))
        torch.testing.assert_close(found, torch.tensor([math.log(3 / 4), math.log(1 / 4)]))


def test_packing_labels_the_successors_and_never_the_first_token():
    batch = pack([EncodedExample((5, 6, 7), (True, False, True)), EncodedExample((8, 9), (True, True))])
    assert batch.token_ids.tolist() == [5, 6, 7, 8, 9]
    assert batch.positions.tolist() == [0, 1, 2, 0, 1]
    assert batch.rows.tolist() == [1, 3]
    assert batch.targets.tolist() == [7, 9]


def test_targets_and_layers_that_are_not_there_are_refused_by_name():  # T3
    with pytest.raises(TuneError, match=r"'q_porj'.*q_proj, k_proj"):
        checked_targets(("q_porj",))
    with pytest.raises(TuneError, match=r"lm_head.*head are not tuned"):
        checked_targets(("q_proj", "lm_head"))
    assert chosen_layers("upper:2", 5) == (3, 4)
    assert chosen_layers("1-2", 5) == (1, 2)
    for wrong in ("upper:6", "3-5", "2-1", "top"):
        with pytest.raises(TuneError, match="layers 0 to 4"):
            chosen_layers(wrong, 5)


def test_a_loss_that_is_no_number_names_step_and_rows_and_changes_nothing(tmp_path):
    net, learnt = network(write_random(tmp_path / "m.gguf", Shape()))
    with torch.no_grad():
        next(iter(learnt.groups.values())).a.fill_(float("inf"))
    before = learnt.flat.data.clone()
    rows = [EncodedExample((5, 6, 7), (False, True, True), "notes.jsonl", 3)]
    with pytest.raises(TuneError, match=r"step 5.*notes.jsonl:3"):
        trainer(net, learnt).step(rows, number=4, rate=0.1)
    assert torch.equal(before, learnt.flat.data)
    assert not learnt.flat.grad.any()


def test_full_tuning_has_the_gradients_of_transformers(tmp_path):
    from homespun.tuning.network.full import FullParameters

    path = write_random(tmp_path / "m.gguf", Shape())
    file = read_gguf(path)
    weights = FrozenWeights(file, ModelConfig.from_gguf(file), torch.float32)
    learnt = FullParameters(weights, TuneOptions(method="full"))
    figures, _ = gradient(Network(weights, learnt), learnt, examples())
    model = build_model(file, ModelConfig.from_gguf(file), "cpu").requires_grad_(True)
    total, n_labelled = 0.0, sum(example.n_labelled for example in examples())
    for example in examples():
        logits = model(input_ids=torch.tensor([example.token_ids])).logits[0]
        n = example.n_labelled
        wanted = torch.tensor(example.token_ids[-n:])
        total = total + torch.nn.functional.cross_entropy(logits[-n - 1 : -1], wanted, reduction="sum")
    (total / n_labelled).backward()
    assert figures.loss == pytest.approx(float(total.detach()) / n_labelled, rel=1e-5)
    for layer in range(2):
        block = model.model.layers[layer]
        theirs = torch.cat([block.mlp.gate_proj.weight.grad, block.mlp.up_proj.weight.grad])
        torch.testing.assert_close(learnt.groups[layer, 2].matrix.grad, theirs, rtol=1e-3, atol=1e-6)
    for name in ("blk.0.attn_q.weight", "blk.1.ffn_down.weight", "token_embd.weight"):
        np.testing.assert_array_equal(learnt.values(name), file.dequantize(name))
