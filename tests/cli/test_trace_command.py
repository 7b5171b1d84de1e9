"""`homespun trace` as it is typed, on the real small model and the clinic."""

import pytest


def test_trace_with_a_branch_and_a_page(homespun, tmp_path):
    page, picture = tmp_path / "trace.html", tmp_path / "trace.svg"
    (tmp_path / "passage.txt").write_text("Rabbits eat grass.")
    found = homespun(
        "trace", "What do rabbits eat?", "--max-new-tokens", "6", "--passage", f"@{tmp_path / 'passage.txt'}",
        "--branch", "2", "--page", str(page), "--picture", str(picture), "--json",
    ).json  # fmt: skip
    assert [token["position"] for token in found["tokens"]] == list(range(1, len(found["tokens"]) + 1))
    first = found["tokens"][0]
    assert 0 < first["probability"] <= 1 and first["entropy_low"] == first["entropy_high"]
    assert len(first["alternatives"]) == 5
    (effect,) = found["effects"]
    assert effect["name"] == "passage.txt" and found["n_readings"] == 2
    assert effect["total"] == pytest.approx(sum(effect["differences"]))
    assert found["branch"]["branched_at"] == 2 and found["branch"]["tokens"][1]["is_given"]
    assert "What do rabbits eat?" in page.read_text() and "<svg" in picture.read_text()


def test_trace_of_a_librarys_answer(homespun, clinic):
    ran = homespun(
        "trace", "What does a second replacement of the yellow booklet cost?", "--library", "clinic",
        "--n-passages", "2", "--max-new-tokens", "4",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "hesitated at" in ran.out and "vaccination-room.md" in ran.out and "all passages" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--token", "x"),
        ("--library", "clinic", "--raw"),
        ("--page", "trace.txt"),
        ("--picture", "trace.gif"),
        ("--passage", "@missing.txt"),
        ("--doubt-entropy", "-1"),
        ("--branch", "99", "--max-new-tokens", "2"),
    ],
)
def test_what_cannot_be_traced_is_one_sentence(homespun, arguments):
    ran = homespun("trace", "Hello", *arguments)
    assert ran.code == 2 and ran.err.count("\n") == 1 and "Traceback" not in ran.err


def test_the_three_steps_of_a_text(homespun, tmp_path):
    page = tmp_path / "steps.html"
    found = homespun("steps", "Paris is the city", "--out", str(page), "--json").json
    assert found["has"] == {"encoder": False, "decoder": True} and len(found["tokens"]) == 4
    assert found["next"]["candidates"][0]["token"] == " of"
    assert "no encoder" in page.read_text()
    assert homespun("steps", "Paris", "--out", str(tmp_path / "steps.png")).code == 2
