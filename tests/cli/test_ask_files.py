"""`homespun ask` with pictures of the cited pages and the answer in a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ran import Ran

INR = "For how long is warfarin taken after a first clot in the leg or lung?"


@pytest.mark.long
def test_ask_writes_lit_pages_and_a_file(clinic: Ran, homespun: Callable[..., Ran], tmp_path: Path) -> None:
    pages, out = tmp_path / "pages", tmp_path / "answer.html"
    made = homespun(
        "ask", INR, "-l", "clinic", "--style", "quote", "--pages", str(pages), "--out", str(out), "--json"
    )
    answer = made.json
    assert any("clinical/inr-monitoring.pdf, page 1" in citation["where"] for citation in answer["citations"])
    assert answer["out"] == str(out)
    lit = [page for page in answer["pages"] if page["is_lit"]]
    assert lit
    assert all(Path(page["path"]).read_bytes().startswith(b"\x89PNG") for page in lit)
    assert out.read_text("utf-8").count("data:image/png;base64,") == len(lit)
    shown = homespun("ask", INR, "-l", "clinic", "--style", "quote", "--pages", str(pages)).out
    assert "page 1: " in shown
    assert ".png" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--out", "answer.odt"], ".docx"),
        (["--out", "no-such-folder/answer.md"], "no folder"),
        (["--out", "answer.md", "--chat"], "--chat"),
        (["--pages", __file__], "folder"),
    ],
)
def test_files_that_cannot_be_written_are_told_before_a_model_loads(
    homespun: Callable[..., Ran], arguments: list[str], said: str
) -> None:
    ran = homespun("ask", INR, "--library", "no-such-library", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
