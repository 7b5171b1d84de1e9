"""`homespun embed` and `homespun tokens --per-line` as they are typed, on the real small models."""

import json
from pathlib import Path

import numpy as np
import pytest

from homespun.cli.main import exit_code

EXAMPLES = Path(__file__).parents[2] / "examples"
PRODUCTS = str(EXAMPLES / "products.jsonl")


def test_products_are_shown_and_written(homespun, tmp_path):
    pictures = [tmp_path / "heat.png", tmp_path / "map.png"]
    ran = homespun(
        "embed", PRODUCTS, "--dimensions", "75", "--out", str(tmp_path / "v.npy"), "--reduction", "truncated",
        "--heat", str(pictures[0]), "--map", str(pictures[1]),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "nearest neighbour of the same group 9 of 9" in ran.out
    assert "9 texts differ in at most 8 directions" in ran.out and "random projection" in ran.out
    assert np.load(tmp_path / "v.npy").shape == (9, 75)
    assert all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


def test_typed_texts_as_json(homespun):
    found = homespun("embed", "a red apple", "a ripe pear", "a steel saw", "--json").json
    (view,) = found["embedders"]
    assert found["texts"] == ["a red apple", "a ripe pear", "a steel saw"] and view["scores"] is None
    assert len(view["vectors"][2]) == view["dimensions"] == 384
    assert view["nearest"][:2] == [1, 0]
    assert view["similarities"][0][1] > view["similarities"][0][2]
    assert np.linalg.norm(view["vectors"][0]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothere.jsonl",),
        ("a", "--embedder", "nobody"),
        ("a", "b", "c", "--dimensions", "384"),
        ("a", "b", "--heat", "heat.gif"),
        ("a", "b", "--map", "map.png"),
        ("a", "b", "c", "--reduction", "pca"),
    ],
)
def test_what_cannot_be_is_one_sentence(homespun, arguments):
    ran = homespun("embed", *arguments)
    assert ran.code == 2 and ran.err.count("\n") == 1 and "Traceback" not in ran.err


def test_tokens_per_line(homespun, tmp_path):
    picture = tmp_path / "costs.png"
    ran = homespun("tokens", str(EXAMPLES / "languages.csv"), "--per-line", "--picture", str(picture))
    assert ran.code == 0 and "1.00x" in ran.out and "Japanese" in ran.out
    assert picture.read_bytes().startswith(b"\x89PNG")
    costs = homespun("tokens", "-", "--per-line", "--json", stdin="one line\n\nanother\n").json["costs"]
    assert [one["label"] for one in costs] == ["1 one line", "2 another"]
    assert homespun("tokens", "x", "--picture", str(picture)).code == 2


def test_no_text_leaves_the_machine_unasked(home, monkeypatch, capsys):
    monkeypatch.setenv("HOMESPUN_HOME", str(home.root))
    assert exit_code(["embed", "a secret"]) == 2 and "homespun models add starter" in capsys.readouterr().err
    folder = home.embedders_path / "far"
    folder.mkdir(parents=True)
    stated = {"kind": "remote", "model": "http://127.0.0.1:9/v1#m", "probe_vector": [1.0], "max_tokens": 9}
    (folder / "embedder.json").write_text(json.dumps(stated))
    home.register_embedder("far", folder, "of a test")
    assert exit_code(["embed", "a secret"]) == 2 and "--embedder far" in capsys.readouterr().err
