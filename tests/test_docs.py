"""What the documents name exists."""

import re
from pathlib import Path

import pytest

from homespun.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_tests_and_benches_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name, test in re.findall(r"((?:tests|bench)/[\w/]+\.py)(?:::(\w+))?", text):
        source = (ROOT / name).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in source, f"{name} has no {test}"


def test_commands_of_the_readme_exist() -> None:
    named = set(re.findall(r"homespun ([a-z]+)\b", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert named & set(COMMANDS) == set(COMMANDS)


def test_rooms_of_the_readme_are_the_rooms() -> None:
    listed = set(re.findall(r"^  ([a-z]+)/ ", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    rooms = {
        path.name
        for path in (ROOT / "src" / "homespun").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    assert listed == rooms
