"""`homespun tokens`, `next` and `run --strategy` as they are typed, on the real small model."""

import pytest
from gguf_writer import Shape, adapter_tensors, write_adapter, write_random

TALK = "Hello, how are you?\nI'm doing great, thanks!\n\nWhat's your favorite color?\nI love blue and green!"


def test_tokens_of_the_talks_text(homespun):
    found = homespun("tokens", TALK, "--json").json
    # With this model's tokenizer, which is not the talk's; it happens to need as many tokens.
    assert (found["n_characters"], found["n_tokens"], found["exact"]) == (96, 29, True)
    assert "".join(bytes.fromhex(token["bytes"]).decode() for token in found["tokens"]) == TALK
    shown = homespun("tokens", "Grüße", "--ids")
    assert shown.code == 0 and "tokens, 5 characters" in shown.out


def test_tokens_of_a_file_and_of_nothing(homespun, tmp_path):
    (tmp_path / "text.txt").write_text("Hello there", encoding="utf-16")
    assert homespun("tokens", str(tmp_path / "text.txt"), "--json").json["n_characters"] == 11
    assert homespun("tokens", "x", "--model", "nobody").code == 2


def test_next_tokens_with_every_stage_and_pictures(homespun, tmp_path):
    picture, wheel = tmp_path / "next.png", tmp_path / "wheel.svg"
    ran = homespun(
        "next", "Paris is the city", "-k", "10", "--temperature", "0.7", "--top-p", "0.9", "--seed", "3",
        "--picture", str(picture), "--wheel", str(wheel), "--json",
    )  # fmt: skip
    found = ran.json
    assert len(found["candidates"]) == 10
    first = found["candidates"][0]
    assert first["token"] == " of" and set(first) >= {"id", "logit", "probability", "cumulative"}
    assert found["stage_names"] == ["model", "temperature 0.7", "top-p 0.9"]
    assert sum(c["by_stage"][-1] for c in found["candidates"]) == pytest.approx(1, abs=1e-6)
    assert picture.read_bytes().startswith(b"\x89PNG") and "<svg" in wheel.read_text()


def test_next_tokens_of_base_and_adapter_with_and_without_a_passage(homespun, tmp_path):
    shape = Shape()
    model = write_random(tmp_path / "tiny.gguf", shape)
    folder = write_adapter(tmp_path / "tone", adapter_tensors(shape, ("attn_q", "ffn_down"), 4, seed=1), 4)
    (tmp_path / "passage.txt").write_text("Before it.", encoding="utf-16")
    typed = (
        "next", "the", "-k", "3", "--model", str(model), "--mode", "exact", "--adapter", str(folder),
        "--passage", f"@{tmp_path / 'passage.txt'}",
    )  # fmt: skip
    found = homespun(*typed, "--json").json
    names = ["base", "with the adapter", "behind the passage", "with both"]
    assert [variant["name"] for variant in found["variants"]] == names
    assert found["candidates"] == found["variants"][0]["found"]["candidates"]
    assert all(variant["kl_nats"] > 0 for variant in found["variants"][1:])
    assert found["stage_names"] == ["model"]  # nothing is done to the odds unasked
    assert all(len(token["probabilities"]) == 4 for token in found["compared"])
    shown = homespun(*typed)
    assert shown.code == 0 and "with the adapter: the odds moved by" in shown.out
    for wrong in (
        ("--adapter", "nobody"),
        ("--passage", "@nowhere.txt"),
        ("--picture", "it.gif"),
        ("--top-p", "2"),
    ):
        ran = homespun("next", "the", "--model", str(model), *wrong)
        assert ran.code == 2 and ran.err.count("\n") == 1


def test_a_strategy_writes_and_shows_its_tree(homespun, tmp_path):
    tree = tmp_path / "tree.png"
    ran = homespun(
        "run", "The garden birds", "--raw", "--strategy", "beam", "--n-beams", "3", "--max-new-tokens", "4",
        "--tree", str(tree), "--json",
    )  # fmt: skip
    found = ran.json
    assert found["strategy"] == "beam" and found["text"] and found["seed"] is None
    kept = [node for node in found["tree"] if node["kept"]]
    assert "".join(node["token"] for node in kept[1:]).startswith(found["text"][:5])
    assert sum(node["log_probability"] for node in kept) == pytest.approx(found["log_probability"], abs=1e-4)
    assert tree.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--strategy", "best"),
        ("--strategy", "beam", "--n-beams", "0"),
        ("--strategy", "greedy", "--tree", "tree.gif"),
        ("--tree", "tree.png"),
        ("--strategy", "beam", "--chat", "x"),
    ],
)
def test_what_cannot_be_is_one_sentence(homespun, arguments):
    ran = homespun("run", "Hello", "--max-new-tokens", "2", *arguments)
    assert ran.code == 2 and ran.err.count("\n") == 1 and "Traceback" not in ran.err
