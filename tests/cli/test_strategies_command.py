"""`homespun strategies` as it is typed, on a tiny model and with the real embedder."""

from pathlib import Path

from gguf_writer import write_random

PROMPTS = Path(__file__).parents[2] / "examples" / "prompts.txt"


def test_two_prompts_are_measured_and_nothing_is_concluded(homespun, tmp_path):
    few = tmp_path / "few.txt"
    few.write_text("\n".join(PROMPTS.read_text().splitlines()[:2]))
    picture = tmp_path / "it.png"
    model = write_random(tmp_path / "tiny.gguf")
    ran = homespun(
        "strategies",
        str(few),
        "--model",
        str(model),
        "--mode",
        "exact",
        "--strategy",
        "top-p",
        "--max-new-tokens",
        "3",
        "--picture",
        str(picture),
        "--json",
    )
    found = ran.json
    assert [row["strategy"] for row in found["strategies"]] == ["greedy", "top-p"]
    assert found["embedder"] and set(found["left_out"]) == {"token F1"}
    assert "too few" in found["conclusions"][0]
    assert found["strategies"][1]["differences"]["distinct-1"].keys() == {"value", "low", "high"}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_is_one_sentence(homespun, tmp_path):
    for arguments in (
        (str(tmp_path / "none.txt"),),
        (str(PROMPTS), "--strategy", "best"),
        (str(PROMPTS), "--picture", "it.gif"),
        (str(PROMPTS), "--embedder", "nobody"),
    ):
        ran = homespun("strategies", *arguments)
        assert ran.code == 2 and ran.err.count("\n") == 1 and "Traceback" not in ran.err


def test_the_examples_are_enough_to_conclude_from():
    assert len(set(PROMPTS.read_text().splitlines())) == 30
