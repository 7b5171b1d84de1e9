"""The rooms depend on each other in one direction, and every module can be imported."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import homespun

SOURCE = Path(homespun.__file__).parent

#: Lowest first. A room imports only rooms of a lower level (and itself); rooms of one level may not meet.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors", "progress"),
    ("pictures",),
    ("models",),
    ("sizing",),
    ("engines",),
    ("decoding", "documents"),
    ("retrieval",),
    ("rag",),
    ("tuning",),
    ("evaluation",),
    ("planning",),
    ("serving", "integrations", "cli"),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def room_of(path: Path) -> str:
    """The room that a source file belongs to."""
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imported_rooms(source: str) -> set[str]:
    """Rooms that a source text imports, wherever in it."""
    rooms = set()
    for node in ast.walk(ast.parse(source)):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            if node.module == "homespun":
                names = [f"homespun.{alias.name}" for alias in node.names]
            else:
                names = [node.module or ""]
        rooms |= {name.split(".")[1] for name in names if name.startswith("homespun.")}
    return rooms - {"__version__"}


def violations(room: str, source: str) -> list[str]:
    """Rooms that this room imports although they do not stand below it."""
    return sorted(
        other for other in imported_rooms(source) if other != room and LEVEL_OF[other] >= LEVEL_OF[room]
    )


FILES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py" or path.parent != SOURCE)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_lower_rooms(path: Path) -> None:
    assert violations(room_of(path), path.read_text(encoding="utf-8")) == []


def test_the_rule_sees_a_violation() -> None:
    assert violations("engines", "def f():\n    from homespun.rag.answer import answer\n") == ["rag"]
    assert violations("documents", "import homespun.decoding.tree\n") == ["decoding"]


def module_names() -> list[str]:
    """Every module of the package."""
    return [info.name for info in pkgutil.walk_packages([str(SOURCE)], "homespun.")]


@pytest.mark.parametrize("name", module_names())
def test_every_module_can_be_imported(name: str) -> None:
    importlib.import_module(name)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from homespun.cli.main import exit_code\n"
        "assert exit_code(['--help']) == 0\n"
        "heavy = {'numpy', 'openvino', 'torch', 'transformers', 'lancedb', 'pyarrow', 'gguf', 'tokenizers',"
        " 'openai', 'llguidance', 'pypdfium2', 'xllamacpp', 'jinja2'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ingest" in done.stdout


def test_no_file_is_much_too_long() -> None:
    long_files = {
        str(path.relative_to(SOURCE)): n_lines
        for path in FILES
        if (n_lines := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert not long_files
