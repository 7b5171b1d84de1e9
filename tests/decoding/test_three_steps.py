"""From a text to the next token: a model's real parts and shapes, on the small model and on tiny folders."""

import numpy as np
import pytest

from folder_writer import write_folder
from homespun.decoding.errors import DecodingError
from homespun.decoding.next import prompt_ids
from homespun.decoding.steps_page import steps_page, what_it_has, write_steps
from homespun.decoding.three_steps import flow_of, three_steps
from homespun.engines.engine import EngineOptions
from homespun.engines.openvino.engine import OpenVINOEngine
from homespun.models.gguf import read_gguf
from homespun.models.structure import structure_of


@pytest.fixture(scope="module")
def found(starter_gguf, shared_cache):
    with OpenVINOEngine(
        starter_gguf, EngineOptions(mode="exact", cache_tokens=4096), cache_path=shared_cache
    ) as engine:
        return three_steps(engine, "Paris is the city", prompt_ids(engine, "Paris is the city"))


def test_the_starter_model_is_a_decoder_with_its_published_sizes(starter_gguf):
    s = structure_of(starter_gguf)
    assert (s.has_encoder, s.has_decoder, s.kind) == (False, True, "a decoder only")
    sizes = (s.n_decoder_layers, s.hidden_size, s.n_heads, s.n_kv_heads, s.head_size, s.ffn_size)
    assert sizes == (30, 576, 9, 3, 64, 1536) and s.vocab_size == 49152
    assert s.n_parameters == 134_515_008 and s.tied_output
    groups = {group.name: group for group in s.groups}
    assert groups["blk.N.attn_k.weight"].shape == (192, 576)
    assert groups["blk.N.attn_k.weight"].n_tensors == 30
    kinds = [group.name.split(".")[-2] for group in s.groups if group.part == "decoder"]
    assert kinds[:5] == ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output"]
    assert {group.part for group in s.groups} == {"embedding", "decoder", "output"}


def test_the_shapes_on_the_way(starter_gguf):
    shapes = {flow.what.split(" in each")[0]: flow.shape for flow in flow_of(structure_of(starter_gguf), 4)}
    assert shapes["token ids"] == (4,)
    assert shapes["their rows of the embedding matrix"] == (4, 576)
    assert shapes["queries"] == (4, 9, 64)
    assert shapes["odds of the next token: softmax of the logits"] == (49152,)


def test_a_prompts_real_numbers(found, starter_gguf):
    matrix = read_gguf(starter_gguf).dequantize("token_embd.weight")
    assert [token.token for token in found.tokens] == ["Paris", " is", " the", " city"]
    for token in found.tokens:
        assert token.vector == pytest.approx(matrix[token.id][:8].tolist())
        assert token.length == pytest.approx(float(np.linalg.norm(matrix[token.id])), rel=1e-5)
    assert found.next.candidates[0].token == " of"
    # The state is true: with the output matrix it gives the model's own odds.
    assert found.hidden_error is not None and found.hidden_error < 1e-2
    assert len(found.hidden) == 8 and found.notes == ()


def test_the_page_says_that_there_is_no_encoder(found, tmp_path):
    page = write_steps(found, tmp_path / "steps.html").read_text(encoding="utf-8")
    assert "a decoder only" in page and "(49,152 × 576)" in page and "blk.N.attn_q.weight" in page
    assert "<script" not in page and "http" not in page.replace("http-equiv", "")
    assert "■··· " in page  # the first token sees itself only
    with pytest.raises(DecodingError):
        write_steps(found, tmp_path / "steps.pdf")


def test_t5_has_both_parts(tmp_path):
    from homespun.engines.torch_folder import open_folder

    folder = write_folder(tmp_path / "t5", "t5")
    with open_folder(folder, EngineOptions(mode="exact", threads=1, window=300)) as engine:
        ids = prompt_ids(engine, "The quick brown fox")
        steps = three_steps(engine, "The quick brown fox", ids)
        matrix = engine._model.get_input_embeddings().weight.detach().numpy()
    s = steps.structure
    assert s.has_encoder and s.has_decoder and s.kind == "an encoder with a decoder"
    assert (s.n_encoder_layers, s.n_decoder_layers, s.hidden_size, s.n_heads) == (2, 2, 64, 4)
    assert {group.part for group in s.groups} == {"embedding", "encoder", "decoder", "output"}
    assert steps.tokens[0].vector == pytest.approx(matrix[ids[0]][:8].tolist())
    assert steps.hidden_error is not None and steps.hidden_error < 1e-2
    assert "has both parts" in what_it_has(steps)
    page = steps_page(steps)
    assert "Represent (the encoder)" in page and "■" * len(ids) in page and "EncDecAttention" in page


@pytest.mark.parametrize("kind", ["llama", "gpt2", "bloom"])
def test_folders_of_decoders_say_so(tmp_path, kind):
    s = structure_of(write_folder(tmp_path / kind, kind))
    assert (s.kind, s.n_decoder_layers, s.hidden_size) == ("a decoder only", 2, 64)
    assert all(group.purpose for group in s.groups) and s.embedding and s.output
    assert s.tied_output == (kind != "llama")
